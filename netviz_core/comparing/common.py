"""Brings what two layers hold into one form, so that numbers can be held against numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ..words.arrays import AxisArray, as_float64, canonical_axes

Array = np.ndarray[Any, Any]

_SKETCH = 64
_CLOSE = 1e-3
_CLEARLY, _SAME = 0.2, 1.99
"""By how much the numbers of one order must fit better than those of any other; and when two fit as well."""


class Matched(NamedTuple):
    """Two arrays of one shape, and how b's was brought to that of a; empty if nothing was to do.

    In `order` stand the axes of b, without those of length one.
    """

    a: Array
    b: Array
    axes: tuple[str, ...]
    note: str = ""
    order: tuple[int, ...] = ()


def matched(a: AxisArray, b: AxisArray) -> Matched | None:
    """Bring two arrays to the same axes in the same order; None if they have no common shape.

    Axes of length one count for nothing, the samples' own included. A name that is known on both sides binds.
    Where names and sizes leave several orders the numbers decide, and where these cannot either, this is said.
    """
    left, right = _squeezed(a), _squeezed(b)
    orders = _orders(left, right)
    if not orders:
        return None
    order, note = _decided(left, right, orders)
    other = right.transpose(*(right.axes[place] for place in order))
    axes = _names(left.axes, other.axes)
    values = left.values, other.values
    if "batch" not in axes and "batch" in (*a.axes, *b.axes):
        axes, values = ("batch", *axes), (values[0][np.newaxis], values[1][np.newaxis])
    return Matched(*values, axes, note, order)


def is_named(axis: str) -> bool:
    """Whether the name of an axis says what it is, and not only where it stands."""
    return not axis.startswith("axis")


def _squeezed(array: AxisArray) -> AxisArray:
    """The array without axes of length one."""
    array = array.canonical()
    sizes = {axis: size for axis, size in array.sizes.items() if size != 1}
    return AxisArray(array.values.reshape(tuple(sizes.values())), tuple(sizes))


def _orders(left: AxisArray, right: AxisArray) -> list[tuple[int, ...]]:
    """The orders in which the axes of the right have the sizes of the left, and, if possible, its names."""
    if left.shape == right.shape and left.axes == right.axes:
        return [tuple(range(right.values.ndim))]
    if sorted(left.shape) != sorted(right.shape):
        return []
    fitting = [
        order
        for order in permutations(range(right.values.ndim))
        if tuple(right.shape[place] for place in order) == left.shape
    ]
    shared = {axis for axis in left.axes if is_named(axis)} & set(right.axes)
    bound = [
        order
        for order in fitting
        if all(
            own == right.axes[place]
            for own, place in zip(left.axes, order, strict=True)
            if shared & {own, right.axes[place]}
        )
    ]
    is_told = set(left.axes) == set(right.axes) == shared
    return bound if bound or is_told else fitting


def _decided(
    left: AxisArray, right: AxisArray, orders: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], str]:
    """The order of the right whose numbers fit best, and what is to be said of it."""
    if len(orders) == 1:
        return orders[0], ""
    own = sketch(left.values)
    fits = {order: _fit(own, sketch(right.values.transpose(order))) for order in orders}
    best, second = sorted(orders, key=lambda order: -fits[order])[
        :2
    ]  # of equals the one that stands as it is

    def told(order: tuple[int, ...]) -> str:
        return f"({', '.join(right.axes[place] for place in order)})"

    if fits[best] - fits[second] > _CLEARLY:
        return best, f"b's axes ({', '.join(right.axes)}) were taken in the order {told(best)}"
    if fits[second] > _SAME:
        return orders[0], ""
    return orders[0], (
        f"b's axes {told(orders[0])} were taken as they stand; they may as well be meant in the order "
        f"{told(second if best == orders[0] else best)}: the numbers do not tell"
    )


def _fit(one: Array, other: Array) -> float:
    """How well two sketches go together: the share of equal numbers, and how both rise and fall."""
    one, other = np.nan_to_num(one), np.nan_to_num(other)
    with np.errstate(all="ignore"):
        scale = np.sqrt((np.mean(one * one) + np.mean(other * other)) / 2)
        together = np.mean((one - one.mean()) * (other - other.mean())) / (one.std() * other.std())
    return float(np.mean(np.abs(one - other) <= _CLOSE * scale) + np.nan_to_num(together))


def _names(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    """The names of the left, and of the right where these alone say something."""
    return tuple(
        other if not is_named(own) and is_named(other) and other not in left else own
        for own, other in zip(left, right, strict=True)
    )


def sketch(values: Array) -> Array:
    """A few numbers of an array, from places spread over all of it, the same for arrays of one shape."""
    if not values.size:
        return np.zeros(_SKETCH)
    # A step that shares no factor with the size goes through all axes.
    step = max(int(values.size * 0.6180339887), 1)
    while math.gcd(step, values.size) != 1:
        step += 1
    places = np.arange(_SKETCH, dtype=np.int64) * step % values.size
    values = np.atleast_1d(values)
    taken = values[np.unravel_index(places, values.shape)]
    return as_float64(taken) if taken.dtype.kind != "c" else np.abs(taken)


def sketch_error(a: Array, b: Array) -> float:
    """The largest difference of two sketches, as a share of their size."""
    with np.errstate(all="ignore"):
        scale = np.sqrt((np.mean(a * a) + np.mean(b * b)) / 2)
        error = float(np.max(np.abs(a - b))) / scale if scale else 0.0
    return error if np.isfinite(error) else (0.0 if np.array_equal(a, b, equal_nan=True) else math.inf)


def flattenings(shape: Sequence[int], axes: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Ways from features flattened in canonical order to those flattened in another, in words and as indices.

    ``features[indices]`` of the canonical order are the features in the other one.
    """
    own = canonical_axes(tuple(axes))
    sizes = dict(zip(axes, shape, strict=True))
    indices = np.arange(math.prod(shape)).reshape([sizes[axis] for axis in own])
    for order in permutations(own):
        if order != own:
            yield ", ".join(order), indices.transpose([own.index(axis) for axis in order]).ravel()


def form_of(array: AxisArray) -> str:
    """The axes of an array with their sizes, in words."""
    return f"({', '.join(f'{axis} {size}' for axis, size in array.sizes.items())})"
