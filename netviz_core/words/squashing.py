"""Whether scores are what a softmax or sigmoid made probabilities of, however it is written: by what came out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_PRECISION = {"float16": (8e-3, -9.0), "bfloat16": (3e-2, -80.0)}
"""How far logarithms of probabilities may be apart, and below which of them none is told from zero."""


def may_be_squashed(values: Array) -> bool:
    """Whether values may be probabilities, or logarithms of them."""
    return bool(((values >= 0).all() and (values <= 1.001).all()) or (values <= 0.001).all())


def squashed_by(scores: Array, returned: Array, *dtypes: str) -> str:
    """``"softmax"`` or ``"sigmoid"``, where that of `scores` is what was returned, or its logarithm; else empty.

    Parameters
    ----------
    scores, returned : numpy.ndarray
        As many numbers in the same order; classes lie along one of the scores' axes, the first aside.
    *dtypes : str
        The names of the types in which they were computed.

    Examples
    --------
    >>> scores = np.array([[1.0, 2.0, 4.0]])
    >>> squashed_by(scores, np.exp(scores) / np.exp(scores).sum()), squashed_by(scores, scores / 7)
    ('softmax', '')
    """
    if np.isnan(scores).any() or np.isposinf(scores).any():
        return ""
    tolerance, least = max(_PRECISION.get(dtype, (1e-3, -80.0)) for dtype in dtypes or ("",))
    returned = returned.reshape(scores.shape).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(returned), returned]
        for name, expected in _squashed(scores.astype(np.float64)):
            for log in logs:
                is_lost = (log < least) & (expected < least)
                if (is_lost | (np.abs(log - expected) <= tolerance * (1 + np.abs(expected)))).all():
                    return name
    return ""


def _squashed(scores: Array) -> Iterator[tuple[str, Array]]:
    """The logarithms of what a sigmoid makes of scores, and a softmax along each axis but that of samples."""
    yield "sigmoid", -np.logaddexp(0, -scores)
    for axis in range(1, scores.ndim):
        if scores.shape[axis] > 1:
            shifted = scores - scores.max(axis, keepdims=True)
            yield "softmax", shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
