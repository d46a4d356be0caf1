"""Convolutions and pools in NumPy: what slides over the spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..words.arrays import SPATIAL_AXES, AxisArray
from .activation import with_activation
from .given import Array, Given, Unknown, floating

Pairs = tuple[tuple[int, int], ...]
Sizes = tuple[int, ...]

_PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def convolution(given: Given) -> AxisArray:
    """What a convolution returns: plain, in groups, or depthwise."""
    given.require_weights_among("kernel", "bias")
    kernel = given.weight("kernel")
    x = floating(laid_out(given, kernel.ndim - 2))
    groups = int(given.setting("groups"))
    result = _convolved(given, x, kernel, groups)
    return _finished(given, result)


def separable_convolution(given: Given) -> AxisArray:
    """A depthwise convolution, and one over channels alone behind it."""
    given.require_weights_among("depthwise_kernel", "pointwise_kernel", "bias")
    depthwise, pointwise = given.weight("depthwise_kernel"), given.weight("pointwise_kernel")
    x = floating(laid_out(given, depthwise.ndim - 2))
    between = _convolved(given, x, depthwise, x.shape[1])
    ones = (1,) * (depthwise.ndim - 2)
    return _finished(given, _slid(between, pointwise, ones, ones, 1))


def transposed_convolution(given: Given) -> AxisArray:
    """Every input spreads the kernel over the output; ``padding`` is what is cut off of that."""
    given.require_weights_among("kernel", "bias")
    kernel = given.weight("kernel")
    rank = kernel.ndim - 2
    x = floating(laid_out(given, rank))
    stride, dilation = _per_axis(given, "stride", rank), _per_axis(given, "dilation", rank)
    apart = np.zeros(
        (*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], stride, strict=True))), x.dtype
    )
    apart[(slice(None), slice(None), *(slice(None, None, step) for step in stride))] = x
    reach = [(size - 1) * step for size, step in zip(kernel.shape[2:], dilation, strict=True)]
    sides = tuple(
        (far - before, far - after)
        for far, (before, after) in zip(reach, _pairs(given.setting("padding"), rank), strict=True)
    )
    flipped = np.flip(kernel, tuple(range(2, kernel.ndim)))
    result = _slid(_padded(apart, sides), flipped, (1,) * rank, dilation, int(given.config.get("groups", 1)))
    return _finished(given, result)


def pool(given: Given) -> AxisArray:
    """What a pool returns, also one over all of its input or to a fixed size."""
    given.require_weights_among()
    pooling = given.setting("pooling")
    if pooling not in ("max", "average"):
        raise Unknown
    if "output_size" in given.config:
        return _adaptive(given, pooling)
    size = given.setting("kernel_size")
    x = floating(laid_out(given, len(size)))
    stride, dilation = _per_axis(given, "stride", len(size)), given.config.get("dilation", (1,) * len(size))
    sides = _sides(given.setting("padding"), x.shape[2:], size, stride, dilation)
    if any(before != after for before, after in sides) and "uneven_padding_mode" in given.config:
        x, sides = _padded(x, sides, given.config["uneven_padding_mode"]), ((0, 0),) * len(size)
    more = _overhang(x.shape[2:], sides, size, stride, dilation) if given.config.get("ceil_mode") else None
    reduced = _maximum if pooling == "max" else _mean
    result = reduced(given, x, sides, more or ((0, 0),) * len(size), size, stride, dilation)
    return like_input(given, result)


def padding(given: Given) -> AxisArray:
    """What a layer returns that only pads."""
    sides = given.setting("padding")
    x = laid_out(given, len(sides))
    mode, value = given.setting("padding_mode"), given.config.get("value", 0.0)
    return like_input(given, _padded(x, sides, mode, value))


def spatial_axes(rank: int) -> tuple[str, ...]:
    return ("batch", "channel", *SPATIAL_AXES[3 - rank :])


def laid_out(given: Given, rank: int) -> Array:
    """The input as batch, channel and spatial axes.

    Axes without names stand as ``data_format`` says, else in netviz' own order.
    """
    x = given.only
    if not 1 <= rank <= 3 or x.values.ndim != rank + 2:
        raise Unknown
    if set(x.axes) == set(spatial_axes(rank)):
        return x.transpose(*spatial_axes(rank)).values
    if rank == 1 and set(x.axes) == {"batch", "time", "channel"}:
        return x.transpose("batch", "channel", "time").values
    if not all(axis.startswith("axis") for axis in x.axes[1:]):
        raise Unknown
    return np.moveaxis(x.values, -1, 1) if given.config.get("data_format") == "channels_last" else x.values


def _per_axis(given: Given, name: str, rank: int) -> Sizes:
    value = given.setting(name)
    if not isinstance(value, (tuple, list)) or len(value) != rank:
        raise Unknown
    return tuple(value)


def _pairs(value: Any, rank: int) -> Pairs:
    if not isinstance(value, (tuple, list)) or len(value) != rank:
        raise Unknown
    return tuple(map(tuple, value))


def _sides(value: Any, lengths: Sizes, size: Sizes, stride: Sizes, dilation: Sizes) -> Pairs:
    """What is added to both ends; "same" by TensorFlow's rule, by which it depends on the input's size."""
    if value != "same":
        return _pairs(value, len(size))
    total = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(lengths, size, stride, dilation, strict=True)
    ]
    return tuple((lost // 2, lost - lost // 2) for lost in total)


def _padded(x: Array, sides: Pairs, mode: str = "zeros", value: float = 0.0) -> Array:
    """Add to both ends of the spatial axes, or cut off where that is less than nothing."""
    if mode not in _PAD_MODES:
        raise Unknown
    added = [(0, 0), (0, 0), *((max(before, 0), max(after, 0)) for before, after in sides)]
    constant: Any = {"constant_values": value} if mode == "zeros" else {}
    wide = np.pad(x, added, _PAD_MODES[mode], **constant) if any(map(any, added)) else x  # type: ignore[call-overload]
    kept = (
        slice(max(-before, 0), n - max(-after, 0))
        for n, (before, after) in zip(wide.shape[2:], sides, strict=True)
    )
    result: Array = wide[(slice(None), slice(None), *kept)]
    return result


def _convolved(given: Given, x: Array, kernel: Array, groups: int) -> Array:
    rank = kernel.ndim - 2
    stride, dilation = _per_axis(given, "stride", rank), _per_axis(given, "dilation", rank)
    sides = _sides(given.setting("padding"), x.shape[2:], kernel.shape[2:], stride, dilation)
    return _slid(
        _padded(x, sides, given.config.get("padding_mode", "zeros")), kernel, stride, dilation, groups
    )


def _slid(x: Array, kernel: Array, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """One matrix product for each sample and group: of the kernel and of all that it comes to stand on."""
    out, within, *size = kernel.shape
    if groups < 1 or x.shape[1] != within * groups or out % groups:
        raise Unknown
    lengths = _count(x.shape[2:], tuple(size), stride, dilation)
    matrix = kernel.reshape(groups, out // groups, -1)
    result = np.empty((len(x), groups, out // groups, math.prod(lengths)), np.result_type(x, kernel))
    # Sample by sample, as what the kernel stands on takes many times the memory of the sample.
    stood_on = np.empty((groups, within, math.prod(size), math.prod(lengths)), x.dtype)
    for sample, made in zip(x, result, strict=True):
        for place, part in enumerate(_parts(sample[None], tuple(size), stride, dilation, lengths)):
            stood_on[:, :, place] = part.reshape(groups, within, -1)
        np.matmul(matrix, stood_on.reshape(groups, -1, math.prod(lengths)), out=made)
    return result.reshape(len(x), out, *lengths)


def _count(lengths: Sizes, size: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """How many places a window has along each axis."""
    found = tuple(
        (n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(lengths, size, stride, dilation, strict=True)
    )
    if min(found) < 1:
        raise Unknown
    return found


def _parts(x: Array, size: Sizes, stride: Sizes, dilation: Sizes, lengths: Sizes) -> Iterator[Array]:
    """For each place within the window, what stands there as the window slides."""
    for place in np.ndindex(*size):
        slices = (
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, n, s in zip(place, dilation, lengths, stride, strict=True)
        )
        yield x[(slice(None), slice(None), *slices)]


def _finished(given: Given, result: Array) -> AxisArray:
    rank = result.ndim - 2
    if "bias" in given.weights:
        result = result + given.weights["bias"].reshape(-1, *(1,) * rank)
    return with_activation(given, AxisArray(result, spatial_axes(rank)))


def _overhang(lengths: Sizes, sides: Pairs, size: Sizes, stride: Sizes, dilation: Sizes) -> Pairs:
    """What the last window reaches beyond the padding, where windows are counted rounding up."""
    more = []
    for n, (before, after), k, s, d in zip(lengths, sides, size, stride, dilation, strict=True):
        whole, reach = n + before + after, (k - 1) * d + 1
        count = -(-(whole - reach) // s) + 1
        if (count - 1) * s >= n + before:
            count -= 1
        more.append((0, max((count - 1) * s + reach - whole, 0)))
    return tuple(more)


def _maximum(
    given: Given, x: Array, sides: Pairs, more: Pairs, size: Sizes, stride: Sizes, dilation: Sizes
) -> Array:
    # What is padded with is what counts for nothing, but for layers of another mind.
    wide = _padded(_padded(x, sides, value=given.config.get("value", -np.inf)), more, value=-np.inf)
    lengths = _count(wide.shape[2:], size, stride, dilation)
    result = np.full((*x.shape[:2], *lengths), -np.inf, x.dtype)
    for part in _parts(wide, size, stride, dilation, lengths):
        np.maximum(result, part, out=result)
    return result


def _mean(
    given: Given, x: Array, sides: Pairs, more: Pairs, size: Sizes, stride: Sizes, dilation: Sizes
) -> Array:
    wide = _padded(_padded(x, sides), more)
    lengths = _count(wide.shape[2:], size, stride, dilation)
    total = sum(part for part in _parts(wide, size, stride, dilation, lengths))
    if given.config.get("divisor") is not None:
        return np.asarray(total / given.config["divisor"], x.dtype)
    counts_padding = any(map(any, sides)) and given.setting("count_include_pad")
    ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
    counted = _padded(_padded(ones, sides, value=1.0 if counts_padding else 0.0), more)
    count = sum(part for part in _parts(counted, size, stride, dilation, lengths))
    return np.asarray(total / count, x.dtype)


def _adaptive(given: Given, pooling: str) -> AxisArray:
    """Pool to a fixed number of windows, which may overlap by one where it does not divide the length."""
    wanted = given.setting("output_size")
    if not isinstance(wanted, (tuple, list)):
        raise Unknown
    result = floating(laid_out(given, len(wanted)))
    reduce = np.max if pooling == "max" else np.mean
    for axis, told in enumerate(wanted, 2):
        length = result.shape[axis]
        count = length if told is None else told
        bounds = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
        parts = [reduce(result[(slice(None),) * axis + (slice(*one),)], axis=axis) for one in bounds]
        result = np.stack(parts, axis)
    if given.config.get("keepdims", True):
        return like_input(given, result)
    return AxisArray(result.reshape(result.shape[:2]), ("batch", "channel"))


def like_input(given: Given, result: Array) -> AxisArray:
    """Give the result the axes of the input, where the layer keeps them."""
    axes = spatial_axes(result.ndim - 2)
    if "time" in given.x.axes:
        return AxisArray(result, ("batch", "channel", "time")).canonical()
    unnamed = set(given.x.axes) != set(axes) and "data_format" not in given.config
    return AxisArray(result, given.x.axes if unnamed else axes)
