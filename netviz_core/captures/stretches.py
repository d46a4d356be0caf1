"""From where to where elements lie along one axis of an input: arrays of starts and ends, and what is done to them.

What repeats along an axis takes no memory: there the array has a stride of zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..words.supports_flow import Stretch

Array = np.ndarray[Any, Any]

_ROUNDING = 1e-3
"""How much two ends of stretches may differ and still be the same, as a share of one element."""


def nowhere(shape: Sequence[int]) -> Stretch:
    """Of elements that do not depend on an input."""
    one = np.float32(np.inf)
    return Stretch(np.broadcast_to(one, tuple(shape)), np.broadcast_to(-one, tuple(shape)))


def varying(stretch: Stretch) -> set[int]:
    """The axes of a tensor along which elements lie at different places."""
    return {axis for axis in range(stretch.low.ndim) if any(differs_along(end, axis) for end in stretch)}


def differs_along(end: Array, axis: int) -> bool:
    """Whether something changes along an axis."""
    if end.shape[axis] < 2 or end.strides[axis] == 0:
        return False
    end = thinned(end, keep=axis)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(end - end.take([0], axis)) > _ROUNDING).any())


def thinned(end: Array, keep: int | None = None) -> Array:
    """The same without the repetitions that take no memory."""
    is_repeated = [step == 0 and axis != keep for axis, step in enumerate(end.strides)]
    return end[tuple(slice(1) if repeated else slice(None) for repeated in is_repeated)]


def reshaped(end: Array, shape: tuple[int, ...]) -> Array:
    """As ``numpy.reshape`` does; what repeats along axes that stay apart from the others takes no memory."""
    if not end.size:
        return np.zeros(shape, end.dtype)
    once, short = list(end.shape), list(shape)
    for old, new in _groups(end.shape, shape):
        if all(end.strides[axis] == 0 or end.shape[axis] == 1 for axis in old):
            for axis in old:
                once[axis] = 1
            for axis in new:
                short[axis] = 1
    thin = end[tuple(slice(length) for length in once)]
    return np.broadcast_to(compact(thin.reshape(short)), shape)


def _groups(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The axes that a reshape makes of each other, from the front on."""
    old: list[int] = []
    new: list[int] = []
    sizes = [1, 1]
    following = [iter(range(len(before))), iter(range(len(after)))]
    while True:
        side = int(sizes[0] > sizes[1])
        axis = next(following[side], None)
        if axis is None:
            side = 1 - side
            axis = next(following[side], None)
        if axis is None:
            break
        (old, new)[side].append(axis)
        sizes[side] *= (before, after)[side][axis]
        if sizes[0] == sizes[1] and old and new:
            yield old, new
            old, new, sizes = [], [], [1, 1]
    if old or new:
        yield old, new


def compact(end: Array) -> Array:
    """The same, with what repeats along an axis taking no memory."""
    if not end.size:
        return end
    same = [a for a in range(end.ndim) if end.shape[a] > 1 and end.strides[a] and not differs_along(end, a)]
    once = end[tuple(slice(1) if axis in same else slice(None) for axis in range(end.ndim))]
    return np.broadcast_to(np.array(once), end.shape) if same else end


def least(end: Array) -> float:
    """The lowest of all values."""
    return float(thinned(end).min())


def along(axis: int, shape: tuple[int, ...]) -> Stretch:
    """Each element of a tensor where it stands along one of its axes."""
    index = np.arange(shape[axis], dtype=np.float32).reshape(
        [-1 if a == axis else 1 for a in range(len(shape))]
    )
    return Stretch(np.broadcast_to(index, shape), np.broadcast_to(index + 1, shape))


def summed(stretch: Stretch, axes: Sequence[int], keepdims: bool) -> Stretch:
    """What is made of all elements along axes, see `placing.hull`."""
    rank = stretch.low.ndim
    axes = tuple(axis % rank for axis in axes)
    shape = [1 if axis in axes else size for axis, size in enumerate(stretch.low.shape)]
    low, high = np.broadcast_arrays(*map(thinned, stretch))
    start = low.min(axis=axes, keepdims=True, initial=np.inf)
    end = high.max(axis=axes, keepdims=True, initial=-np.inf)
    if any(low.shape[axis] > 1 for axis in axes):
        is_none = low > high
        common = np.where(is_none, -np.inf, low).max(axis=axes, keepdims=True)
        common_end = np.where(is_none, np.inf, high).min(axis=axes, keepdims=True)
        smallest = np.where(is_none, np.inf, high - low).min(axis=axes, keepdims=True)
        with np.errstate(invalid="ignore"):
            has_part = np.abs(smallest - (common_end - common)) < _ROUNDING
        start, end = np.where(has_part, common, start), np.where(has_part, common_end, end)
    ends = (np.broadcast_to(part.astype(np.float32), shape) for part in (start, end))
    return Stretch(*(part if keepdims else part.squeeze(axes) for part in ends))


