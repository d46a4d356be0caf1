"""Multi-head attention in NumPy."""

from __future__ import annotations

import math

import numpy as np

from ..words.arrays import AxisArray
from .activation import softmax
from .given import Array, Given, Unknown

_ROLES = ("query", "key", "value", "output")


def attention(given: Given) -> AxisArray:
    """What multi-head attention returns first; with a mask if ``causal`` or one that is added tells it."""
    given.require_weights_among(*(f"{role}_{part}" for role in _ROLES for part in ("kernel", "bias")))
    if given.config.get("add_zero_attention"):
        raise Unknown
    given_as = _inputs(given)
    query, key, value = (_projected(given, given_as[role], role) for role in _ROLES[:3])
    if query.shape[2:] != key.shape[2:] or key.shape[:3] != value.shape[:3]:
        raise Unknown
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
    """Query, key and value; one input is all three, and of two the second is keys and values."""
    if not 1 <= len(given.inputs) <= 3 or any(part.values.dtype.kind != "f" for part in given.inputs):
        raise Unknown
    query, *others = (given.sequence(number) for number in range(len(given.inputs)))
    second, third = (others * 2)[:2] if others else (query, query)
    # Keras has the values before the keys.
    key, value = (second, third) if "batch_first" in given.config else (third, second)
    return {"query": query, "key": key, "value": value}


def _projected(given: Given, x: Array, role: str) -> Array:
    kernel = given.weight(f"{role}_kernel")
    if kernel.ndim != 3 or kernel.shape[-1] != x.shape[-1]:
        raise Unknown
    projected: Array = np.einsum("bti,hdi->bthd", x, kernel, optimize=True)
    return projected + given.weights.get(f"{role}_bias", np.float32(0))
