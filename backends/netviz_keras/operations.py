"""Hears the operations of a pass, on each of Keras' engines, as far as a softmax or sigmoid may consist of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from .engines import ENGINE

_HEARD = frozenset(
    " ".join(
        (
            # softmaxes, sigmoids and what they may be made of
            """softmax log_softmax logsoftmax sigmoid logistic expit log_sigmoid logsigmoid softplus
    exp log log1p expm1 neg negative reciprocal div divide truediv true_divide realdiv rtruediv rdiv
    sub subtract rsub add addv2 radd sum reduce_sum max amax reduce_max logsumexp tanh""",
            # what moves numbers or brings them to another type
            """identity copy copy_p clone detach stopgradient stop_gradient cast to type float convert_element_type
    reshape view flatten ravel unflatten squeeze unsqueeze expanddims expand_dims transpose permute movedim
    swapaxes contiguous broadcastto broadcast_in_dim expand""",
            # a function that JAX has with a derivative of its own, such as its softmax
            "custom_jvp_call custom_vjp_call",
        )
    ).split()
)


_UNHEARD: tuple[Any, Sequence[Any], int] = (None, (), -1)


class Operations:
    """Which operation made a tensor, and of what."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, Sequence[Any], int]] = {}

    def note(self, name: str, given: Sequence[Any], returned: Sequence[Any]) -> None:
        """An operation has returned; those that cannot be a part of a softmax are not kept."""
        if name in _HEARD:
            for tensor in returned:
                # Kept with the tensor itself, so that no other comes to have its identity.
                self._made.setdefault(id(tensor), (tensor, tuple(given), len(self._made)))

    def made_of(self, tensor: Any) -> Sequence[Any]:
        """What the operation that made a tensor was given; nothing if none that is heard made it."""
        return self._made.get(id(tensor), _UNHEARD)[1]

    def order(self, tensor: Any) -> int:
        """The number of the operation that made a tensor; before all others if none that is heard made it."""
        return self._made.get(id(tensor), _UNHEARD)[2]


def hearing(operations: Operations) -> AbstractContextManager[Any]:
    """Let `operations` hear what the engine computes in this context."""
    return ENGINE.hearing(operations.note)
