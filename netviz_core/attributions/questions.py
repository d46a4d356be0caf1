"""What is asked of a model's output: which part of it, which classes, which pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..models.network import Network
from ..views.overlays import named_class
from ..words.arrays import AxisArray, Scores
from ..words.errors import AmbiguousKeyError, AxisError, InputError, as_integer, nearest
from ..words.given import shown
from .losses import probabilities, sigmoid, softmax

_OF_CLASSES = ("logits", "log_probabilities", "probabilities")
"""How losses read outputs that are one class of several, see `LossReading`."""

Array = np.ndarray[Any, Any]
Part = TypeVar("Part")


class Question:
    """What is asked of the model's output.

    A single score speaks for the second of two classes and against the first: where it is known to be
    one, by a sigmoid, two names or the loss, both can be asked about.
    """

    def __init__(
        self,
        target: int | str | Sequence[Any] | None,
        mask: Any,
        output: str | None,
        names: Sequence[str] | None,
        reads: Callable[[str], str] = lambda leaf: "",
        called: Sequence[str] | None = None,
    ) -> None:
        """`reads` tells of a part of the output how the loss reads it, see `LossReading`; `called` are names given."""
        self._target, self._mask, self.output = target, mask, output
        self._called, self._names = called, names if called is None else called
        self._how_read, self._reads = reads, ""
        self._is_of_number = False
        self.is_of_probability = False
        """Whether what was asked about turned out to be a probability, of which no score is known."""
        self._shares: Array | None = None

    def score_of(self, parts: Mapping[str, AxisArray]) -> tuple[str, AxisArray]:
        """The part of the output that has the scores of the classes."""
        leaf, scores = score_of(parts, self.output)
        self._reads = self._how_read(leaf)
        return leaf, scores

    def targets(self, scores: AxisArray) -> list[list[int]]:
        """The classes asked about, for each sample."""
        values = self._class_scores(scores)
        count, classes = values.shape[:2]
        self._is_of_number = classes == 1
        self.is_of_probability = not isinstance(scores, Scores) and _are_probabilities(values)
        self._shares = self._shares_of(scores, values)
        if self._called is not None and len(self._called) not in {classes, max(classes, 2)}:
            raise InputError(
                f"{len(self._called)} names were given for {classes} classes; give one for each, in the model's order"
            )
        if not count:
            raise InputError("the input has no samples; give a batch of at least one")
        if classes == 1 and self._target is not None:
            raise InputError(
                f"target={shown(self._target)} was given, and the model returns a single number, of which is not known "
                f"that it scores two classes, for no sigmoid was seen, nor a loss that reads it so; leave target out "
                f"to ask about the number itself, or put a sigmoid behind it"
            )
        if self._target is None:
            strengths = self._strengths(values)
            unknown = np.flatnonzero(np.isnan(strengths).any(axis=1))
            if unknown.size and classes > 1:
                raise InputError(
                    f"a score of sample {unknown[0]} is NaN, so that no class has the highest; name one with target=, "
                    f"or see netviz_core.health for what made it"
                )
            return [[int(best)] for best in strengths.argmax(axis=1)]
        given = _several(self._target)
        if given is None:
            return [[self._index(self._target, classes)]] * count
        if len(given) == count:
            asked = [[part] if (parts := _several(part)) is None else parts for part in given]
            if not all(asked):
                raise InputError(
                    f"no target was given for sample {asked.index([])}; give at least one for each"
                )
            return [[self._index(part, classes) for part in parts] for parts in asked]
        if count == 1 and given:
            return [[self._index(t, classes) for t in given]]
        raise InputError(f"{len(given)} targets were given for {count} samples; give one, or one for each")

    def seed(self, scores: AxisArray, chosen: Sequence[int]) -> Array:
        """The derivative of the scores asked about with respect to the output."""
        values = self._class_scores(scores)
        seeds = np.zeros(values.shape, np.float32)
        seeds[np.arange(len(values)), chosen] = 1 if values.ndim == 2 else self._pixels(values, chosen)
        if values.shape[1] != _class_scores(scores).shape[1]:
            seeds = seeds[:, 1:] - seeds[:, :1]
        return _as_given(seeds, scores)

    def named(self, target: int) -> str:
        """What is asked about in words; a single number that is no class is the output."""
        return "output" if self._is_of_number else named_class(target, self._names)

    def share(self, sample: int, target: int) -> float | None:
        """The probability that the model gives a class; None where it is not known to give any."""
        return None if self._shares is None else float(self._shares[sample, target])

    def of_each_class(self, kernel: Array, scores: AxisArray) -> Array:
        """Weights ``(out, in)`` that make scores, those of a single score as of the two classes."""
        is_of_two = self._class_scores(scores).shape[1] == 2 and len(kernel) == 1
        return np.concatenate([-kernel, kernel]) if is_of_two else kernel

    def _class_scores(self, scores: AxisArray) -> Array:
        """Scores as ``(batch, class)`` or ``(batch, class, y, x)``, the one of two classes as those of both."""
        values = _class_scores(scores)
        if values.shape[1] > 1 or not self._is_binary(scores):
            return values
        is_share = self._reads == "binary_probabilities" and not isinstance(scores, Scores)
        return np.concatenate([float(is_share) - values, values], axis=1)

    def _shares_of(self, scores: AxisArray, values: Array) -> Array | None:
        """Class scores as probabilities, where what is made of them is known."""
        if values.ndim > 2 or values.shape[1] < 2:
            return None
        if isinstance(scores, Scores):
            return softmax(values) if scores.squashed_by == "softmax" else sigmoid(values)
        if self.is_of_probability:
            return values if (values >= 0).all() else np.exp(values)
        if self._reads.startswith("binary"):
            return sigmoid(values) if self._reads == "binary_logits" else values
        return probabilities(self._reads, values) if self._reads in _OF_CLASSES else None

    def _is_binary(self, scores: AxisArray) -> bool:
        by_sigmoid = isinstance(scores, Scores) and scores.squashed_by == "sigmoid"
        has_two_names = self._names is not None and len(self._names) == 2
        return by_sigmoid or has_two_names or self._reads.startswith("binary")

    def _strengths(self, values: Array) -> Array:
        """How strongly each class stands out of a sample: its score, that within the mask, or at how many pixels."""
        if values.ndim == 2:
            return values
        if self._mask is not None:
            return np.asarray((values * self._masked(values)[:, np.newaxis]).sum(axis=(2, 3)))
        highest = values.argmax(axis=1)
        return np.stack([(highest == index).sum(axis=(1, 2)) for index in range(values.shape[1])], axis=1)

    def _pixels(self, values: Array, chosen: Sequence[int]) -> Array:
        if self._mask is None:
            pixels = values.argmax(axis=1) == np.reshape(chosen, (-1, 1, 1))
            if not pixels.any():
                raise InputError(
                    f"class {', '.join(map(str, sorted(set(chosen))))} scores highest at no pixel; say with mask= "
                    f"which pixels are asked about"
                )
            return np.asarray(pixels)
        return self._masked(values)

    def _masked(self, values: Array) -> Array:
        mask = np.asarray(self._mask)
        if not mask.any():
            raise InputError("a mask without any pixel was given; mark those that are asked about")
        if mask.shape not in (values.shape[2:], (len(values), *values.shape[2:])):
            raise InputError(
                f"a mask of shape {mask.shape} was given; the output has {values.shape[2:]} pixels"
            )
        return np.broadcast_to(mask, (len(values), *values.shape[2:]))

    def _index(self, target: Any, classes: int) -> int:
        if isinstance(target, str):
            names = list(map(str, self._names or ()))
            if target not in names:
                known = nearest(target, names) or "the model knows no names: give an index"
                raise InputError(f"there is no class {target!r}; {known}")
            return names.index(target)
        index = as_integer(target, "target")
        if not 0 <= index < classes:
            raise InputError(f"target={index} is no class of the model, whose classes are 0 … {classes - 1}")
        return index


def _several(target: Any) -> list[Any] | None:
    """The parts of a sequence of targets; None for a single one."""
    is_sequence = (
        isinstance(target, Iterable) and not isinstance(target, str) and getattr(target, "shape", None) != ()
    )
    return list(target) if is_sequence else None


def _class_scores(scores: AxisArray) -> Array:
    """Scores as ``(batch, class)`` or ``(batch, class, y, x)``."""
    values = scores.values
    if values.ndim == 1:
        return values[:, np.newaxis]
    if values.ndim == 2:
        return values
    if set(scores.axes) == {"batch", "channel", "y", "x"}:
        return scores.transpose("batch", "channel", "y", "x").values
    raise AxisError(
        f"the model's output has the axes {', '.join(scores.axes)}; a score for each class needs batch and "
        f"class, or batch, channel, y and x"
    )


def _are_probabilities(values: Array) -> bool:
    """Whether values of several classes, or what they are the logarithms of, add up to one."""
    if values.shape[1] < 2:
        return False
    shares = values if (values >= 0).all() else np.exp(values) if (values <= 0).all() else None
    return shares is not None and bool(np.allclose(shares.sum(axis=1), 1, atol=1e-3))


def _as_given(seeds: Array, scores: AxisArray) -> Array:
    """The seed in the axes of the model's own output."""
    if scores.values.ndim == 4:
        return AxisArray(seeds, ("batch", "channel", "y", "x")).transpose(*scores.axes).values
    return seeds.reshape(scores.values.shape)


