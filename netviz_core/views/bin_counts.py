"""How many values lie in each bin of a histogram: those that are finite, each counted exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..words.arrays import count_nonfinite

Array = np.ndarray[Any, Any]

_BLOCK = 2**14
"""How many values are counted at once: so few that all that is made of them stays near."""


def finite_of(values: Array) -> tuple[Array, int, int]:
    """The finite values in one row, and how many are NaN and infinite."""
    flat = values.reshape(-1)
    # A minimum is NaN where one value is.
    if not flat.size or np.isfinite([flat.min(), flat.max()]).all():
        return flat, 0, 0
    return flat[np.isfinite(flat)], *count_nonfinite(flat)


def counts_in(finite: Array, edges: Array) -> Array:
    """How many of finite values in a row lie in each bin, as ``numpy.histogram`` counts them; int64.

    Of bins of equal width each value tells its own, give or take one; no value is sorted, as NumPy does.
    """
    bins, low = len(edges) - 1, edges[0]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scale = bins / (edges[-1] - low)
        is_even = np.isfinite(scale) and (np.abs((edges - low) * scale - np.arange(bins + 1)) < 0.25).all()
    if not is_even:
        return np.histogram(finite.astype(np.float64), edges)[0]
    with np.errstate(over="ignore"):  # the last bin holds its end, too
        ends = np.array([-np.inf, *edges[:-1], np.nextafter(edges[-1], np.inf), np.inf])
    counts = np.zeros(bins + 2, np.int64)
    step = max(_BLOCK, bins)
    for start in range(0, finite.size, step):
        block = finite[start : start + step].astype(np.float64)
        with np.errstate(over="ignore"):
            guess = np.clip((block - low) * scale + 1, 0, bins + 1)
        place = guess.astype(np.intp)
        place -= block < ends[place]
        place += block >= ends[place + 1]
        counts += np.bincount(place, minlength=bins + 2)
    return counts[1:-1]
