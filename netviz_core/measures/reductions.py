"""Count, mean, variance, extremes and zeros of each channel of an array, read once while it is in the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..words.arrays import as_float64
from .channel_statistics import ChannelStatistics

Array = np.ndarray[Any, Any]

_BLOCK = 2**17
"""How many values are reduced in all ways before the next are read: half of what stays in a core's own cache."""

_LONG_ROW = 128
"""From this length on, the neighbours of one channel are reduced as they lie; never more than `_LONGEST` at once."""

_LONGEST = 2**12
_MOST_ROWS = 32
"""How many numbers that lie apart are added before their sum goes on in float64."""

_FEW = 256
"""Of fewer values a channel, rounding does not average out: they are added in float64."""

_SMALL = 2**12
"""Of fewer values in all, how they are read costs less than to find out how they can be."""

_FAR = 4.0
"""Where the squared mean is so many times the variance, mean squares do not tell the variance to 1e-6."""

_SMALL_SQUARE = 1e-20
"""Where mean squares are smaller, some float32 may have lost digits to underflow."""


def by_channel(values: Array, axes: Sequence[str], *, precise: bool = False) -> ChannelStatistics:
    """Reduce real numbers of any layout in memory over all axes but ``channel``; as one channel, where it is absent.

    Sums and sums of squares are taken block by block, in the numbers' own precision, and go on in float64. Where
    values lie far from zero, they are taken of the distances from about the mean, as a few values show it. A channel
    for which that failed is read again about its mean; one that holds what is not finite, or cannot be squared,
    in float64. If it has to be precise, all sums are of float64.
    """
    parts = _as_outer_channel_inner(values, axes)
    outer, channels, inner = parts.shape
    if not parts.size:
        return ChannelStatistics.of_nothing(channels)
    if parts.size < _SMALL:
        return _carefully(parts)
    count = outer * inner
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if parts.dtype.kind != "f":
            parts = parts.astype(np.float64)
        precision = np.promote_types(parts.dtype, np.float64 if precise or count < _FEW else np.float32)
        about = _about_the_mean(parts, precision)
        sums = _sums(parts, about)
        mean, variance, is_far = sums.moments(count, about)
        constant = sums.minimum == sums.maximum
        plain = constant | (sums.squares > count * _SMALL_SQUARE)
        plain &= np.isfinite(sums.squares) & np.isfinite(mean)
        for some in _few_at_a_time(np.flatnonzero(plain & is_far & ~constant), count):
            about = mean[some].astype(precision)
            mean[some], variance[some], _ = _sums(parts[:, some], about).moments(count, about)
    mean[constant], variance[constant] = sums.minimum[constant], 0.0
    none = np.zeros(channels, np.int64)
    extremes = sums.minimum.astype(np.float64), sums.maximum.astype(np.float64)
    found = ChannelStatistics(none + count, mean, variance, *extremes, sums.zeros, none, none.copy())
    for some in _few_at_a_time(np.flatnonzero(~plain), count):
        for entry, again in zip(found.columns, _carefully(parts[:, some]).columns, strict=True):
            entry[some] = again
    return found


def in_memory_order(values: Array) -> tuple[int, ...]:
    """The axes of an array, those first along which neighbours lie farthest apart."""
    return tuple(sorted(range(values.ndim), key=lambda axis: -abs(values.strides[axis])))


def _as_outer_channel_inner(values: Array, axes: Sequence[str]) -> Array:
    """The same values with three axes, in the order in which they lie in memory; copied only if they lie apart."""
    order = in_memory_order(values)
    values = values.transpose(order)
    if "channel" not in axes:
        return values.reshape(1, 1, values.size)
    place = order.index(tuple(axes).index("channel"))
    outer, inner = math.prod(values.shape[:place]), math.prod(values.shape[place + 1 :])
    return values.reshape(outer, values.shape[place], inner)


