"""From where to where values go, and how many of them are not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from .text_tables import counted

_MOST_LOOKED_AT = 2**24
"""Of more values nothing is told that would take a pass over them."""


def extent(values: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    """The smallest and largest finite value, or nothing if there is none."""
    if values.size == 0:
        return None
    low, high = float(np.min(values)), float(np.max(values))
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            return None
        low, high = float(np.min(finite)), float(np.max(finite))
    return low, high


def range_told(values: np.ndarray[Any, Any]) -> str:
    """What can be told of values at a glance: of those that have no order, or are very many, nothing.

    Examples
    --------
    >>> range_told(np.array([0.5, -2.0, np.nan]))
    'from −2 to 0.5; 1 value is not finite: 1 NaN, 0 infinite'
    """
    if values.dtype.kind not in "biuf" or values.size > _MOST_LOOKED_AT:
        return f"{counted(values.size, 'value')}, which were not looked at"
    is_float = values.dtype.kind == "f"
    nan_count, inf_count = (int(is_odd(values).sum()) if is_float else 0 for is_odd in (np.isnan, np.isinf))
    return values_told(values, nan_count, inf_count)


def values_told(values: np.ndarray[Any, Any], nan_count: int, inf_count: int) -> str:
    """From where to where values go, and how many, counted elsewhere, are not finite."""
    found = extent(values)
    told = "without a finite value" if found is None else f"from {digits(found[0])} to {digits(found[1])}"
    return f"{told}{nonfinite_told(nan_count, inf_count)}"


def nonfinite_told(nan_count: int, inf_count: int) -> str:
    """How many values are not finite, as the end of a sentence; nothing where all are."""
    odd = nan_count + inf_count
    if not odd:
        return ""
    are = "is" if odd == 1 else "are"
    return f"; {counted(odd, 'value')} {are} not finite: {nan_count:,} NaN, {inf_count:,} infinite"


def digits(value: float) -> str:
    """A number in three digits."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
