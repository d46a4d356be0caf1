"""How values become a scale: limits that are finite whatever the values are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..words.ranges import extent

Limits = tuple[float, float]

# None of them is near a colour of the two default maps, nor is it to who cannot tell red from green; a test says so.
NAN_COLOUR, POSITIVE_INFINITY_COLOUR, NEGATIVE_INFINITY_COLOUR = "#cc00ff", "#ff8c00", "#0000ff"


def signed_limits(values: np.ndarray[Any, Any]) -> Limits:
    """Limits centred on zero, for values whose sign means something.

    Examples
    --------
    >>> signed_limits(np.array([-1.0, 3.0, np.nan]))
    (-3.0, 3.0)
    >>> signed_limits(np.zeros(4))
    (-1.0, 1.0)
    """
    found = extent(values)
    largest = max(map(abs, found)) if found else 0.0
    return (-largest, largest) if largest else (-1.0, 1.0)


def value_limits(values: np.ndarray[Any, Any]) -> Limits:
    """Limits from zero up for values that are never negative, else centred on zero.

    Examples
    --------
    >>> value_limits(np.array([0.5, 2.0]))
    (0.0, 2.0)
    """
    found = extent(values)
    if found is None or found[0] < 0:
        return signed_limits(values)
    return (0.0, found[1] or 1.0)


def shared_limits(all_limits: Iterable[Limits]) -> Limits:
    """The narrowest limits that hold all of `all_limits`; centred on zero if one of them is."""
    limits = list(all_limits)
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    if any(own_low == -own_high for own_low, own_high in limits):
        largest = max(-low, high)
        return -largest, largest
    return low, high
