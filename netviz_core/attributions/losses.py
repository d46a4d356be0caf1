"""The loss of each sample, and what a model's output says of classes.

Five losses are known by name and are the same for every framework; others are the backend's to take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..captures.batches import as_numbers
from ..models.network import Network
from ..views.overlays import named_class
from ..words.arrays import as_float64
from ..words.errors import InputError, require_known
from ..words.given import shown
from ..words.supports_data import LossReading

Array = np.ndarray[Any, Any]


def _cross_entropy(output: Array, targets: Array) -> LossReading:
    if output.ndim != 2:
        raise InputError(
            f"loss='cross_entropy' is of outputs (batch, class), and the model returned {output.shape}; give a loss "
            f"of the framework, or a function of output and targets"
        )
    is_probable = bool((output >= 0).all() and np.allclose(output.sum(axis=1), 1, atol=1e-3))
    if is_probable:
        logs = np.log(np.maximum(output, np.finfo(np.float32).tiny))
    else:
        shifted = output - output.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    if targets.shape == output.shape:
        losses = -(targets * logs).sum(axis=1)
    else:
        indices = class_indices(targets, output)
        losses = -np.take_along_axis(logs, indices[:, np.newaxis], axis=1)[:, 0]
    return LossReading(_per_sample(losses), "probabilities" if is_probable else "logits")


def _binary_cross_entropy(output: Array, targets: Array) -> LossReading:
    wanted = _alike(targets, output)
    if (output < 0).any() or (output > 1).any():
        raise InputError(
            f"loss='binary_cross_entropy' is of probabilities, and the model returned {output.min():.4g} … "
            f"{output.max():.4g}; of scores before a sigmoid give loss='binary_cross_entropy_with_logits'"
        )
    tiny = np.finfo(np.float32).tiny
    losses = -(
        wanted * np.log(np.maximum(output, tiny)) + (1 - wanted) * np.log(np.maximum(1 - output, tiny))
    )
    return LossReading(_per_sample(losses), "binary_probabilities")


def _binary_cross_entropy_with_logits(output: Array, targets: Array) -> LossReading:
    losses = np.maximum(output, 0) - output * _alike(targets, output) + np.log1p(np.exp(-np.abs(output)))
    return LossReading(_per_sample(losses), "binary_logits")


def _mean_squared_error(output: Array, targets: Array) -> LossReading:
    return LossReading(_per_sample((output - _alike(targets, output)) ** 2), "values")


def _mean_absolute_error(output: Array, targets: Array) -> LossReading:
    return LossReading(_per_sample(np.abs(output - _alike(targets, output))), "values")


_BY_NAME: Mapping[str, Callable[[Array, Array], LossReading]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "binary_cross_entropy_with_logits": _binary_cross_entropy_with_logits,
    "mean_squared_error": _mean_squared_error,
    "mean_absolute_error": _mean_absolute_error,
}
LOSSES = tuple(_BY_NAME)


def losses_of(network: Network, loss: Any, native_output: Any, targets: Any) -> LossReading:
    """The loss of each sample of a batch.

    Parameters
    ----------
    network : Network
    loss : str, native loss, callable or None
        One of ``cross_entropy`` (of scores or probabilities), ``binary_cross_entropy`` (of
        probabilities), ``binary_cross_entropy_with_logits``, ``mean_squared_error`` and
        ``mean_absolute_error``; or what the backend knows; None for the model's own.
    native_output, targets : native
        What the model returned, and what it should have.

    Raises
    ------
    InputError
        If there is no such loss, or the targets do not fit.
    """
    if isinstance(loss, str) and loss in _BY_NAME:
        output = as_float64(as_numbers(native_output))
        return _BY_NAME[loss](output, as_numbers(targets))
    if isinstance(loss, type):
        raise InputError(f"loss={shown(loss)} is a class; give an instance of it: {loss.__name__}()")
    if not hasattr(network.adapter, "losses"):
        known = ", ".join(map(repr, _BY_NAME))
        raise InputError(
            f"loss={shown(loss)} cannot be taken by the {network.backend} backend; give one of {known}"
        )
    reading: LossReading = network.adapter.losses(network.native, loss, native_output, targets)
    return reading


def gradient_of(loss: str, scores: Array, targets: Array) -> Array:
    """The derivative of the mean loss of a batch with respect to scores, as they are before a softmax or sigmoid.

    Raises
    ------
    InputError
        If there is no such loss, or the targets do not fit.
    """
    require_known(loss, _BY_NAME, "loss")
    scores = as_float64(scores)
    if loss == "cross_entropy":
        if targets.shape == scores.shape:
            wanted = targets
        else:
            wanted = np.zeros(scores.shape)
            np.put_along_axis(wanted, class_indices(targets, scores)[:, np.newaxis], 1, axis=1)
        return (softmax(scores) - wanted) / len(scores)
    if loss in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        return (sigmoid(scores) - _alike(targets, scores)) / scores.size
    if loss == "mean_squared_error":
        return 2 * (scores - _alike(targets, scores)) / scores.size
    return np.asarray(np.sign(scores - _alike(targets, scores)) / scores.size)


@dataclass(frozen=True)
class Verdict:
    """What a model made of one sample, in words.

    ``is_right`` is None, and ``predicted`` too, where it is not one class that is right; where scores are NaN, nothing
    is predicted, right or wrong.
    """

    prediction: str
    actual: str
    probability: float | None
    is_right: bool | None = None
    predicted: int | None = None


def verdicts(reads: str, output: Array, targets: Array, names: Sequence[str] | None) -> list[Verdict]:
    """What each sample of a batch was taken for, and what it is.

    Parameters
    ----------
    reads : str
        See `netviz_core.words.protocols.LossReading`.
    output, targets : numpy.ndarray
    names : sequence of str, optional
        Of the classes.
    """
    if output.ndim > 2 and reads != "values":
        return [Verdict("", "", None)] * len(output)
    if reads.startswith("binary"):
        return _of_each_label(sigmoid(output) if reads == "binary_logits" else output, targets, names)
    if reads != "values":
        return _of_classes(probabilities(reads, output), class_indices(targets, output), names)
    flat, wanted = (values.reshape(len(output), -1) for values in (output, targets))
    return [Verdict(_numbers(is_), _numbers(should), None) for is_, should in zip(flat, wanted, strict=True)]


def class_indices(targets: Array, output: Array) -> Array:
    """The class of each sample, given by its index or as a row with one 1.

    Raises
    ------
    InputError
        If a class does not exist, or there is not one for each sample.
    """
    if targets.ndim == 2 and targets.shape == output.shape:
        return np.asarray(targets.argmax(axis=1))
    if targets.size != len(output):
        raise InputError(
            f"targets of shape {targets.shape} were given for an output of shape {output.shape}; give one class "
            f"for each sample, as its index or as a row with one 1"
        )
    classes = targets.reshape(-1).astype(np.intp)
    if not np.array_equal(classes, targets.reshape(-1)):
        raise InputError(
            f"targets of dtype {targets.dtype} are no whole numbers; give the index of each class"
        )
    if classes.size and not 0 <= classes.min() <= classes.max() < output.shape[1]:
        worst = int(classes.max() if classes.max() >= output.shape[1] else classes.min())
        raise InputError(f"a target is class {worst}; the model's classes are 0 … {output.shape[1] - 1}")
    return classes


def _of_classes(probabilities: Array, actual: Array, names: Sequence[str] | None) -> list[Verdict]:
    best = probabilities.argmax(axis=1)
    return [
        Verdict(
            "NaN" if np.isnan(shares[found]) else named_class(int(found), names),
            named_class(int(wanted), names),
            float(shares[wanted]),
            None if np.isnan(shares[found]) else bool(found == wanted),
            int(found),
        )
        for shares, found, wanted in zip(probabilities, best, actual, strict=True)
    ]


def _of_each_label(probabilities: Array, targets: Array, names: Sequence[str] | None) -> list[Verdict]:
    shares = probabilities.reshape(len(probabilities), -1)
    wanted = targets.reshape(len(targets), -1) > 0.5
    if shares.shape[1] == 1:
        both = np.concatenate([1 - shares, shares], axis=1)
        return _of_classes(both, wanted[:, 0].astype(np.intp), names)
    return [
        Verdict(_labels(found, names), _labels(should, names), None)
        for found, should in zip(shares, wanted, strict=True)
    ]


def require_names_fit(names: Sequence[str], reads: str, output: Array) -> None:
    """Refuse names of classes that are not as many as the model has.

    Raises
    ------
    InputError
    """
    if reads == "values" or output.ndim > 2:
        return
    width = output.shape[1] if output.ndim > 1 else 1
    count = 2 if width == 1 else width
    if len(names) == count:
        return
    raise InputError(
        f"{len(names)} names were given for {count} classes; give one for each, in the model's order"
    )


def _labels(shares: Array, names: Sequence[str] | None) -> str:
    if np.isnan(shares).any():
        return "NaN"
    chosen = shares > 0.5
    return ", ".join(named_class(int(index), names) for index in np.flatnonzero(chosen)) or "none"


def probabilities(reads: str, output: Array) -> Array:
    """What an output says of classes of which one is right, by how the loss reads it."""
    if reads == "probabilities":
        return output
    if reads == "log_probabilities":
        return np.exp(output)
    return softmax(output)


def softmax(scores: Array) -> Array:
    """Shares of one along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(output: Array) -> Array:
    """Each score as a probability of its own."""
    return np.asarray(1 / (1 + np.exp(-np.clip(output, -500, 500))))


def _numbers(values: Array, most: int = 4) -> str:
    shown = ", ".join(f"{value:.4g}" for value in values[:most])
    return shown + (", …" if len(values) > most else "")


def _per_sample(losses: Array) -> Array:
    return np.asarray(losses.reshape(len(losses), -1).mean(axis=1))


def _alike(targets: Array, output: Array) -> Array:
    if targets.size != output.size:
        raise InputError(
            f"targets of shape {targets.shape} were given for an output of shape {output.shape}; they need one "
            f"number for each of it"
        )
    return targets.reshape(output.shape)
