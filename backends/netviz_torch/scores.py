"""The scores that a softmax or sigmoid at a model's end was given, of which derivatives are asked."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from netviz_core.backend_api import HeldValue

from .axes import AxisFollower, aten
from .tensors import is_transformed
from .watch import Watch


@dataclass(frozen=True)
class Score:
    """A tensor of which derivatives are asked, as it was and as a place in the graph of the pass."""

    value: HeldValue
    edge: GradientEdge
    dtype: torch.dtype


class ScoreWatch(Watch):
    """While active, also remembers what goes into softmaxes and sigmoids.

    Of the score of one class it can be asked what it depends on; a probability depends on all classes.
    """

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__(follower)
        self._scores: dict[int, tuple[weakref.ref[torch.Tensor], Score]] = {}

    def score(self, tensor: torch.Tensor) -> Score | None:
        """What a softmax or sigmoid made this tensor of; None if neither made it."""
        reference, score = self._scores.get(id(tensor), (None, None))
        return score if reference is not None and reference() is tensor else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        packet = getattr(func, "overloadpacket", None)
        if packet in _PROBABILITIES and args[0].requires_grad and not is_transformed(args[0]):
            score = Score(self.hold(args[0]), get_gradient_edge(args[0]), args[0].dtype)
            self._scores[id(result)] = weakref.ref(result), score
        elif packet is aten.clone and (passed_on := self.score(args[0])) is not None:
            self._scores[id(result)] = weakref.ref(result), passed_on
        return result


_PROBABILITIES = frozenset({aten._softmax, aten._log_softmax, aten.sigmoid})
