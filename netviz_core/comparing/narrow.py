"""Rounding to floats that are narrower than those that hold the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..models.counterparts import Held

Array = np.ndarray[Any, Any]

_DROPPED = {"TF32": 13, "bfloat16": 16}
"""How many bits of a float32 are left out."""


def round_to(values: Array, dtype: str) -> Array:
    """Round to a narrower float, and come back to float32."""
    if dtype not in _DROPPED:
        with np.errstate(over="ignore"):
            return values.astype(dtype).astype(np.float32)
    bits = np.asarray(values, np.float32, order="C").view(np.uint32)
    dropped = np.uint32(_DROPPED[dtype])
    half = ((bits >> dropped) & np.uint32(1)) + np.uint32((1 << (int(dropped) - 1)) - 1)
    rounded: Array = ((bits + half) >> dropped << dropped).view(np.float32)
    return rounded


ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {
    name: partial(round_to, dtype=name) for name in ("TF32", "bfloat16", "float16")
}
"""By what people call it: rounding to it. Integers, such as tokens, are never rounded."""


def as_narrow(weight: Held) -> Held:
    """A weight and its counterpart, both in the narrower of their dtypes."""
    narrow = next((dtype for dtype in ("bfloat16", "float16") if dtype in weight.dtypes), None)
    if narrow is None or weight.expected is None or weight.held is None:
        return weight
    return weight._replace(expected=round_to(weight.expected, narrow), held=round_to(weight.held, narrow))
