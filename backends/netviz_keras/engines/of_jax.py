"""JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import keras
from jax.extend.core import Primitive

from netviz_core.backend_api import Ears

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
        with jax.disable_jit(), _ears.listening([note], [Primitive]):
            yield


def _bound(original: Callable[..., Any], _: type) -> Callable[..., Any]:
    @functools.wraps(original)
    def bind(self: Any, *given: Any, **options: Any) -> Any:
        notes = _ears.listeners[-1:]
        with _ears.unheard() if notes else nullcontext():  # what an operation consists of is its own business
            returned = original(self, *given, **options)
        for note in notes:
            note(self.name, given, returned if self.multiple_results else [returned])
        return returned

    return bind


_ears = Ears[Note]("bind", _bound)

ENGINE = _Jax("jax")
