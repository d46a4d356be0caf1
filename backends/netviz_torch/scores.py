"""The scores of which a softmax or sigmoid at a model's end makes probabilities, and of which derivatives are asked.

Of the score of one class it can be asked what it depends on; a probability depends on all classes. However a softmax
is written, as a layer, a function or by hand, it is known by what it computes of what.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload
from torch.autograd.graph import GradientEdge, get_gradient_edge

from netviz_core.backend_api import Book, HeldValue, may_be_squashed, squashed_by

from .axes import AxisFollower
from .tensors import dtype_name, is_transformed, to_numpy
from .watch import Watch


@dataclass(frozen=True)
class Given:
    """A tensor that an operation was given, as it was and as a place in the graph of the pass."""

    value: HeldValue
    edge: GradientEdge
    dtype: torch.dtype


@dataclass(frozen=True)
class Score(Given):
    """A tensor of which derivatives are asked."""

    squashed_by: str
    """``"softmax"`` or ``"sigmoid"``."""


_MOST_KEPT = 16
_MOST_STEPS = 4
"""So many sums and products lie between a score and what is raised to a power."""


class ScoreWatch(Watch):
    """While active, also remembers what goes into softmaxes and sigmoids, and into what these may be made of."""

    sees_all = True

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__(follower)
        self._raised: deque[tuple[Given, ...]] = deque(maxlen=_MOST_KEPT)
        self._made_of = Book[tuple[Given, ...]]()
        """What sums and products made a tensor of, the first of them first."""

    def score(self, tensor: torch.Tensor) -> Score | None:
        """What a softmax or sigmoid made this tensor of; None if neither made it."""
        if not tensor.requires_grad or not tensor.ndim or not tensor.is_floating_point():
            return None
        values = to_numpy(tensor)
        if not may_be_squashed(values):
            return None
        for given in (given for steps in reversed(self._raised) for given in steps):
            if given.value.shape and values.size == torch.Size(given.value.shape).numel():
                dtypes = dtype_name(tensor.dtype), dtype_name(given.dtype)
                by = squashed_by(given.value.numpy(), values, *dtypes)
                if by:
                    return Score(given.value, given.edge, given.dtype, by)
        return None

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """See `Watch.run`; also note what a softmax or sigmoid may have been put on."""
        name = _name_of(func)
        given = _given(args) if name in _RAISING or name in _SHIFTING else None
        # Before the operation, which may write into what it is given.
        steps = (*(self._made_of.get(given) or ()), self._held_as_given(given)) if given is not None else ()
        result = super().run(func, args, kwargs)
        if name in _RAISING and steps:
            self._raised.append(steps)
        elif steps and isinstance(result, torch.Tensor) and given is not None and result.shape == given.shape:
            self._made_of.note(result, steps[-_MOST_STEPS:])
        return result

    def _held_as_given(self, tensor: torch.Tensor) -> Given:
        return Given(self.hold(tensor), get_gradient_edge(tensor), tensor.dtype)


def _given(args: Any) -> torch.Tensor | None:
    """What an operation computes of and derivatives can be asked of, weights aside."""
    return next(
        (
            part
            for part in args
            if isinstance(part, torch.Tensor)
            and part.grad_fn is not None
            and part.is_floating_point()
            and not is_transformed(part)
        ),
        None,
    )


@cache
def _name_of(func: Any) -> str:
    """The name of an operation, the same where it writes into what it is given."""
    return func._schema.name.partition("::")[2].rstrip("_") if isinstance(func, OpOverload) else ""


_RAISING = frozenset(
    """
    _softmax _log_softmax _safe_softmax sigmoid log_sigmoid_forward exp exp2 pow logsumexp logaddexp softplus tanh
    """.split()
)
_SHIFTING = frozenset("add sub rsub neg mul div".split())
"""By which scores are shifted before they are raised to a power, which changes no softmax of them."""
