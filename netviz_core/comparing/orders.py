"""One array as another with its slices in another order, along one axis or two at once, and that order in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_CLOSE = 1e-4
_LISTED = 8
_SPATIAL = ("z", "y", "x")


class Permutation(NamedTuple):
    """Along which axis, and which slice of the one array stands first, second, … in the other."""

    axis: str
    order: tuple[int, ...]


def permutations_of(expected: Array, held: Array, axes: Sequence[str]) -> tuple[Permutation, ...]:
    """How the slices of one array must be put in order to become another; nothing if that does not do.

    Slices are brought together by a number that each has on both sides, so the cost is that of sorting.
    """
    if expected.shape != held.shape or not _same(np.sort(expected, None), np.sort(held, None)):
        return ()
    places = [place for place, axis in enumerate(axes) if axis not in _SPATIAL and expected.shape[place] > 1]
    for place in places:
        order = _order(_slices(expected, place), _slices(held, place))
        if order is not None and _same(expected.take(order, place), held):
            return (Permutation(axes[place], tuple(order.tolist())),)
    for first, second in combinations(places, 2):
        found = _along_both(expected, held, first, second)
        if found is not None:
            return tuple(
                Permutation(axes[place], tuple(order.tolist()))
                for place, order in zip((first, second), found, strict=True)
                if (np.diff(order) != 1).any()
            )
    return ()


def _slices(values: Array, place: int) -> Array:
    moved: Array = np.moveaxis(values, place, 0).reshape(values.shape[place], -1).astype(np.float64)
    return moved


def _order(ours: Array, theirs: Array) -> Array | None:
    """Which row of the one is each row of the other; None if the sums by which they are known do not agree."""
    weights = np.random.default_rng(0).normal(size=ours.shape[1])
    left, right = ours @ weights, theirs @ weights
    by_size, places = np.argsort(left, kind="stable"), np.argsort(np.argsort(right, kind="stable"))
    scale = float(np.abs(left).max(initial=0.0))
    if not np.allclose(left[by_size], np.sort(right), rtol=0, atol=_CLOSE * scale):
        return None
    order: Array = by_size[places]
    return order


def _along_both(expected: Array, held: Array, first: int, second: int) -> tuple[Array, Array] | None:
    """Orders along two axes: slices sorted along the second axis are the same in whatever order that one is."""
    rows = _order(*(_slices(np.sort(values, second), first) for values in (expected, held)))
    if rows is None:
        return None
    moved = expected.take(rows, first)
    columns = _order(_slices(moved, second), _slices(held, second))
    if columns is None or not _same(moved.take(columns, second), held):
        return None
    return rows, columns


def _same(left: Array, right: Array) -> bool:
    scale = float(np.std(right))
    return bool(np.allclose(left, right, rtol=_CLOSE, atol=_CLOSE * scale, equal_nan=True))


def in_words(order: Sequence[int], heads: int = 0) -> str:
    """What was done to put things in this order."""
    found = np.array(order)
    size = len(found)
    if (found == np.arange(size)[::-1]).all():
        return "reversed"
    moved = np.flatnonzero(found != np.arange(size))
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} exchanged"
    groups = [group for group in range(1, size) if not size % group]
    for group in groups:
        within = found.reshape(-1, group) - np.arange(0, size, group)[:, None]
        if (within == within[0]).all() and within.min() >= 0 and within.max() < group:
            return f"{in_words(within[0].tolist())}, within each {_group(size, group, heads)}"
    for group in reversed(groups):
        blocks = found.reshape(-1, group)
        if (
            group > 1
            and (blocks == blocks[:, :1] + np.arange(group)).all()
            and not (blocks[:, 0] % group).any()
        ):
            return _of_groups(blocks[:, 0] // group, _group(size, group, heads))
    return _within(found)


def _group(size: int, group: int, heads: int) -> str:
    return "head" if heads and group * heads == size else f"group of {group}"


def _of_groups(order: Array, what: str) -> str:
    if len(order) == 2:
        return "halves exchanged"
    return f"each {what} kept, {_within(order)}"


def _within(order: Array) -> str:
    parts = transposed(order)
    if parts is not None and parts[0] == 2:
        return "interleaved instead of in halves"
    if parts is not None and parts[1] == 2:
        return "in halves instead of interleaved"
    if parts is not None:
        return f"as if read as {parts[0]} by {parts[1]} and transposed"
    if (order == np.arange(len(order))[::-1]).all():
        return "reversed"
    said = ", ".join(map(str, order[:_LISTED]))
    return f"{said}{', …' if len(order) > _LISTED else ''}"


def transposed(order: Sequence[int] | Array) -> tuple[int, int] | None:
    """The rows and columns of the matrix that, read down instead of across, gives this order; None if none does."""
    size, second = len(order), int(order[1]) if len(order) > 1 else 0
    if not 1 < second < size or size % second:
        return None
    shape = (size // second, second)
    return shape if (np.arange(size).reshape(shape).T.ravel() == np.asarray(order)).all() else None