def leaf_called(network: Network, output: str | None) -> str | None:
    """The part of a model's output that goes by a name, where the framework has other names than the structure."""
    if output is None or not hasattr(network.adapter, "output_names"):
        return output
    names: Mapping[str, str] = network.adapter.output_names(network.native)
    return names.get(output, output)


def class_names(network: Network) -> Sequence[str] | None:
    """The names of the classes, where the model knows them."""
    if not hasattr(network.adapter, "class_names"):
        return None
    names: Sequence[str] | None = network.adapter.class_names(network.native)
    return names


def own_reading(network: Network, leaf: str) -> str:
    """How the loss that a model carries reads a part of its output; empty where it carries none."""
    if not hasattr(network.adapter, "own_reading"):
        return ""
    reads: str = network.adapter.own_reading(network.native, leaf)
    return reads


def score_of(parts: Mapping[str, Part], leaf: str | None) -> tuple[str, Part]:
    """The part of a model's output that is asked for, or that has scores by its name; and its name.

    Raises
    ------
    AmbiguousKeyError, InputError
        If it cannot be told, or there is no such part.
    """
    if leaf is None:
        known = [name for name in ("", "logits", "out") if name in parts]
        if not known and len(parts) != 1:
            raise AmbiguousKeyError(
                f"the model returned {', '.join(map(repr, parts)) or 'no tensor'}; "
                f"say with output= which part has the scores",
                parts,
            )
        leaf = known[0] if known else next(iter(parts))
    if not isinstance(leaf, str) or leaf not in parts:
        raise InputError(f"the model returned no part {shown(leaf)}; {nearest(leaf, parts)}")
    return leaf, parts[leaf]


def require_samples(scores: AxisArray, known: Sequence[int | None], samples: int, leaf: str) -> None:
    """Refuse scores of which the first axis is not the samples.

    Parameters
    ----------
    scores : AxisArray
        The part of a model's output that is called `leaf`.
    known : sequence of int or None
        The sample of each of its entries, as far as it could be followed.
    samples : int

    Raises
    ------
    InputError
    """
    what = f"part {leaf!r} of the model's output" if leaf else "the model's output"
    entries = scores.shape[0] if scores.shape else 1
    strangers = [sample for place, sample in enumerate(known) if sample not in (place, None)]
    if entries == samples and not strangers:
        return
    whose = f", all of sample {strangers[0]}" if len({*known} - {None}) == 1 and entries > 1 else ""
    raise InputError(
        f"{what} has {entries} entries{whose} for {samples} samples, where one for each is needed to ask what speaks "
        f"for it; give a model that returns scores as (batch, class)"
    )
