"""What a layer returns, computed in NumPy from netviz' words alone.

By it a cause can be put to the test: with one setting changed, does the layer return what its partner did?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..words.arrays import AxisArray, positional_axes
from .activation import activation, with_activation
from .attention import attention
from .given import Array, Axes, Given, Unknown, along, floating, with_axis_last
from .norms import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from .recurrent import recurrent
from .resizing import resized
from .windows import convolution, padding, pool, separable_convolution, transposed_convolution


def recomputed(
    kind: str,
    type_name: str,
    config: Mapping[str, Any],
    weights: Mapping[str, Array],
    inputs: Sequence[AxisArray],
    orders: Sequence[Axes | None] = (),
) -> AxisArray | None:
    """Compute what a layer returns in evaluation mode, without its framework.

    Parameters
    ----------
    kind, type_name, config
        As `Layer` has them.
    weights : mapping of str to numpy.ndarray
        By canonical name, in canonical layout.
    inputs : sequence of AxisArray
        What the layer was given, with canonical axes.
    orders : sequence of tuple of str, optional
        For each input, the order in which its axes stood in the framework's own tensor, where that is known.
        Without it, settings that count axes are understood only where one axis alone can be meant.

    Returns
    -------
    AxisArray or None
        The first tensor that it returns, with canonical axes. None where that cannot be known: for an unknown kind
        or setting, a weight without a known role, axes without the names that are needed.

    Notes
    -----
    What cannot be seen in the arguments (masks that Keras carries along with tensors, states kept between calls) is
    taken not to be there: compare with what the layer did return before anything is made of it.

    Examples
    --------
    >>> x = AxisArray(np.array([[1.0, 2.0]]), ("batch", "channel"))
    >>> kernel = np.array([[1.0, 1.0], [-1.0, -1.0]])
    >>> recomputed("dense", "Dense", {"activation": "relu"}, {"kernel": kernel}, [x]).values
    array([[3., 0.]])
    """
    formula = _FORMULAS.get(kind) or _OTHERS.get(type_name)
    if formula is None and kind == "other":
        formula = next((made for setting, made in _BY_SETTING.items() if setting in config), None)
    if formula is None or config.get("built") is False:
        return None
    try:
        with np.errstate(all="ignore"):
            return formula(Given(kind, type_name, config, weights, inputs, orders))
    except Unknown:
        return None


def _dense(given: Given) -> AxisArray:
    given.require_weights_among("kernel", "bias")
    x, kernel = given.only, given.weight("kernel")
    (axis,) = given.axes_at(x, -1, kernel.shape[1:])
    values = floating(with_axis_last(x, axis)) @ kernel.T + given.weights.get("bias", np.float32(0))
    axes = (*(name for name in x.axes if name != axis), "channel")
    if len(set(axes)) < len(axes):
        raise Unknown
    return with_activation(given, AxisArray(values, axes)).canonical()


def _einsum_dense(given: Given) -> AxisArray:
    given.require_weights_among("kernel", "bias")
    x, equation = given.only, str(given.setting("equation"))
    (order, *others) = given.native_orders(x.axes)
    if others and order != x.axes:
        raise Unknown
    values = np.einsum(equation, floating(x.transpose(*order).values), given.weight("kernel"), optimize=True)
    values = values + given.weights.get("bias", np.float32(0))
    return with_activation(given, AxisArray(values, positional_axes(values.ndim)))


def _embedding(given: Given) -> AxisArray:
    given.require_weights_among("kernel")
    x, kernel = given.only, given.weight("kernel")
    tokens = x.values.astype(np.int64)
    if "channel" in x.axes or given.type_name == "EmbeddingBag" or not _within(tokens, len(kernel)):
        raise Unknown
    return AxisArray(kernel[tokens], (*x.axes, "channel"))


def _within(tokens: Array, count: int) -> bool:
    return tokens.size == 0 or (tokens.min() >= 0 and tokens.max() < count)


def _unchanged(given: Given) -> AxisArray:
    return given.only


def _flatten(given: Given) -> AxisArray:
    """Only where the order of what is flattened is known, or does not matter."""
    x = given.only
    if given.type_name != "Flatten" or x.axes[0] != "batch":
        raise Unknown
    lengths = dict(zip(x.axes, x.values.shape, strict=True))
    orders = given.native_orders(x.axes)
    if len({tuple(axis for axis in order if lengths[axis] > 1) for order in orders}) > 1:
        raise Unknown
    values = x.transpose(*orders[0]).values
    return AxisArray(values.reshape(len(values), -1), ("batch", "channel"))


def _merge(given: Given) -> AxisArray:
    """Several inputs of the same axes as one."""
    if len(given.inputs) < 2 or len({part.axes for part in given.inputs}) > 1:
        raise Unknown
    values = [part.values for part in given.inputs]
    if given.type_name == "Concatenate":
        return AxisArray(np.concatenate(values, given.x.axes.index(_joined(given))), given.x.axes)
    if given.type_name == "Average":
        return AxisArray(reduce(np.add, values) / len(values), given.x.axes)
    if given.type_name not in _MERGES:
        raise Unknown
    return AxisArray(reduce(_MERGES[given.type_name], values), given.x.axes)


def _joined(given: Given) -> str:
    """The axis along which inputs are joined: that in which their lengths differ, where they do."""
    shapes = [part.values.shape for part in given.inputs]
    differing = [
        axis
        for axis, lengths in zip(given.x.axes, zip(*shapes, strict=True), strict=True)
        if len(set(lengths)) > 1
    ]
    (axis,) = differing if len(differing) == 1 else given.axes_at(given.x, given.setting("axis"))
    return axis


def _rescaled(given: Given) -> AxisArray:
    x = given.only
    values = floating(x.values)
    scale, offset = (_by_axis(given.setting(name), given, x) for name in ("scale", "offset"))
    return AxisArray((values * scale + offset).astype(values.dtype), x.axes)


def _standardised(given: Given) -> AxisArray:
    x = given.only
    values = floating(x.values)
    mean, variance = (_by_axis(given.setting(name), given, x) for name in ("mean", "variance"))
    spread = np.maximum(np.sqrt(variance), given.setting("epsilon"))
    result = values * spread + mean if given.config.get("invert") else (values - mean) / spread
    return AxisArray(result.astype(values.dtype), x.axes)


def _by_axis(numbers: Any, given: Given, x: AxisArray) -> Array:
    """One number, or those along an axis, laid out like `x`."""
    values = np.asarray(numbers, np.float64)
    return (
        values
        if values.ndim == 0
        else along(values, x, given.axes_at(x, given.setting("axis"), values.shape))
    )


_MERGES: Mapping[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
}
"""By type name: two inputs as one."""

Formula = Callable[[Given], AxisArray]

_FORMULAS: Mapping[str, Formula] = {
    "dense": _dense,
    "einsum_dense": _einsum_dense,
    "embedding": _embedding,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "depthwise_conv1d", "depthwise_conv2d"), convolution),
    **dict.fromkeys(("conv1d_transpose", "conv2d_transpose", "conv3d_transpose"), transposed_convolution),
    **dict.fromkeys(("separable_conv1d", "separable_conv2d"), separable_convolution),
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    "activation": activation,
    "pool": pool,
    **dict.fromkeys(("lstm", "gru", "rnn"), recurrent),
    "attention": attention,
    "dropout": _unchanged,
    "input": _unchanged,
    "reshape": _flatten,
    "merge": _merge,
}
"""By kind."""

_BY_SETTING: Mapping[str, Formula] = {"padding_mode": padding, "interpolation": resized}
"""By a setting that others of no kind do not have."""

_OTHERS: Mapping[str, Formula] = {
    "Identity": _unchanged,
    "Rescaling": _rescaled,
    "Normalization": _standardised,
}
"""By type name, where the kind alone does not tell."""
