"""Units in which matplotlib can calculate: its axes overflow near the ends of float64."""

from __future__ import annotations

import math

_SAFE = 1e100


def axis_exponent(low: float, high: float) -> int:
    """The power of ten by which to divide before drawing an axis: 0 for all ordinary values.

    Examples
    --------
    >>> axis_exponent(-2.0, 5.0), axis_exponent(0.0, 1.5e308), axis_exponent(0.0, 5e-324)
    (0, 308, -307)
    """
    largest = max(abs(low), abs(high))
    if largest == 0 or 1 / _SAFE < largest < _SAFE:
        return 0
    return max(math.floor(math.log10(largest)), -307)


def axis_label(label: str, exponent: int) -> str:
    """The label of an axis whose values are divided by a power of ten."""
    return f"{label}, in 1e{exponent}" if exponent else label
