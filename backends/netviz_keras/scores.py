"""The scores of which a softmax or sigmoid at a model's end makes probabilities.

What speaks for a class is its score. A softmax makes all of them depend on each other, and flattens their
derivative where the model is sure. However it is spelt, as a layer, an activation, a function of Keras or of its
engine, or by hand, it is known by what it computes of what.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from netviz_core.backend_api import may_be_squashed as looks_squashed
from netviz_core.backend_api import squashed_by

from .operations import Operations
from .tensors import Held, dtype_name, is_differentiable

_MOST_TENSORS = 64
"""So many a softmax that is written by hand does not go through."""


class Score(NamedTuple):
    """A tensor of scores, and what made probabilities of it: ``"softmax"`` or ``"sigmoid"``."""

    tensor: Any
    squashed_by: str


def score_behind(output: Any, made_of: Iterable[Any]) -> Score | None:
    """The scores among what a part of a model's output is made of; None where no softmax or sigmoid made it."""
    if not may_be_squashed(output):
        return None
    returned, dtype = Held(output).numpy(), dtype_name(output)
    found: Score | None = None
    for tensor in made_of:
        if is_differentiable(tensor) and int(np.prod(tensor.shape)) == returned.size:
            by = squashed_by(Held(tensor).numpy(), returned, dtype)
            # What is only shifted, as by the highest score, gives the same: the first of them is the score.
            found = Score(tensor, by) if by else found
    return found


def may_be_squashed(output: Any) -> bool:
    """Whether a part of a model's output may be probabilities, or logarithms of them."""
    return bool(is_differentiable(output) and output.shape) and looks_squashed(Held(output).numpy())


def before(output: Any, operations: Operations) -> list[Any]:
    """What a tensor is made of, what was made last first."""
    waiting, found = [output], {id(output): output}
    while waiting and len(found) < _MOST_TENSORS:
        for tensor in operations.made_of(waiting.pop(0)):
            if id(tensor) not in found:
                found[id(tensor)] = tensor
                waiting.append(tensor)
    return sorted(list(found.values())[1:], key=operations.order, reverse=True)