def _about_the_mean(parts: Array, precision: np.dtype[Any]) -> Array:
    """Of each channel, the mean of a few of many values; zero where it is close to that."""
    outer, channels, inner = parts.shape
    if outer * inner < _FEW:
        return np.zeros(channels, precision)
    few = parts[:: max(1, outer // (16 if inner < 16 else 4)), :, :: max(1, inner // 4)]
    few = few.transpose(0, 2, 1).reshape(-1, channels)
    mean, mean_square = few.sum(axis=0) / len(few), np.einsum("ij,ij->j", few, few) / len(few)
    about: Array = np.where(2 * mean**2 > mean_square, mean, 0).astype(precision)
    return about


class _Sums(NamedTuple):
    """Of each channel; int64 for the zeros. `total` and `squares` are float64, those of distances from a number."""

    total: Array
    squares: Array
    minimum: Array
    maximum: Array
    zeros: Array

    @classmethod
    def of_nothing(cls, size: int, dtype: np.dtype[Any]) -> _Sums:
        ends = np.full(size, np.inf, dtype), np.full(size, -np.inf, dtype)
        return cls(np.zeros(size), np.zeros(size), *ends, np.zeros(size, np.int64))

    def joined(self, shape: tuple[int, int, int]) -> _Sums:
        """Of each channel, where these are of each outer, channel, and inner."""
        return _Sums(*(_joined(one.reshape(shape), how) for one, how in zip(self, _HOW, strict=True)))

    def moments(self, count: int, about: Array) -> tuple[Array, Array, Array]:
        """Mean, variance, and whether the mean is so far from `about` that the variance is not to be trusted."""
        beside = self.total / count
        variance = self.squares / count - beside**2
        return about + beside, variance, variance * _FAR < beside**2


_HOW = (np.add, np.add, np.minimum, np.maximum, np.add)
"""How the numbers of `_Sums` are joined."""


def _joined(numbers: Array, how: np.ufunc) -> Array:
    outer, channels, inner = numbers.shape
    numbers = (how.reduce(numbers, axis=0) if outer > 1 else numbers).reshape(-1)
    joined: Array = how.reduceat(numbers, np.arange(0, channels * inner, inner)) if inner > 1 else numbers
    return joined


def _sums(parts: Array, about: Array) -> _Sums:
    """Of the distances of each channel's values from a number, taken in its precision."""
    if (
        parts.shape[:2] == (1, 1) and parts.size > _LONGEST
    ):  # one row is cut into many of one length, and the rest
        whole = (parts.size - 1) // _LONGEST * _LONGEST
        many = _along_rows(parts[..., :whole].reshape(-1, 1, _LONGEST), about)
        rest = _along_rows(parts[..., whole:], about)
        return _Sums(*(how(one, other) for how, one, other in zip(_HOW, many, rest, strict=True)))
    return (_along_rows if parts.shape[2] >= _LONG_ROW else _across_rows)(parts, about)


def _along_rows(parts: Array, about: Array) -> _Sums:
    """Where a channel's values lie in long rows, each row, or piece of it, is reduced to one number."""
    outer, channels, inner = parts.shape
    rows = parts.reshape(outer * channels, inner)
    origins = np.tile(about, outer)[:, np.newaxis]
    found = _Sums.of_nothing(len(rows), parts.dtype)
    width = min(inner, _LONGEST)
    height, ones = _BLOCK // width, np.ones(width, about.dtype)
    for top in range(0, len(rows), height):
        sums = _Sums(*(entry[top : top + height] for entry in found))
        origin = origins[top : top + height]
        for left in range(0, inner, width):
            block = rows[top : top + height, left : left + width]
            one = ones[: block.shape[1]]
            # As `min` and `max`, and faster.
            np.minimum(sums.minimum, np.minimum.reduceat(block, [0], axis=1)[:, 0], out=sums.minimum)
            np.maximum(sums.maximum, np.maximum.reduceat(block, [0], axis=1)[:, 0], out=sums.maximum)
            is_zero = block == 0
            if is_zero.any():
                sums.zeros[:] += (is_zero @ one).astype(np.int64)
            distances = _distances(block, origin)
            # Inner products are what NumPy adds fastest and, over a row, well enough.
            sums.total[:] += distances @ one
            sums.squares[:] += np.matmul(distances[:, np.newaxis], distances[:, :, np.newaxis])[:, 0, 0]
    return found.joined((outer, channels, 1))


def _across_rows(parts: Array, about: Array) -> _Sums:
    """Where they lie in short rows, what has the same place in each of several rows is reduced to one number."""
    outer, channels, inner = parts.shape
    joined = math.gcd(outer, 2 ** max(0, (_BLOCK // _MOST_ROWS // (channels * inner)).bit_length() - 1))
    rows = parts.reshape(outer // joined, joined * channels * inner)
    origins = np.tile(np.repeat(about, inner), joined)
    found = _Sums.of_nothing(rows.shape[1], parts.dtype)
    height = min(len(rows), _MOST_ROWS)
    width = _BLOCK // height
    for left in range(0, rows.shape[1], width):
        sums = _Sums(*(entry[left : left + width] for entry in found))
        origin = origins[left : left + width]
        for top in range(0, len(rows), height):
            block = rows[top : top + height, left : left + width]
            np.minimum(sums.minimum, block.min(axis=0), out=sums.minimum)
            np.maximum(sums.maximum, block.max(axis=0), out=sums.maximum)
            is_zero = block == 0
            if is_zero.any():
                sums.zeros[:] += np.add.reduce(is_zero.view(np.uint8), axis=0, dtype=np.uint8)
            distances = _distances(block, origin)
            sums.total[:] += distances.sum(axis=0)
            sums.squares[:] += np.einsum("ij,ij->j", distances, distances)
    return found.joined((joined, channels, inner))


def _distances(block: Array, origin: Array) -> Array:
    """Of values from numbers, in the precision of these."""
    return block - origin if origin.any() else block.astype(origin.dtype, copy=False)


def _few_at_a_time(channels: Array, values_each: int) -> Iterator[Array]:
    """Channels in groups of at most some million values, each of at least one."""
    size = max(1, 2**20 // values_each)
    for start in range(0, len(channels), size):
        yield channels[start : start + size]


def _carefully(parts: Array) -> ChannelStatistics:
    """Of any numbers, in float64 and in two steps: first the mean, then the distances from it."""
    numbers = as_float64(parts)
    finite = np.isfinite(numbers)
    over = (0, 2)
    count = finite.sum(axis=over)
    empty = count == 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(finite, numbers, 0.0) / count[:, np.newaxis]  # before the sum, which might overflow
        mean = share.sum(axis=over)
        distance = np.where(finite, numbers - mean[:, np.newaxis], 0.0)
        variance = np.square(distance, out=distance).sum(axis=over) / count
    minimum = np.where(empty, np.nan, np.where(finite, numbers, np.inf).min(axis=over))
    maximum = np.where(empty, np.nan, np.where(finite, numbers, -np.inf).max(axis=over))
    constant = minimum == maximum
    return ChannelStatistics(
        count,
        np.where(constant, minimum, mean),
        np.where(constant, 0.0, variance),
        minimum,
        maximum,
        (numbers == 0).sum(axis=over),
        parts.shape[0] * parts.shape[2] - count,
        np.isnan(numbers).sum(axis=over),
    )