def meeting(first: Stretch, second: Stretch) -> Stretch:
    """Where the smaller of two stretches is, if the other holds it; else the hull."""
    if first.low is second.low and first.high is second.high:
        return first
    shape = first.low.shape
    (low, high), (other_low, other_high) = (map(thinned, stretch) for stretch in (first, second))
    is_none, is_other_none = low > high, other_low > other_high
    holds = (low <= other_low + _ROUNDING) & (other_high <= high + _ROUNDING)
    is_held = (other_low <= low + _ROUNDING) & (high <= other_high + _ROUNDING)
    takes_other = ~is_other_none & (is_none | (holds & ~is_held))
    takes_first = ~takes_other & (is_other_none | is_held)
    low = np.where(takes_other, other_low, np.where(takes_first, low, np.minimum(low, other_low)))
    high = np.where(takes_other, other_high, np.where(takes_first, high, np.maximum(high, other_high)))
    return Stretch(np.broadcast_to(low, shape), np.broadcast_to(high, shape))


def widened(stretch: Stretch, widths: Sequence[tuple[int, int]]) -> Iterator[Array]:
    """The two ends with something put around them, see `placing.with_margins`."""
    places = varying(stretch)
    cut = tuple(
        slice(max(-first, 0), size - max(-last, 0)) for (first, last), size in _sized(stretch, widths)
    )
    for end, fill in zip(stretch, (np.inf, -np.inf), strict=True):
        shape = [
            end[cut].shape[axis] + max(first, 0) + max(last, 0) for axis, (first, last) in enumerate(widths)
        ]
        thin = tuple(slice(None) if axis in places else slice(1) for axis in range(end.ndim))
        added = [
            (max(first, 0), max(last, 0)) if axis in places else (0, 0)
            for axis, (first, last) in enumerate(widths)
        ]
        yield np.broadcast_to(np.pad(end[cut][thin], added, constant_values=fill), shape)


def _sized(stretch: Stretch, widths: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], int]]:
    return zip(widths, stretch.low.shape, strict=True)


def resampled(stretch: Stretch, axis: int, length: int) -> Stretch:
    """Each element's share of the whole, where an axis becomes longer or shorter."""
    stretch = _without_margins(stretch, axis)
    count = stretch.low.shape[axis]
    if count == length:
        return stretch
    if not any(differs_along(end, axis) for end in stretch):
        shape = (*stretch.low.shape[:axis], length, *stretch.low.shape[axis + 1 :])
        return Stretch(*(np.broadcast_to(end.take([0], axis), shape) for end in stretch))
    shape = (*stretch.low.shape[:axis], length, *stretch.low.shape[axis + 1 :])
    stretch = Stretch(*(thinned(end, keep=axis) for end in stretch))
    along = [-1 if a == axis else 1 for a in range(stretch.low.ndim)]
    starts, ends = (np.arange(length) + shift for shift in (0, 1))
    first = np.floor(starts * count / length + 1e-9).astype(int)
    last = np.maximum(np.ceil(ends * count / length - 1e-9).astype(int) - 1, first)
    before = (starts * count / length - first).reshape(along)
    behind = (last + 1 - ends * count / length).reshape(along)
    low, high = (end.take(first, axis) for end in stretch)
    last_low, last_high = (end.take(last, axis) for end in stretch)
    is_none, is_last_none = low > high, last_low > last_high
    low, high = np.where(is_none, last_low, low), np.where(is_none, last_high, high)
    last_low, last_high = np.where(is_last_none, low, last_low), np.where(is_last_none, high, last_high)
    size, last_size = np.maximum(high - low, 0), np.maximum(last_high - last_low, 0)
    is_rising = _rises(stretch.low, axis)
    new_low = np.where(is_rising, low + before * size, last_low + behind * last_size)
    new_high = np.where(is_rising, last_high - behind * last_size, high - before * size)
    return Stretch(*(np.broadcast_to(end.astype(np.float32), shape) for end in (new_low, new_high)))


def _without_margins(stretch: Stretch, axis: int) -> Stretch:
    """Without what lies nowhere at the beginning and the end of an axis."""
    if not any(differs_along(end, axis) for end in stretch):
        return stretch
    others = tuple(a for a in range(stretch.low.ndim) if a != axis)
    low, high = np.broadcast_arrays(*(thinned(end, keep=axis) for end in stretch))
    inner = np.flatnonzero((low < high).any(axis=others))
    within = (slice(None),) * axis + (slice(inner[0], inner[-1] + 1) if inner.size else slice(None),)
    return Stretch(*(end[within] for end in stretch))


def _rises(ends: Array, axis: int) -> Array:
    """Whether what lies along an axis is in the order of the input, rather than flipped."""
    with np.errstate(invalid="ignore"):
        steps = np.diff(ends, axis=axis)
    return np.asarray(np.sign(np.where(np.isfinite(steps), steps, 0)).sum(axis=axis, keepdims=True) >= 0)
