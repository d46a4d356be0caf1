"""Units for an axis, so that its ticks are short and matplotlib's own sums stay finite."""

from __future__ import annotations

import math
from typing import Any


def axis_exponent(low: float, high: float) -> int:
    """The power of ten to divide by before an axis is drawn: 0 for values of everyday size.

    Examples
    --------
    >>> axis_exponent(-2.0, 5.0), axis_exponent(0.0, 1.5e308), axis_exponent(-3e-5, 0.0)
    (0, 308, -5)
    """
    largest = max(abs(low), abs(high))
    if largest == 0 or 1e-3 <= largest < 1e5:
        return 0
    return math.floor(math.log10(largest))


def in_unit(values: Any, exponent: int) -> Any:
    """Divide a number or an array by a power of ten, which may itself be too small for a float.

    Examples
    --------
    >>> round(in_unit(5e-324, -324), 1)
    4.9
    """
    half = exponent // 2
    return values / 10.0**half / 10.0 ** (exponent - half)


def axis_label(label: str, exponent: int) -> str:
    """The label of an axis whose values are divided by a power of ten."""
    return f"{label}, in 1e{exponent}" if exponent else label
