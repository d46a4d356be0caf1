"""Finds the order in which the slices of one array stand in another, along one axis or two, and puts it into words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_POINTS = 32
_NEIGHBOURS = 4
_LISTED = 8
_CLOSE = 1e-4
_SPATIAL = ("z", "y", "x")


class Permutation(NamedTuple):
    """Along which axis, and which slice of the one array stands first, second, … in the other."""

    axis: str
    order: tuple[int, ...]


def permutations_of(expected: Array, held: Array, axes: Sequence[str]) -> tuple[Permutation, ...]:
    """How the slices of one array must be put in order to become another; nothing if that does not do."""
    if expected.shape != held.shape or not _hold_the_same(expected, held):
        return ()
    places = [place for place, axis in enumerate(axes) if axis not in _SPATIAL and expected.shape[place] > 1]
    for place in places:
        order = order_along(expected, held, place)
        if order is not None and are_the_same(expected.take(order, place), held):
            return (Permutation(axes[place], tuple(order.tolist())),)
    for first, second in combinations(places, 2):
        # Slices sorted along the second axis are the same in whatever order that one is.
        rows = order_along(np.sort(expected, second), np.sort(held, second), first)
        moved = expected if rows is None else expected.take(rows, first)
        columns = order_along(moved, held, second)
        if rows is not None and columns is not None and are_the_same(moved.take(columns, second), held):
            both = ((axes[first], rows), (axes[second], columns))
            return tuple(Permutation(axis, tuple(order.tolist())) for axis, order in both)
    return ()


def _hold_the_same(expected: Array, held: Array) -> bool:
    """Whether the numbers are the same, in whatever order; most that are not have another norm."""
    ours, theirs = np.linalg.norm(expected), np.linalg.norm(held)
    if abs(ours - theirs) > 4 * _CLOSE * theirs:
        return False
    return are_the_same(np.sort(expected, None), np.sort(held, None))


def are_the_same(left: Array, right: Array, close: float = _CLOSE) -> bool:
    """Whether two arrays of one shape hold the same numbers, beside their spread; of what is not finite, exactly."""
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.array_equal(left, right, equal_nan=True)
    return bool(np.allclose(left, right, rtol=close, atol=close * float(np.std(right))))


def order_along(a: Array, b: Array, place: int) -> Array | None:
    """The order in which b has a's slices along an axis, as far as their contents tell; None for the order as it is.

    Slices are sorted by one number made of all that is in them, so that n of them take n log n steps; of those that
    stand next to each other, which noise may exchange, a few of their values decide.

    Parameters
    ----------
    a, b : numpy.ndarray
        Of one shape.
    place : int
        The axis.

    Returns
    -------
    numpy.ndarray of int or None
        Such that ``a.take(order, place)`` is b, if b is a in another order: whether it is must be looked at.
    """
    count = a.shape[place]
    if a.shape != b.shape or count < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    ours, theirs = (np.moveaxis(values, place, 0).reshape(count, -1) for values in (a, b))
    generator = np.random.default_rng(0)
    weights = generator.normal(size=ours.shape[1])
    points = generator.permutation(ours.shape[1])[:_POINTS]
    keys, sought = ours @ weights, theirs @ weights
    ranks, found = np.argsort(keys, kind="stable"), np.argsort(sought, kind="stable")
    order = np.empty(count, int)
    order[found] = ranks
    better = _nearest(ours[:, points], theirs[:, points], ranks, found)
    if len(np.unique(better)) == count:
        order = better
    if (order == np.arange(count)).all():
        return None
    # Slices that are the same, such as those of dead features, leave a choice.
    for option in _simple_orders(order):
        if np.mean(option == order) > 0.5 and np.allclose(
            ours[option][:, points], theirs[:, points], 1e-3, 1e-5
        ):
            return option
    return order


def _nearest(ours: Array, theirs: Array, ranks: Array, found: Array) -> Array:
    """For each of b's slices that of a's which is most like it, of those of about the same rank."""
    count = len(ranks)
    offsets = np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)
    near = ranks[np.clip(np.arange(count)[:, None] + offsets, 0, count - 1)]
    apart = np.abs(ours[near] - theirs[found][:, None]).sum(-1)
    order = np.empty(count, int)
    order[found] = near[np.arange(count), apart.argmin(1)]
    return order


def in_words(order: Sequence[int] | Array, heads: int = 0) -> str:
    """What was done to put slices in this order, as short as it allows.

    Parameters
    ----------
    order : sequence of int
        For each place which slice stands there now.
    heads : int
        In how many groups of their own they stand; 0 if in none.

    Examples
    --------
    >>> in_words([4, 5, 6, 7, 0, 1, 2, 3])
    'halves exchanged'
    >>> in_words([5, 0, 1, 2, 3, 4])
    'its first 5 stand last, its last 1 first'
    """
    found = np.asarray(order)
    size = len(found)
    moved = np.flatnonzero(found != np.arange(size))
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} exchanged"
    first, last = int(found[0]), size - int(found[0])
    if first and (found == np.roll(np.arange(size), last)).all():
        is_half = first == last
        return "halves exchanged" if is_half else f"its first {first} stand last, its last {last} first"
    groups = [group for group in range(1, size) if not size % group]
    for group in groups:
        within = found.reshape(-1, group) - np.arange(0, size, group)[:, None]
        if (within == within[0]).all() and within.min() >= 0 and within.max() < group:
            return f"{in_words(within[0])}, within each {_group(size, group, heads)}"
    for group in reversed(groups):
        blocks = found.reshape(-1, group)
        is_kept = (blocks == blocks[:, :1] + np.arange(group)).all() and not (blocks[:, 0] % group).any()
        if group > 1 and is_kept:
            return f"each {_group(size, group, heads)} kept, {_moved(blocks[:, 0] // group)}"
    return _moved(found)


def _group(size: int, group: int, heads: int) -> str:
    return "head" if heads and group * heads == size else f"group of {group}"


def _moved(order: Array) -> str:
    """The same of slices that are not kept together."""
    size = len(order)
    if (order == np.arange(size)[::-1]).all():
        return "reversed"
    shape = transposed(order)
    if shape is not None and 2 in shape:
        turned = "interleaved instead of in halves", "in halves instead of interleaved"
        return turned[shape[0] != 2]
    for sizes, axes in _shapes(size):
        if (order == _transposed(sizes, axes)).all():
            if len(sizes) == 2:
                return f"as if read as {sizes[0]} by {sizes[1]} and transposed"
            return f"as if read as {' by '.join(map(str, sizes))}, with these axes in the order {axes}"
    return f"{', '.join(map(str, order[:_LISTED]))}{', …' if size > _LISTED else ''}"


def transposed(order: Sequence[int] | Array) -> tuple[int, int] | None:
    """The rows and columns of the matrix that, read down instead of across, gives this order; None if none does."""
    size, second = len(order), int(order[1]) if len(order) > 1 else 0
    if not 1 < second < size or size % second:
        return None
    shape = (size // second, second)
    return shape if (_transposed(shape, (1, 0)) == np.asarray(order)).all() else None


def _simple_orders(order: Array) -> Iterator[Array]:
    """Orders that are easily told, of which one may be meant."""
    count = len(order)
    places = np.arange(count)
    yield places[::-1]
    shifts, votes = np.unique((places - order) % count, return_counts=True)
    if start := int(shifts[votes.argmax()]):
        yield np.roll(places, start)
    for shape, axes in _shapes(count):
        yield _transposed(shape, axes)
    for size in sorted((n for n in range(2, count) if count % n == 0), reverse=True):
        blocks = np.median(order.reshape(-1, size) - np.arange(size), 1).astype(int) // size
        if len(np.unique(blocks)) == len(blocks):
            yield (blocks[:, None] * size + np.arange(size)).ravel()


def _shapes(count: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """As which two or three axes one may be read, and the orders into which these may be put."""
    divisors = [size for size in range(2, count) if count % size == 0]
    for size in divisors:
        yield (size, count // size), (1, 0)
    for first in divisors:
        for second in divisors:
            if count % (first * second) or first * second == count:
                continue
            for axes in permutations(range(3)):
                if axes != (0, 1, 2):
                    yield (first, second, count // (first * second)), axes


def _transposed(shape: Sequence[int], axes: Sequence[int]) -> Array:
    return np.arange(math.prod(shape)).reshape(shape).transpose(axes).ravel()
