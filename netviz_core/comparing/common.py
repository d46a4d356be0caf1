"""Brings what two layers hold into one form, so that numbers can be held against numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ..words.arrays import AxisArray, canonical_axes

Array = np.ndarray[Any, Any]

_SKETCH = 64


class Matched(NamedTuple):
    """Two arrays of one shape, and how b's was brought to that of a; empty if nothing was to do."""

    a: Array
    b: Array
    axes: tuple[str, ...]
    note: str = ""


def matched(a: AxisArray, b: AxisArray) -> Matched | None:
    """Bring two arrays to the same axes in the same order; None if they have no common shape.

    Axes of length one count for nothing. Where names are not known on one side, and the sizes leave
    several ways, the one whose numbers fit is taken.
    """
    left, right = _squeezed(a), _squeezed(b)
    if left.shape == right.shape and (left.axes == right.axes or _is_positional(left, right)):
        return Matched(left.values, right.values, left.axes)
    if set(left.axes) == set(right.axes):
        moved = right.transpose(*left.axes)
        return Matched(left.values, moved.values, left.axes) if moved.shape == left.shape else None
    if sorted(left.shape) == sorted(right.shape):
        return _best_order(left, right)
    return None


def _squeezed(array: AxisArray) -> AxisArray:
    """The array without axes of length one, the batch aside."""
    array = array.canonical()
    keep = [place for place, (axis, size) in enumerate(array.sizes.items()) if size != 1 or axis == "batch"]
    values = array.values.reshape([array.shape[place] for place in keep])
    return AxisArray(values, tuple(array.axes[place] for place in keep))


def _is_positional(left: AxisArray, right: AxisArray) -> bool:
    """Whether the names of one side say nothing, so that the order has to do."""
    return any(axis.startswith("axis") for array in (left, right) for axis in array.axes)


def _best_order(left: AxisArray, right: AxisArray) -> Matched | None:
    orders = [
        order
        for order in permutations(range(right.values.ndim))
        if tuple(right.shape[place] for place in order) == left.shape
    ]
    best = min(
        orders, key=lambda order: sketch_error(sketch(left.values), sketch(right.values.transpose(order)))
    )
    note = "" if len(orders) == 1 else f"b's axes {right.axes} were taken in the order {best}"
    return Matched(left.values, right.values.transpose(best), left.axes, note)


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
    return taken.astype(np.complex128).view(np.float64)[::2] if taken.dtype.kind != "c" else np.abs(taken)


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
