"""JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import keras
from jax.extend.core import Primitive

from .ears import Ears
from .engine import Engine, Note


class _Jax(Engine):
    keeps_tensors = shares_memory = True
    # The model takes values out of JAX.
    derivative_errors = (*Engine.derivative_errors, jax.errors.JAXTypeError)
    help_for_traced = (
        "as in fit, which on JAX traces the model for its gradients however it is compiled; call the model itself to "
        "see them, or watch a training with netviz_keras.NetvizCallback"
    )

    def is_symbolic(self, tensor: Any) -> bool:
        return isinstance(tensor, jax.core.Tracer)

    def compiled(self, model: keras.Model) -> Callable[[list[Any]], Any]:
        def function(values: list[Any], inputs: list[Any]) -> Any:
            with keras.StatelessScope(zip(model.variables, values, strict=True)):
                return model(inputs, training=False)

        compiled = jax.jit(function)
        return lambda inputs: compiled([variable.value for variable in model.variables], inputs)

    @contextmanager
    def hearing(self, note: Note) -> Iterator[None]:
        """Functions that are compiled by themselves are computed operation by operation."""
        token = _noting.set(note)
        try:
            with jax.disable_jit(), _ears:
                yield
        finally:
            _noting.reset(token)


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


_ears = Ears("bind", _bound, (Primitive,))

ENGINE = _Jax("jax")
