"""Activation functions in NumPy, under netviz' names for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..words.arrays import AxisArray
from .given import Array, Given, Unknown, along

Config = Mapping[str, Any]
Axis = int | tuple[int, ...]

_erf = np.frompyfunc(math.erf, 1, 1)


def activated(name: str, values: Array, config: Config, axis: Axis = -1) -> Array | None:
    """What an activation function makes of values.

    Parameters
    ----------
    name : str
        As `Layer.config` has it under ``activation``.
    values : numpy.ndarray
    config : mapping
        What the function takes besides the values: ``negative_slope``, ``alpha``, ``approximate``, ….
    axis : int or tuple of int
        The positions in `values` along which those that look at several values work, such as a softmax.

    Returns
    -------
    numpy.ndarray or None
        None if there is no such function here, or `config` lacks what it takes.

    Examples
    --------
    >>> activated("leaky_relu", np.array([-1.0, 2.0]), {"negative_slope": 0.25})
    array([-0.25,  2.  ])
    """
    with np.errstate(all="ignore"):
        if name in _ALONG_AXIS:
            return _ALONG_AXIS[name](values, axis)
        function = _ELEMENTWISE.get(name)
        try:
            return None if function is None else np.asarray(function(values, config), values.dtype)
        except KeyError:
            return None


def with_activation(given: Given, result: AxisArray) -> AxisArray:
    """Apply the activation that a layer has built in."""
    name = given.config.get("activation")
    if name is None or name == "linear":
        return result
    axis: Axis = -1
    if name in _ALONG_AXIS:
        named = given.axes_at(result, given.config.get("axis", -1))
        axis = tuple(result.axes.index(one) for one in named)
    values = activated(str(name), result.values, given.config, axis)
    if values is None:
        raise Unknown
    return AxisArray(values, result.axes)


def activation(given: Given) -> AxisArray:
    """What an activation layer returns."""
    x = given.only
    if given.type_name == "Softmax2d":
        return AxisArray(softmax(x.values, -3), x.axes)
    if given.config.get("activation") == "prelu":
        return _prelu(given, x)
    if given.weights or "activation" not in given.config:
        raise Unknown
    return with_activation(given, x)


def _prelu(given: Given, x: AxisArray) -> AxisArray:
    """One slope, one for each channel, or as Keras has it, one for each element of a sample."""
    given.require_weights_among("slope")
    slopes, rank = given.weight("slope"), x.values.ndim
    axes: tuple[str, ...]
    if slopes.ndim > 1:
        axes = _axes_of_slopes(given, x, slopes.shape)
    elif slopes.size == 1:
        slopes, axes = slopes.reshape(()), ()
    elif "channel" in x.axes or rank < 2:
        axes = ("channel",)
    elif rank > 2 and "shared_axes" in given.config:  # which of the axes is left is not known without names
        raise Unknown
    else:
        axes = (x.axes[1],)
    if not set(axes) <= set(x.axes):
        raise Unknown
    return AxisArray(np.where(x.values > 0, x.values, x.values * along(slopes, x, axes)), x.axes)


def _axes_of_slopes(given: Given, x: AxisArray, shape: tuple[int, ...]) -> tuple[str, ...]:
    lengths = dict(zip(x.axes, x.values.shape, strict=True))
    fitting = [
        order[1:]
        for order in given.native_orders(x.axes)
        if len(shape) == len(order) - 1
        and all(one in (1, lengths[axis]) for one, axis in zip(shape, order[1:], strict=True))
    ]
    if len(fitting) != 1:
        raise Unknown
    return fitting[0]


def _sigmoid(x: Array) -> Array:
    # The argument of exp is never positive, so that it cannot overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax(x: Array, axis: Axis = -1) -> Array:
    """Positive numbers whose sum along an axis is one."""
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(raised / raised.sum(axis=axis, keepdims=True), x.dtype)


def _log_softmax(x: Array, axis: Axis) -> Array:
    shifted = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)), x.dtype)


def _glu(x: Array, axis: Axis) -> Array | None:
    place = axis if isinstance(axis, int) else axis[0]
    if x.shape[place] % 2:
        return None
    values, gate = np.split(x, 2, place)
    return values * _sigmoid(gate)


def _relu(x: Array, config: Config) -> Array:
    slope, start, most = (config.get(name) for name in ("negative_slope", "threshold", "max_value"))
    start = start or 0.0
    # A slope of zero makes zero of infinity, too; NaN is below nothing, and stays.
    result = np.where(x < start, slope * (x - start) if slope else 0.0, x)
    return result if most is None else np.minimum(result, most)


def _gelu(x: Array, config: Config) -> Array:
    if config["approximate"]:
        share = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    else:
        share = np.asarray(_erf(x / math.sqrt(2)), x.dtype)
    return np.asarray(0.5 * x * (1 + share))


def _shrunk(x: Array, config: Config) -> Array:
    return np.where(np.abs(x) <= config["threshold"], 0, x)


def _soft_shrunk(x: Array, config: Config) -> Array:
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - config["threshold"], 0))


def _exponential_below(x: Array, alpha: float, divisor: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / divisor))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

_ELEMENTWISE: Mapping[str, Callable[[Array, Config], Array]] = {
    "linear": lambda x, _: x,
    "relu": _relu,
    "relu6": lambda x, _: np.clip(x, 0, 6),
    "leaky_relu": lambda x, c: np.where(x >= 0, x, c["negative_slope"] * x),
    "rrelu": lambda x, c: np.where(x >= 0, x, c["negative_slope"] * x),
    "elu": lambda x, c: _exponential_below(x, c["alpha"]),
    "celu": lambda x, c: _exponential_below(x, c["alpha"], c["alpha"]),
    "selu": lambda x, _: _SELU_SCALE * _exponential_below(x, _SELU_ALPHA),
    "gelu": _gelu,
    "silu": lambda x, c: x * _sigmoid(c.get("beta", 1.0) * x),
    "swish": lambda x, c: x * _sigmoid(c.get("beta", 1.0) * x),
    "quick_gelu": lambda x, _: x * _sigmoid(1.702 * x),
    "squared_relu": lambda x, _: np.square(np.maximum(x, 0)),
    "mish": lambda x, _: x * np.tanh(_softplus(x)),
    "sigmoid": lambda x, _: _sigmoid(x),
    "log_sigmoid": lambda x, _: -_softplus(-x),
    "tanh": lambda x, _: np.tanh(x),
    "softplus": lambda x, c: _softplus(c.get("beta", 1.0) * x) / c.get("beta", 1.0),
    "softsign": lambda x, _: x / (1 + np.abs(x)),
    "exponential": lambda x, _: np.exp(x),
    "hard_sigmoid": lambda x, c: np.clip(c.get("slope", 1 / 6) * x + 0.5, 0, 1),
    "hard_silu": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x, c: np.clip(x, c.get("min_value", -1.0), c.get("max_value", 1.0)),
    "tanh_shrink": lambda x, _: x - np.tanh(x),
    "hard_shrink": _shrunk,
    "soft_shrink": _soft_shrunk,
    "threshold": lambda x, c: np.where(x <= c["threshold"], c["default_value"], x),
}

_ALONG_AXIS: Mapping[str, Callable[[Array, Axis], Array | None]] = {
    "softmax": softmax,
    "softmin": lambda x, axis: softmax(-x, axis),
    "log_softmax": _log_softmax,
    "glu": _glu,
}
