"""Losses sample by sample, those of Keras' own calls among them, and how they read a model's output."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend import get_keras_mask
from keras.src.trainers.compile_utils import get_loss

from netviz_core.backend_api import InputError, LossReading, shown

from .engines import ENGINE
from .outputs import output_names
from .tensors import adopted, as_numpy, is_tensor

_CLASSES = frozenset(
    """categorical_crossentropy sparse_categorical_crossentropy categorical_focal_crossentropy
    categorical_generalized_cross_entropy kl_divergence""".split()
)
_BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})


def by_sample(model: Any, loss: Any, output: Any, targets: Any) -> LossReading:
    """The loss of each sample; see `SupportsLosses`."""
    chosen = _own_loss(model) if loss is None else loss
    predicted, wanted = _only(output, "output"), _only(targets, "targets")
    try:
        function = get_loss(chosen, wanted, predicted)
    except ValueError as error:
        raise InputError(
            f"loss={shown(chosen)} is no loss that Keras knows; give its name, a keras.losses object, or a function "
            f"of targets and predictions"
        ) from error
    if not callable(getattr(function, "call", None)):
        raise InputError(f"loss={shown(chosen)} cannot be called with targets and predictions")
    with keras.StatelessScope(), ENGINE.no_gradients(), _said_if_unfit(function, wanted, predicted):
        convert = keras.ops.convert_to_tensor
        values = function.call(
            convert(wanted, dtype=function.dtype), convert(predicted, dtype=function.dtype)
        )
    return LossReading(_mean_of_each(function, values, predicted), _reads(function))


@contextmanager
def _said_if_unfit(loss: Any, targets: Any, predicted: Any) -> Iterator[None]:
    """Say it in netviz' words if a loss of Keras' own refuses targets; each engine has another error for it."""
    try:
        yield
    except Exception as error:
        if not getattr(getattr(loss, "fn", loss), "__module__", "").startswith("keras."):
            raise
        raise InputError(
            f"loss {loss.name!r} cannot be taken of an output {tuple(predicted.shape)} and targets "
            f"{tuple(targets.shape)} {targets.dtype}: {str(error).partition(chr(10))[0]}"
        ) from error


def _own_loss(model: Any) -> Any:
    """The loss that the model was compiled with."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, Mapping):
        loss = list(loss.values())
    if isinstance(loss, (list, tuple)):
        if len(loss) > 1:
            raise InputError(
                f"the model was compiled with {len(loss)} losses, one for each output; give loss= for the one "
                f"output that is looked at"
            )
        loss = loss[0] if loss else None
    if loss is None:
        raise InputError(
            f"model {model.name!r} has not been compiled with a loss; give one, such as "
            f"loss='sparse_categorical_crossentropy', or compile the model"
        )
    return loss


def own_reading(model: Any, leaf: str) -> str:
    """See `netviz_core.backend_api.SupportsOwnReading`."""
    loss, names = getattr(model, "loss", None), output_names(model)
    if isinstance(loss, Mapping):
        loss = next(
            (loss[name] for name in (leaf, *names) if name in loss and names.get(name, leaf) == leaf), None
        )
    elif isinstance(loss, (list, tuple)):
        leaves = list(names.values()) or [leaf]
        loss = loss[leaves.index(leaf)] if leaf in leaves and len(loss) == len(leaves) else None
    try:
        return "" if loss is None else _reads(keras.losses.get(loss))
    except ValueError:
        return ""  # a name that only compile() knows


def _only(part: Any, name: str) -> Any:
    """The one array in an output or in targets."""
    arrays = [adopted(array) for array in ([part] if is_tensor(part) else keras.tree.flatten(part))]
    if len(arrays) == 1 and is_tensor(arrays[0]):
        return arrays[0]
    if name == "targets" and all(np.isscalar(value) for value in arrays):
        return np.asarray(part)
    raise InputError(f"{name} with {len(arrays)} parts were given; a loss by sample is taken of one array")


def _mean_of_each(loss: Any, values: Any, predicted: Any) -> np.ndarray[Any, Any]:
    """What the loss gives for each sample, averaged over all other axes but where the output is masked."""
    found = np.array(as_numpy(values)) if is_tensor(values) else np.asarray(values)
    batch = int(predicted.shape[0])
    if not found.ndim or found.shape[0] != batch:
        raise InputError(
            f"loss {loss.name!r} gave values of shape {found.shape} for {batch} samples; its call() must leave the "
            f"first axis, the samples, as it is"
        )
    mask = get_keras_mask(predicted)
    if mask is None or tuple(mask.shape) != found.shape:
        return np.asarray(found.reshape(batch, -1).mean(axis=1))
    kept = as_numpy(mask).reshape(batch, -1).astype(found.dtype)
    total = (found.reshape(batch, -1) * kept).sum(axis=1)
    return np.asarray(total / np.maximum(kept.sum(axis=1), 1))


def _reads(loss: Any) -> str:
    """How a loss takes the output of a model."""
    function: Any = getattr(loss, "fn", loss)
    options = dict(getattr(loss, "_fn_kwargs", {}))
    while isinstance(function, functools.partial):
        function, options = function.func, {**function.keywords, **options}
    name = getattr(function, "__name__", "")
    kind = "logits" if options.get("from_logits") else "probabilities"
    if not getattr(function, "__module__", "").startswith("keras."):
        return "values"
    return kind if name in _CLASSES else f"binary_{kind}" if name in _BINARY else "values"
