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
    squashed_by: str
    """``"softmax"`` or ``"sigmoid"``."""


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

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """See `Watch.run`; also note what a softmax or sigmoid was put on."""
        result = super().run(func, args, kwargs)
        packet = getattr(func, "overloadpacket", None)
        if packet in _SQUASHING and args[0].requires_grad and not is_transformed(args[0]):
            made = result[0] if isinstance(result, tuple) else result
            score = Score(self.hold(args[0]), get_gradient_edge(args[0]), args[0].dtype, _SQUASHING[packet])
            self._scores[id(made)] = weakref.ref(made), score
        elif (
            packet in _KEEPING
            and (passed_on := self.score(args[0])) is not None
            and _has_all(result, args[0])
        ):
            self._scores[id(result)] = weakref.ref(result), passed_on
        return result


def _has_all(result: torch.Tensor, given: torch.Tensor) -> bool:
    return result.numel() == given.numel()


_SQUASHING = {
    aten._softmax: "softmax",
    aten._log_softmax: "softmax",
    aten.sigmoid: "sigmoid",
    aten.log_sigmoid_forward: "sigmoid",
}
_KEEPING = frozenset(
    {
        *(aten.clone, aten._to_copy, aten.view, aten._unsafe_view, aten.squeeze, aten.unsqueeze),
        *(aten.select, aten.slice, aten.alias),
    }
)
"""What keeps the order of the numbers, if it keeps all of them, whatever becomes of their form and type."""
