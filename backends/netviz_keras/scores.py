"""The scores of which a softmax or sigmoid at a model's end makes probabilities.

What speaks for a class is its score. A softmax makes all of them depend on each other, and flattens their
derivative where the model is sure. However it is spelt, as a layer, an activation, a function of Keras or of its
engine, or by hand, it is known by what it computes of what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .operations import Operations
from .tensors import Held, dtype_name, is_differentiable

Array = np.ndarray[Any, Any]

_MOST_TENSORS = 64
"""So many a softmax that is written by hand does not go through."""
_PRECISION = {"float16": (8e-3, -9.0), "bfloat16": (3e-2, -80.0)}
"""How far logarithms of probabilities may be apart, and below which of them none is told from zero."""


class Score(NamedTuple):
    """A tensor of scores, and what made probabilities of it: ``"softmax"`` or ``"sigmoid"``."""

    tensor: Any
    squashed_by: str


def score_behind(output: Any, made_of: Iterable[Any]) -> Score | None:
    """The scores among what a part of a model's output is made of; None where no softmax or sigmoid made it."""
    if not may_be_squashed(output):
        return None
    returned, precision = Held(output).numpy(), _PRECISION.get(dtype_name(output), (1e-3, -80.0))
    found: Score | None = None
    for tensor in made_of:
        if is_differentiable(tensor) and int(np.prod(tensor.shape)) == returned.size:
            by = _squashing(Held(tensor).numpy().reshape(returned.shape), returned, *precision)
            # What is only shifted, as by the highest score, gives the same: the first of them is the score.
            found = Score(tensor, by) if by else found
    return found


def may_be_squashed(output: Any) -> bool:
    """Whether a part of a model's output may be probabilities, or logarithms of them."""
    if not is_differentiable(output) or not output.shape:
        return False
    values = Held(output).numpy()
    return bool(((values >= 0).all() and (values <= 1.001).all()) or (values <= 0.001).all())


def before(output: Any, operations: Operations) -> list[Any]:
    """What a tensor is made of, what was made last first."""
    waiting, found = [output], {id(output): output}
    while waiting and len(found) < _MOST_TENSORS:
        for tensor in operations.made_of(waiting.pop(0)):
            if id(tensor) not in found:
                found[id(tensor)] = tensor
                waiting.append(tensor)
    return sorted(list(found.values())[1:], key=operations.order, reverse=True)


def _squashing(scores: Array, returned: Array, tolerance: float, least: float) -> str:
    """Whether a softmax or sigmoid of `scores` is what was returned, or its logarithm; else empty."""
    if not np.isfinite(scores).all():
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(returned.astype(np.float64)), returned.astype(np.float64)]
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
