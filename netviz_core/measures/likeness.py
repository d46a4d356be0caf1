"""How like one another samples are in a layer, and layers by that: Gram matrices and linear CKA."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..words.arrays import Activation, as_float64, count_nonfinite

Array = np.ndarray[Any, Any]

LEAST_SAMPLES = 4
"""The estimator divides by ``n - 3``."""

_BLOCK = 2**21
"""How many features, times samples, are brought to float64 at once."""

_NO_STRUCTURE = 1e-12
"""The part of a Gram matrix, beside its trace, below which there is only rounding."""


class Likeness(NamedTuple):
    """What is kept of one value: how like one another its samples are, and nothing of the features."""

    path: str
    samples: int
    likeness: Array | None
    """The centred Gram matrix above its diagonal; None if samples cannot be told apart."""
    trouble: str = ""
    """Why it cannot be in the matrix, or has no number in it."""
    varies: bool = True


def likeness_of(activation: Activation) -> Likeness:
    if "batch" not in activation.axes:
        reason = f"its axes are {', '.join(activation.axes) or 'none'}, and not one of them is 'batch'"
        return Likeness(activation.path, 0, None, reason)
    values = np.moveaxis(activation.values, activation.axes.index("batch"), 0)
    samples = len(values)
    features = values.reshape(samples, -1 if samples else 0)
    if np.iscomplexobj(features):
        features = np.concatenate((features.real, features.imag), axis=1)
    gram, varies = _gram(features)
    size = np.trace(gram)
    if varies and not 0 < size < np.inf:
        nothing = np.full(samples * (samples - 1) // 2, np.nan)
        return Likeness(activation.path, samples, nothing, _why_no_size(features))
    centred = _centred(gram) if varies else np.zeros_like(gram)
    return Likeness(activation.path, samples, centred[np.triu_indices(samples, 1)], varies=varies)


def _why_no_size(features: Array) -> str:
    nan_count, inf_count = count_nonfinite(features)
    if nan_count or inf_count:
        return f"it returned {nan_count:,} NaN and {inf_count:,} infinite values"
    return "it returned values too large or too small to be squared"


def _gram(features: Array) -> tuple[Array, bool]:
    """The products of all samples with one another, seen from the first one; and whether any differ from it."""
    samples, count = features.shape
    gram = np.zeros((samples, samples))
    varies = False
    rounding = 4 * np.finfo(features.dtype if features.dtype.kind == "f" else np.float64).eps
    step = max(_BLOCK // max(samples, 1), 1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for start in range(0, count, step):
            block = as_float64(features[:, start : start + step])
            first = block[:1].copy()
            block -= first  # centring undoes it; large means would else cost digits
            varies = varies or not (np.abs(block) <= rounding * np.abs(first)).all()
            gram += block @ block.T
    return gram, varies


def _centred(gram: Array) -> Array:
    """U-centring: of two such matrices the sum of products off the diagonal is ``n (n - 3) HSIC₁``.

    It is the form of Székely and Rizzo, "Partial distance correlation with methods for dissimilarities" (2014).
    """
    count = len(gram)
    if count < LEAST_SAMPLES:
        return np.zeros_like(gram)
    size = np.trace(gram)
    off_diagonal = gram * (1 - np.eye(count))
    means = off_diagonal.sum(axis=1) / (count - 2)
    centred: Array = off_diagonal - means - means[:, np.newaxis] + means.sum() / (count - 1)
    is_only_rounding = np.abs(centred).max() <= _NO_STRUCTURE * size
    return np.zeros_like(gram) if is_only_rounding else centred


def are_equal(one: Array | None, other: Array | None) -> bool:
    """Whether likenesses are the same to rounding."""
    if one is None or other is None or one.shape != other.shape:
        return False
    largest = np.abs(other).max(initial=0.0)
    return bool(largest > 0 and np.abs(one - other).max() <= 1e-9 * largest)


class Sums:
    """HSIC of all pairs of layers, summed over batches."""

    def __init__(self) -> None:
        self.samples = 0
        self._cross: Any = 0.0
        self.own_a: Any = 0.0
        self.own_b: Any = 0.0

    def add(self, a: Array, b: Array, count: int) -> None:
        # Of HSIC₁'s 1 / (n (n - 3)), n goes against the weight that a batch of n samples has.
        self.samples += count
        self._cross = self._cross + a @ b.T / (count - 3)
        self.own_a = self.own_a + np.einsum("kp,kp->k", a, a) / (count - 3)
        self.own_b = self.own_b + np.einsum("kp,kp->k", b, b) / (count - 3)

    def values(self) -> Array:
        scale = np.sqrt(self.own_a)[:, np.newaxis] * np.sqrt(self.own_b)
        cka: Array = np.divide(self._cross, scale, out=np.full(scale.shape, np.nan), where=scale != 0)
        return cka
