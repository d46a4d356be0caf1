"""Normalisation layers in NumPy, as they are in evaluation mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..words.arrays import AxisArray
from .given import Array, Given, Unknown, along, floating


def batch_norm(given: Given) -> AxisArray:
    """Every channel brought to the running statistics; without these, to those of the batch."""
    given.require_weights_among("scale", "bias", "running_mean", "running_variance")
    x = given.only
    axes = _channels(given, x)
    if "running_mean" in given.weights:
        mean = along(given.weight("running_mean"), x, axes)
        variance = along(given.weight("running_variance"), x, axes)
    else:
        mean, variance = _moments(x, [axis for axis in x.axes if axis not in axes])
    return _normalised(given, x, mean, variance, axes)


def instance_norm(given: Given) -> AxisArray:
    """Every channel of every sample brought to mean zero and variance one, or to running statistics."""
    if "running_mean" in given.weights:
        return batch_norm(given)
    given.require_weights_among("scale", "bias")
    x = given.only
    axes = _channels(given, x)
    return _normalised(given, x, *_moments(x, _beside(x, axes)), axes)


def group_norm(given: Given) -> AxisArray:
    """Every group of channels of every sample brought to mean zero and variance one."""
    given.require_weights_among("scale", "bias")
    x = given.only
    axes = _channels(given, x)
    groups, place = int(given.setting("groups")), x.axes.index(axes[0])
    channels = x.values.shape[place]
    if groups < 1 or channels % groups:
        raise Unknown
    values = floating(x.values)
    apart = values.reshape(*values.shape[:place], groups, channels // groups, *values.shape[place + 1 :])
    names = (*x.axes[:place], "group", *x.axes[place:])
    mean, variance = _moments(
        AxisArray(apart, names), [axis for axis in names if axis not in ("batch", "group")]
    )
    wide = [np.repeat(moment, channels // groups, place).squeeze(place + 1) for moment in (mean, variance)]
    return _normalised(given, x, wide[0], wide[1], axes)


def layer_norm(given: Given) -> AxisArray:
    """The numbers along some axes brought to mean zero and variance one."""
    given.require_weights_among("scale", "bias")
    x = given.only
    axes = _own_axes(given, x)
    return _normalised(given, x, *_moments(x, axes), axes)


def rms_norm(given: Given) -> AxisArray:
    """The numbers along some axes divided by the root of the mean of their squares."""
    given.require_weights_among("scale")
    x = given.only
    axes = _own_axes(given, x)
    places = tuple(x.axes.index(axis) for axis in axes)
    square = np.mean(np.square(floating(x.values), dtype=np.float64), places, keepdims=True)
    return _normalised(given, x, np.zeros_like(square), square, axes)


def _channels(given: Given, x: AxisArray) -> tuple[str, ...]:
    """The axis that has the layer's weights along it."""
    lengths = next((weight.shape for weight in given.weights.values()), None)
    if "axis" in given.config:
        axes = given.axes_at(x, given.config["axis"], lengths)
    else:
        axes = ("channel",) if "channel" in x.axes else x.axes[1:2]
    if len(axes) != 1 or (lengths is not None and lengths != (x.values.shape[x.axes.index(axes[0])],)):
        raise Unknown
    return axes


def _own_axes(given: Given, x: AxisArray) -> tuple[str, ...]:
    """The axes that are normalised, in the order in which the layer's weights have them."""
    lengths = next((weight.shape for weight in given.weights.values()), None)
    return given.axes_at(x, given.setting("axis"), lengths)


def _beside(x: AxisArray, axes: Sequence[str]) -> list[str]:
    if x.axes[0] != "batch":
        raise Unknown
    return [axis for axis in x.axes[1:] if axis not in axes]


def _moments(x: AxisArray, axes: Sequence[str]) -> tuple[Array, Array]:
    places = tuple(x.axes.index(axis) for axis in axes)
    values = floating(x.values)
    mean = values.mean(places, keepdims=True, dtype=np.float64)
    return mean, np.square(values - mean).mean(places, keepdims=True)


def _normalised(given: Given, x: AxisArray, mean: Array, variance: Array, axes: Sequence[str]) -> AxisArray:
    """Subtract, divide, scale and shift: as one product and one sum, made before the large array is touched."""
    values = floating(x.values)
    factor = 1 / np.sqrt(variance.astype(np.float64) + float(given.setting("epsilon")))
    scale, bias = (given.weights.get(name) for name in ("scale", "bias"))
    if scale is not None:
        factor = factor * along(scale + given.config.get("scale_offset", 0), x, axes)
    shift = 0.0 if bias is None else along(bias, x, axes)
    return AxisArray(((values - mean) * factor + shift).astype(values.dtype), x.axes)
