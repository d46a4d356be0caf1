"""Hears the operations of a pass, on each of Keras' engines, as far as a softmax or sigmoid may consist of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from .listening import Ears

if keras.backend.backend() == "torch":
    import torch
    from torch.overrides import TorchFunctionMode, resolve_name
elif keras.backend.backend() == "jax":
    import jax
    from jax.extend.core import Primitive
elif keras.backend.backend() == "tensorflow":
    from tensorflow.python.framework import op_callbacks

Note = Callable[[str, Sequence[Any], Sequence[Any]], None]
"""Takes the name of an operation, in small letters, what it was given and what it returned."""

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


def hearing(operations: Operations) -> AbstractContextManager[None]:
    """Let `operations` hear what the engine computes in this context."""
    return _ENGINES[keras.backend.backend()](operations.note)


@contextmanager
def _hearing_tensorflow(note: Note) -> Iterator[None]:
    def told(
        name: str, given: Any, attributes: Any, returned: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is None:
            note(name.lower(), given, returned)

    op_callbacks.add_op_callback(told)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(told)


if keras.backend.backend() == "torch":

    class _Heard(TorchFunctionMode):
        def __init__(self, note: Note) -> None:
            super().__init__()
            self._note = note

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            returned = func(*args, **(kwargs or {}))
            if isinstance(returned, torch.Tensor):
                name = (resolve_name(func) or getattr(func, "__name__", "")).rpartition(".")[2].strip("_")
                given = [
                    value for value in (*args, *(kwargs or {}).values()) if isinstance(value, torch.Tensor)
                ]
                self._note(name, given, [returned])
            return returned


@contextmanager
def _hearing_torch(note: Note) -> Iterator[None]:
    with _Heard(note):
        yield


_noting: ContextVar[Note | None] = ContextVar("netviz_keras_noting", default=None)


def _bound(original: Callable[..., Any], _: type) -> Callable[..., Any]:
    @functools.wraps(original)
    def bind(self: Any, *given: Any, **options: Any) -> Any:
        note = _noting.get()
        if note is None:
            return original(self, *given, **options)
        token = _noting.set(None)  # what an operation consists of is its own business
        try:
            returned = original(self, *given, **options)
        finally:
            _noting.reset(token)
        note(self.name, given, returned if self.multiple_results else [returned])
        return returned

    return bind


if keras.backend.backend() == "jax":
    _jax_ears = Ears("bind", _bound, (Primitive,))


@contextmanager
def _hearing_jax(note: Note) -> Iterator[None]:
    """Functions that are compiled by themselves are computed operation by operation."""
    token = _noting.set(note)
    try:
        with jax.disable_jit(), _jax_ears:
            yield
    finally:
        _noting.reset(token)


_ENGINES = {"tensorflow": _hearing_tensorflow, "torch": _hearing_torch, "jax": _hearing_jax}
