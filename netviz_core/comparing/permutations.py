"""Finds the order in which the slices of one array stand in another, and puts it into words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_POINTS = 32
_NEIGHBOURS = 4
_MOST_BLOCKS = 12


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
    for _, option in _forms(order):
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


def order_in_words(order: Array, what: str = "") -> str:
    """Put an order into words, as short as it allows.

    Parameters
    ----------
    order : numpy.ndarray of int
        For each place in b which of a's slices stands there.
    what : str
        What the slices are, such as ``channel``.

    Examples
    --------
    >>> order_in_words(np.array([4, 5, 6, 7, 0, 1, 2, 3]), "channel")
    "two parts of a's axis channel exchanged: its first 4 stand last, its last 4 first"
    >>> order_in_words(np.array([0, 4, 1, 5, 2, 6, 3, 7]), "channel")
    "a's axis channel read as (2, 4) and transposed"
    """
    axis = f"a's axis {what}" if what else "a's axis"
    moved = np.flatnonzero(order != np.arange(len(order)))
    if len(moved) == 2:
        return f"{axis} with {moved[0]} and {moved[1]} exchanged"
    for words, option in _forms(order):
        if (option == order).all():
            return words.format(axis=axis)
    return f"{axis} in the order {_listed(order)}"


def _forms(order: Array) -> Iterator[tuple[str, Array]]:
    """Orders that are easily told, of which one may be meant, and how."""
    count = len(order)
    places = np.arange(count)
    yield "{axis} in reverse", places[::-1]
    shifts, votes = np.unique((places - order) % count, return_counts=True)
    start = int(shifts[votes.argmax()])
    if start:
        words = (
            f"two parts of {{axis}} exchanged: its first {count - start} stand last, its last {start} first"
        )
        yield words, np.roll(places, start)
    for words, option in _transposed(count):
        yield f"{{axis}} read as {words}", option
    for size in sorted((n for n in range(2, count) if count % n == 0), reverse=True):
        blocks = np.median(order.reshape(-1, size) - np.arange(size), 1).astype(int) // size
        option = (blocks[:, None] * size + np.arange(size)).ravel()
        if len(np.unique(blocks)) == len(blocks):
            yield f"the {len(blocks)} parts of {size} along {{axis}} in the order {_listed(blocks)}", option


def _transposed(count: int) -> Iterator[tuple[str, Array]]:
    """What comes of an axis that is taken for two or three, and these for others."""
    divisors = [size for size in range(2, count) if count % size == 0]
    for size in divisors:
        yield f"({size}, {count // size}) and transposed", _moved((size, count // size), (1, 0))
    for first in divisors:
        for second in divisors:
            if count % (first * second) or first * second == count:
                continue
            shape = (first, second, count // (first * second))
            for moved in permutations(range(3)):
                if moved != (0, 1, 2):
                    yield f"{shape} with its axes in the order {moved}", _moved(shape, moved)


def _moved(shape: tuple[int, ...], order: tuple[int, ...]) -> Array:
    return np.arange(math.prod(shape)).reshape(shape).transpose(order).ravel()


def _listed(order: Array) -> str:
    return ", ".join(map(str, order[:_MOST_BLOCKS])) + (", …" if len(order) > _MOST_BLOCKS else "")
