"""Histograms of numbers whose range is not known beforehand: bins that grow with the numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_SMALLEST, _LARGEST = -30, 16
"""Powers of two between which bins lie; what is closer to zero, or farther, goes into the next bin."""


_BLOCK = 2**15
"""How many values are counted at once: so few that all that is made of them stays near."""


@cache
def bin_edges(detail: int) -> Array:
    """Edges that need no range to be known beforehand, growing with the numbers from 1e-9 to 65,536.

    Parameters
    ----------
    detail : int
        Each power of two is cut into ``2**detail`` bins of equal width.

    Returns
    -------
    numpy.ndarray
        Float64, increasing, symmetric; the bin in the middle holds what is closer to zero than 2⁻³⁰.

    Examples
    --------
    >>> bin_edges(1)[93:98].round(12).tolist()
    [9.31e-10, 1.397e-09, 1.863e-09, 2.794e-09, 3.725e-09]
    """
    steps = np.arange((_LARGEST - _SMALLEST << detail) + 1)
    octave, place = np.divmod(steps, 1 << detail)
    positive = 2.0 ** (octave + _SMALLEST) * (1 + place / (1 << detail))
    edges = np.concatenate([-positive[::-1], positive])
    edges.flags.writeable = False
    return edges


def detail_of(counts: Array) -> int:
    """The detail of the bins that were counted in, from how many there are."""
    return (len(counts) // (2 * (_LARGEST - _SMALLEST))).bit_length() - 1


def leading_bits(detail: int) -> tuple[int, int, int]:
    """How many bits of a float32 do not matter, and the places, as the others say, between which bins lie."""
    return 23 - detail, 127 + _SMALLEST << detail, 127 + _LARGEST << detail


def leading_bits_counts(finite: Array, detail: int) -> Array:
    """How many finite numbers lie in each bin of `bin_edges`.

    The leading bits of a float are its bin: the sign, the exponent, and so many of the mantissa.
    """
    found = np.zeros(2 << (8 + detail), np.int64)
    shift, first, last = leading_bits(detail)
    for start in range(0, len(finite), _BLOCK):
        with np.errstate(over="ignore"):  # what float32 does not hold goes into the outermost bins
            bits = finite[start : start + _BLOCK].astype(np.float32, copy=False).view(np.uint32)
        found += np.bincount(bits >> shift, minlength=len(found))
    counts = np.zeros(2 * (last - first) + 1, np.int64)
    middle = last - first
    for signed, side in zip(found.reshape(2, -1), (counts[middle:], counts[middle::-1]), strict=True):
        side[0] += signed[:first].sum()
        side[1:] = signed[first:last]
        side[-1] += signed[last:].sum()
    return counts


def quantiles_of(counts: Array, edges: Array, share: float) -> float:
    """The number below which a share of those counted lies; within a bin they count as evenly spread."""
    below = np.concatenate([[0], np.cumsum(counts)])
    if not below[-1]:
        return float("nan")
    used = np.flatnonzero(counts)
    return float(np.interp(share * below[-1], below[used[0] : used[-1] + 2], edges[used[0] : used[-1] + 2]))


def rebinned(counts: Array, edges: Array, others: Array) -> Array:
    """How many of those counted lie in other bins, where within a bin they count as evenly spread; int64."""
    below = np.concatenate([[0], np.cumsum(counts)])
    return np.diff(np.rint(np.interp(others, edges, below)).astype(np.int64))
