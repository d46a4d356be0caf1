"""Hears the operations of a pass, on each of Keras' engines, as far as a softmax or sigmoid may consist of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

if keras.backend.backend() == "torch":
    import torch
    from torch.overrides import TorchFunctionMode, resolve_name
elif keras.backend.backend() == "jax":
    import jax
    import jax.extend.core
elif keras.backend.backend() == "tensorflow":
    from tensorflow.python.framework import op_callbacks

Note = Callable[[str, Sequence[Any], Sequence[Any]], None]
"""Takes the name of an operation, in small letters, what it was given and what it returned."""

_HEARD = frozenset(
    (
        # softmaxes, sigmoids and what they may be made of
        """softmax log_softmax logsoftmax sigmoid logistic expit log_sigmoid logsigmoid softplus
    exp log log1p expm1 neg negative reciprocal div divide truediv true_divide realdiv rtruediv rdiv
    sub subtract rsub add addv2 radd sum reduce_sum max amax reduce_max logsumexp tanh """
        # what moves numbers or brings them to another type
        """identity copy copy_p clone detach stopgradient stop_gradient cast to type float convert_element_type
    reshape view flatten ravel unflatten squeeze unsqueeze expanddims expand_dims transpose permute movedim
    swapaxes contiguous broadcastto broadcast_in_dim expand"""
    ).split()
)


class Operations:
    """Which operation made a tensor, and of what."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, Sequence[Any]]] = {}

    def note(self, name: str, given: Sequence[Any], returned: Sequence[Any]) -> None:
        """An operation has returned; those that cannot be a part of a softmax are not kept."""
        if name in _HEARD:
            for tensor in returned:
                # Kept with the tensor itself, so that no other comes to have its identity.
                self._made.setdefault(id(tensor), (tensor, tuple(given)))

    def made_of(self, tensor: Any) -> Sequence[Any]:
        """What the operation that made a tensor was given; nothing if none that is heard made it."""
        return self._made.get(id(tensor), (None, ()))[1]


@contextmanager
def hearing(operations: Operations) -> Iterator[None]:
    """Let `operations` hear what TensorFlow or torch compute in this context; for JAX there is `replayed`."""
    if keras.backend.backend() == "tensorflow":
        with _hearing_tensorflow(operations.note):
            yield
    elif keras.backend.backend() == "torch":
        with _Heard(operations.note):
            yield
    else:
        yield


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


def replayed(closed: Any, arguments: Sequence[Any], note: Note) -> list[Any]:
    """Compute what JAX has traced, operation by operation, functions that are compiled by themselves included."""
    return _replayed(closed.jaxpr, closed.consts, arguments, note)


def _replayed(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any], note: Note) -> list[Any]:
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))

    def value_of(atom: Any) -> Any:
        return atom.val if isinstance(atom, jax.extend.core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        given = [value_of(atom) for atom in equation.invars]
        inner = _seen_into(equation)
        if inner is not None:
            returned = _replayed(inner.jaxpr, inner.consts, given, note)
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            functions, options = (
                bound if isinstance(bound, tuple) else ((), bound)
            )  # JAX' older form, and its newer
            returned = equation.primitive.bind(*functions, *given, **options)
            returned = returned if equation.primitive.multiple_results else [returned]
            note(equation.primitive.name, given, returned)
        values.update(zip(equation.outvars, returned, strict=True))
    return [value_of(atom) for atom in jaxpr.outvars]


def _seen_into(equation: Any) -> Any:
    """What a compiled function computes, and one with a derivative of its own if it may be a softmax; else None."""
    inner = equation.params.get("jaxpr" if equation.primitive.name in ("jit", "pjit") else "call_jaxpr")
    if equation.primitive.name in ("jit", "pjit") or (inner is not None and _is_heard(inner.jaxpr)):
        return inner
    return None


def _is_heard(jaxpr: Any) -> bool:
    inner = [_seen_into(equation) for equation in jaxpr.eqns]
    return all(
        equation.primitive.name in _HEARD if within is None else _is_heard(within.jaxpr)
        for equation, within in zip(jaxpr.eqns, inner, strict=True)
    )
