"""Multi-head attention in NumPy."""

from __future__ import annotations

import math

import numpy as np

from ..words.arrays import AxisArray
from .activation import softmax
from .given import Array, Given, Unknown

_ROLES = ("query", "key", "value", "output")
_ORDER = {"MultiheadAttention": ("query", "key", "value"), "MultiHeadAttention": ("query", "value", "key")}
"""By type name: what the three inputs are."""


def attention(given: Given) -> AxisArray:
    """What multi-head attention without a mask returns first."""
    given.require_weights_among(*(f"{role}_{part}" for role in _ROLES for part in ("kernel", "bias")))
    if given.type_name not in _ORDER or given.config.get("add_zero_attention"):
        raise Unknown
    given_as = _inputs(given)
    query, key, value = (_projected(given, given_as[role], role) for role in _ROLES[:3])
    scores = np.einsum("bqhd,bkhd->bhqk", query, key, optimize=True) / math.sqrt(query.shape[-1])
    shares = softmax(scores)
    mixed = np.einsum("bhqk,bkhd->bqhd", shares, value, optimize=True)
    result = np.einsum("bqhd,ohd->bqo", mixed, given.weight("output_kernel"), optimize=True)
    # Where no order of batch and time is told, nothing is but that of the query.
    axes = ("batch", "time", "channel") if "batch_first" in given.config else given.x.axes
    return AxisArray(result + given.weights.get("output_bias", np.float32(0)), axes)


def _inputs(given: Given) -> dict[str, Array]:
    """Query, key and value; two inputs are a query, and keys that are values as well."""
    found = [_sequence(given, part) for part in given.inputs]
    if len(found) == 2:
        return {"query": found[0], "key": found[1], "value": found[1]}
    if len(found) != 3:
        raise Unknown
    return dict(zip(_ORDER[given.type_name], found, strict=True))


def _sequence(given: Given, x: AxisArray) -> Array:
    if x.values.ndim != 3 or x.values.dtype.kind != "f":
        raise Unknown
    if set(x.axes) == {"batch", "time", "channel"}:
        return x.transpose("batch", "time", "channel").values
    if "channel" in x.axes[:2] or "time" in x.axes:
        raise Unknown
    return x.values if given.config.get("batch_first", True) else x.values.swapaxes(0, 1)


def _projected(given: Given, x: Array, role: str) -> Array:
    kernel = given.weight(f"{role}_kernel")
    if kernel.ndim != 3 or kernel.shape[-1] != x.shape[-1]:
        raise Unknown
    projected: Array = np.einsum("bti,hdi->bthd", x, kernel, optimize=True)
    return projected + given.weights.get(f"{role}_bias", np.float32(0))
