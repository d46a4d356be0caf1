"""Round numbers for scales that are not even."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, log10
from typing import Any

import numpy as np


def round_ticks(
    low: float, high: float, smallest: float, place: Callable[[Any], Any], apart: float
) -> tuple[float, ...]:
    """Zero, then powers of ten, then halves and fifths of them, as long as they do not crowd.

    Parameters
    ----------
    low, high : float
        Between which they lie.
    smallest : float
        Above zero; none but zero itself is closer to zero.
    place : callable
        Where a number lies on the scale; takes arrays too.
    apart : float
        How far each is from the next at least, in the unit of `place`.

    Examples
    --------
    >>> round_ticks(0, 40, 1, np.sqrt, 1.0)
    (0.0, 1.0, 10.0, 20.0)
    """
    powers = range(floor(log10(max(abs(low), abs(high), smallest))), floor(log10(smallest)) - 1, -1)
    sizes = [float(f"{digit}e{power}") for digit in (1, 5, 2) for power in powers]
    chosen: list[float] = []
    for value in (0.0, *(sign * size for size in sizes if size >= smallest for sign in (1, -1))):
        if low <= value <= high and (np.abs(place(np.array(chosen)) - place(value)) >= apart).all():
            chosen.append(value)
    return tuple(sorted(chosen)) or (low, high)


def tick_text(value: float) -> str:
    """A round number in digits where that is short.

    Examples
    --------
    >>> [tick_text(value) for value in (2000.0, 0.05, -1e-6)]
    ['2,000', '0.05', '−1e−06']
    """
    return f"{value:,g}".replace("-", "\N{MINUS SIGN}")
