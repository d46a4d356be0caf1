"""Which few of many values, each times a factor, add up to another one: solved for by least squares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Factors = Mapping[int, float]

_POINTS = 4096
_MOST_TERMS = 3
_TRIED = 3
"""How many of the best sums of each length are worth a look at all numbers."""

_LARGEST, _SMALLEST = 1e3, 1e-3
_NEAR = 0.02
"""How far a factor may be from a plain one that is tried in its place."""


def sums_of(values: Mapping[int, Array], target: Array) -> Iterator[Factors]:
    """Factors for a few of the values, the shortest sums first, and the likeliest of each length.

    Each with factors as people write them, and with those that fit best.

    Parameters
    ----------
    values : mapping from int to numpy.ndarray
        Of the target's shape.
    target : numpy.ndarray
    """
    numbers = list(values)
    points = np.random.default_rng(0).permutation(target.size)[:_POINTS]
    columns = np.array([values[number].reshape(-1)[points] for number in numbers], np.float64)
    wanted = np.asarray(target.reshape(-1)[points], np.float64)
    if not numbers or not np.isfinite(wanted).all() or not wanted.any():
        return
    sizes = np.linalg.norm(columns, axis=1)
    kept = np.flatnonzero(np.isfinite(sizes) & (sizes > 0))
    numbers, columns, sizes = [numbers[place] for place in kept], columns[kept], sizes[kept]
    units = columns / sizes[:, np.newaxis]
    products, toward = units @ units.T, units @ wanted
    for count in range(1, min(_MOST_TERMS, len(numbers)) + 1):
        if len(wanted) <= 4 * count:
            return
        places = np.array(list(combinations(range(len(numbers)), count)))
        matrices = products[places[:, :, np.newaxis], places[:, np.newaxis]] + 1e-10 * np.eye(count)
        found = np.linalg.solve(matrices, toward[places][..., np.newaxis])[..., 0]
        reached = np.einsum("nk,nk->n", found, toward[places])
        for best in np.argsort(-reached)[:_TRIED]:
            factors = found[best] / sizes[places[best]]
            if not (np.abs(factors) < _LARGEST).all() or (np.abs(factors) < _SMALLEST).any():
                continue
            terms = [numbers[place] for place in places[best]]
            yield dict(zip(terms, map(_plain, factors), strict=True))
            yield dict(zip(terms, map(float, factors), strict=True))


def _plain(factor: float) -> float:
    """A factor as people write it, where one is near."""
    options = [
        sign * value for value in (0.1, 0.125, 0.2, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0) for sign in (1, -1)
    ]
    best = min(options, key=lambda option: abs(option - factor))
    return best if abs(best - factor) <= _NEAR * abs(best) else float(f"{factor:.3g}")


def total(values: Mapping[int, Array], factors: Factors) -> Array:
    """The sum itself."""
    parts = [values[number] * np.asarray(factor, values[number].dtype) for number, factor in factors.items()]
    result: Array = np.sum(parts, axis=0)
    return result


def in_words(factors: Factors, words: Mapping[int, str]) -> str:
    """A sum in words."""
    said = ""
    for number, factor in sorted(factors.items(), key=lambda term: (term[1] < 0, term[0])):
        size = abs(factor) if said else factor
        term = words[number] if size == 1 else f"{size:.4g} × {words[number]}"
        said += f"{' − ' if factor < 0 else ' + '}{term}" if said else term
    return said


def is_written(factors: Factors) -> bool:
    """Whether these are factors as people write them: of one value any, of several one that is odd at most.

    As in ``x + y / 3`` or ``(x + y) / sqrt(2)``; several odd ones are those of values that depend on each other.
    """
    sizes = {abs(_plain(factor)) for factor in factors.values()}
    return len(factors) < 2 or sum(float(f"{size:.2g}") != size for size in sizes) < 2
