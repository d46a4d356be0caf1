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
    """What multi-head attention returns first; with a mask if ``causal`` or one that is added tells it."""
    given.require_weights_among(*(f"{role}_{part}" for role in _ROLES for part in ("kernel", "bias")))
    if given.type_name not in _ORDER or given.config.get("add_zero_attention"):
        raise Unknown
    given_as = _inputs(given)
    query, key, value = (_projected(given, given_as[role], role) for role in _ROLES[:3])
    mixed = attended(query, key, value, given.config.get("scale"), bool(given.config.get("causal")))
    result = np.einsum("bqhd,ohd->bqo", mixed, given.weight("output_kernel"), optimize=True)
    # Where no order of batch and time is told, nothing is but that of the query.
    axes = ("batch", "time", "channel") if "batch_first" in given.config else given.x.axes
    return AxisArray(result + given.weights.get("output_bias", np.float32(0)), axes)


def attended(
    query: Array, key: Array, value: Array, scale: float | None = None, causal: bool = False
) -> Array:
    """What each query takes of the values.

    Parameters
    ----------
    query, key, value : numpy.ndarray
        Batch, time, head, features.
    scale : float, optional
        What the scores are multiplied by; by default one over the root of the number of features.
    causal : bool
        Whether nothing is taken of what comes later.
    """
    scores = np.einsum("bqhd,bkhd->bhqk", query, key, optimize=True)
    scores = scores * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if causal:
        later = np.triu(np.ones(scores.shape[-2:], bool), 1 + scores.shape[-1] - scores.shape[-2])
        scores = np.where(later, -np.inf, scores)
    result: Array = np.einsum("bhqk,bkhd->bqhd", softmax(scores), value, optimize=True)
    return result


def _inputs(given: Given) -> dict[str, Array]:
    """Query, key and value; two inputs are a query, and keys that are values as well."""
    if any(part.values.dtype.kind != "f" for part in given.inputs):
        raise Unknown
    found = [given.sequence(number) for number in range(len(given.inputs))]
    if len(found) == 2:
        return {"query": found[0], "key": found[1], "value": found[1]}
    if len(found) != 3:
        raise Unknown
    return dict(zip(_ORDER[given.type_name], found, strict=True))


def _projected(given: Given, x: Array, role: str) -> Array:
    kernel = given.weight(f"{role}_kernel")
    if kernel.ndim != 3 or kernel.shape[-1] != x.shape[-1]:
        raise Unknown
    projected: Array = np.einsum("bti,hdi->bthd", x, kernel, optimize=True)
    return projected + given.weights.get(f"{role}_bias", np.float32(0))
