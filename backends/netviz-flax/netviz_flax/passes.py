"""Passes in evaluation mode, over a copy of the model: the one given is never touched.

The copy shares the arrays, which nothing can write to; what a pass writes (statistics, random state, caches) and the
modes it runs in are the copy's own. Compilation is off, so that there are values to be heard under ``nnx.jit`` too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from netviz_core.backend_api import (
    AxisArray,
    AxisBook,
    InputError,
    MakeListener,
    RecorderLike,
    UnsupportedError,
    listening,
    require_input,
    telling,
)  # fmt: skip

from .kinds import flax_class
from .layers import FlaxLayer, at, layers
from .reading import Reader, laid_out

READER = Reader()
_TAG = "_netviz_path"
"""On the modules of a copy: unlike an identity, it comes with them through ``nnx.jit`` and ``nnx.scan``."""

_NOT_CALLED = (
    "it was not called: only `__call__` is heard, and not what runs under nnx.jit or another transformation, which "
    "calls copies of the modules; record under jax.disable_jit(), or let netviz.capture make the pass"
)
_STEPS = "its cell works step by step within the recurrent layer, whose output has what each step returned"


def call(
    model: nnx.Module,
    inputs: Any,
    makers: Iterable[MakeListener],
    prepare: Callable[[nnx.Module], None] = lambda copy: None,
) -> Any:
    """Make one pass over a copy that was prepared for it, heard by those whom `makers` make."""
    book = AxisBook()
    args, kwargs = _arguments(model, inputs, book)
    copy, found = nnx.clone(model), list(layers(model))
    copy.eval()
    prepare(copy)
    for layer in found:
        if callable(layer.native):
            setattr(at(copy, layer.keys), _TAG, layer.path)
    heard = [make(READER, lambda module: getattr(module, _TAG, None), book) for make in makers]
    with jax.disable_jit(), listening(heard, {type(layer.native) for layer in found}):
        output = copy(*args, **kwargs)
    for listener in heard:
        _explain(found, listener.recorder)
    return output


@contextmanager
def recording(model: nnx.Module, recorder: RecorderLike) -> Iterator[None]:
    """Hear the model itself, in whatever way its user runs it."""
    found = list(layers(model))
    paths = {id(layer.native): layer.path for layer in found}
    listener = telling(recorder)(READER, lambda module: paths.get(id(module)), AxisBook())
    with listening([listener], {type(layer.native) for layer in found}):
        yield
    _explain(found, recorder)


def _explain(found: Iterable[FlaxLayer], recorder: RecorderLike) -> None:
    """Give the reason for the layers asked for that have not been heard."""
    recurrent: list[tuple[Any, ...]] = []
    for layer in found:
        within = any(layer.keys[: len(above)] == above for above in recurrent)
        recorder.miss(layer.path, _STEPS if within else _NOT_CALLED)
        if flax_class(layer.native) == "RNN":
            recurrent.append(layer.keys)


def _arguments(model: nnx.Module, inputs: Any, book: AxisBook) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments for the model; the axes of an `AxisArray` go into `book`."""
    require_input(inputs)
    if not callable(model):
        raise UnsupportedError(
            f"a {type(model).__name__} has no `__call__`, which is what netviz runs; give a module that has one"
        )

    def convert(value: Any) -> Any:
        if isinstance(value, AxisArray):
            axes = laid_out(value.axes)
            return book.note(jnp.array(value.transpose(*axes).values), axes)
        if value is not None and not READER.is_tensor(value) and not np.isscalar(value):
            raise InputError(f"a {type(value).__name__} was given as input; give an array")
        # A copy, which what the model does to its input, and what others do to it, leaves alone.
        return jnp.array(value) if isinstance(value, np.ndarray) and value.dtype.kind in "biufV" else value

    inputs = jax.tree.map(convert, inputs, is_leaf=lambda part: not isinstance(part, (tuple, list, dict)))
    taken = inspect.signature(type(model).__call__).parameters.values()
    required = [p.name for p in taken if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    if isinstance(inputs, dict) and {*required} <= inputs.keys():
        return (), inputs
    return (tuple(inputs), {}) if isinstance(inputs, (tuple, list)) else ((inputs,), {})
