"""Data classes, mappings and arrays as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Data classes as dictionaries, arrays as lists, and numbers that JSON does not have as None.

    Examples
    --------
    >>> plain({"mean": np.float32(0.5), "std": float("nan"), "counts": np.arange(3)})
    {'mean': 0.5, 'std': None, 'counts': [0, 1, 2]}
    """
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
        return plain(value) if isinstance(value, list) else plain_number(value)
    return plain_number(value)


def plain_number(value: Any) -> Any:
    """The value itself, or None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
