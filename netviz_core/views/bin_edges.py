"""Where the bins of histograms begin and end."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import numpy as np

from ..words.errors import InputError
from ..words.given import shown

_LARGEST = float(np.finfo(np.float64).max)


def edges_of(found: tuple[float, float] | None, bins: Any) -> np.ndarray[Any, Any]:
    """Edges as they were given, or of so many equal bins between two numbers; see `histogram`."""
    if isinstance(bins, (int, np.integer)) and not isinstance(bins, bool) and bins > 0:
        if bins > _MOST_BINS:
            raise InputError(f"bins={bins} are more than anybody can see; give {_MOST_BINS:,} at most")
        return even_edges(*(found or (0.0, 1.0)), int(bins))
    try:
        edges = np.asarray(bins, np.float64)
    except (TypeError, ValueError):
        edges = np.empty(0)
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        raise InputError(
            f"bins={shown(bins)} is neither a positive number of bins nor their increasing edges"
        )
    return edges


_MOST_BINS = 100_000


def even_edges(low: float, high: float, bins: int) -> np.ndarray[Any, Any]:
    """Edges of equal bins, widened where floats lie too far apart for so many within the range."""
    fractions = np.linspace(0.0, 1.0, bins + 1)
    margin = 0.5 if low == high else 0.0
    while True:
        first, last = max(low - margin, -_LARGEST), min(high + margin, _LARGEST)
        edges = first * (1 - fractions) + last * fractions
        if (np.diff(edges) > 0).all():
            return edges
        margin = 2 * margin or max(bins * float(np.spacing(max(abs(low), abs(high)))), 5e-324)


def edges_with_zero(found: tuple[float, float] | None, bins: Any) -> np.ndarray[Any, Any]:
    """The same, with zero among the edges of bins between numbers on both sides of it; they may reach beyond one.

    What a ReLU returns is then not counted together with what is just below zero elsewhere.
    """
    edges = edges_of(found, bins)
    low, high = found or (0.0, 0.0)
    if not low < 0 < high or len(edges) < 3 or np.ndim(bins):
        return edges
    share = (len(edges) - 1) * ((low / 2) / (low / 2 - high / 2))
    numbers = {min(max(number, 1), len(edges) - 2) for number in (floor(share), ceil(share))}
    width, below = min((max(-low / number, high / (len(edges) - 1 - number)), number) for number in numbers)
    with np.errstate(over="ignore"):
        shifted = width * np.arange(-below, len(edges) - below)
    shifted[[0, -1]] = min(shifted[0], low), max(shifted[-1], high)
    return shifted if np.isfinite(shifted).all() and (np.diff(shifted) > 0).all() else edges
