"""Passes in evaluation mode, over a copy of the model: the one given is never touched.

The copy shares the arrays, which nothing can write to; what a pass writes (statistics, random state, caches) and the
modes it runs in are the copy's own. Compilation is off, so that there are values to be heard under ``nnx.jit`` too.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from netviz_core.backend_api import (
    AxisArray,
    InputError,
    RecorderLike,
    Replacement,
    StandIn,
    UnsupportedError,
    leaves,
    replaced,
    require_input,
)  # fmt: skip

from .axes import AxisBook, laid_out
from .layers import at, layers
from .listening import Listener, explain, is_array, listening

TAG = "_netviz_path"
"""On the modules of a copy: unlike an identity, it comes with them through ``nnx.jit`` and ``nnx.scan``."""

Make = Callable[[Callable[[Any], "str | None"], AxisBook], Listener]


def heard_by(recorder: RecorderLike) -> Make:
    """Makes one who tells a recorder."""
    return lambda path_of, book: Listener(path_of, recorder, book)


def call(model: nnx.Module, inputs: Any, makers: Iterable[Make]) -> Any:
    """Make one pass over a copy; `makers` make those who listen."""
    book = AxisBook()
    args, kwargs = prepare(model, inputs, book)
    copy, found = nnx.clone(model), list(layers(model))
    copy.eval()
    for layer in found:
        if callable(layer.native):
            setattr(at(copy, layer.keys), TAG, layer.path)
    ears = [make(lambda module: getattr(module, TAG, None), book) for make in makers]
    with jax.disable_jit(), listening(ears, {type(layer.native) for layer in found}):
        output = copy(*args, **kwargs)
    for ear in ears:
        explain(found, ear.recorder)
    return output


def prepare(model: nnx.Module, inputs: Any, book: AxisBook) -> tuple[tuple[Any, ...], dict[str, Any]]:
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
        if value is not None and not is_array(value) and not np.isscalar(value):
            raise InputError(f"a {type(value).__name__} was given as input; give an array")
        # A copy, which what the model does to its input, and what others do to it, leaves alone.
        return jnp.array(value) if isinstance(value, np.ndarray) and value.dtype.kind in "biufV" else value

    is_one = lambda part: part is None or not isinstance(part, (tuple, list, dict))  # noqa: E731
    inputs = jax.tree.map(convert, inputs, is_leaf=is_one)
    taken = inspect.signature(type(model).__call__).parameters.values()
    required = [p.name for p in taken if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    if isinstance(inputs, dict) and {*required} <= inputs.keys():
        return (), inputs
    return (tuple(inputs), {}) if isinstance(inputs, (tuple, list)) else ((inputs,), {})


@contextmanager
def recording(model: nnx.Module, recorder: RecorderLike) -> Iterator[None]:
    """Hear the model itself, in whatever way its user runs it."""
    found = list(layers(model))
    paths = {id(layer.native): layer.path for layer in found}
    listener = Listener(lambda module: paths.get(id(module)), recorder, AxisBook())
    with listening([listener], {type(layer.native) for layer in found}):
        yield
    explain(found, recorder)


class Replacing(Listener):
    """Tells a recorder what modules are given and return, and hands on other values."""

    def __init__(
        self, path_of: Any, recorder: RecorderLike, book: AxisBook, replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> None:  # fmt: skip
        super().__init__(path_of, recorder, book)
        self._replacement = replacement
        self._instead = {path: deque(stand_ins) for path, stand_ins in instead.items()}
        self._calls: dict[tuple[str, bool], int] = {}

    def given(self, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
        new: dict[str, Any] = self._other(super().given(path, arguments), path, is_given=True)
        return new

    def instead(self, path: str) -> Any:
        if not self._instead.get(path):
            return None
        values, axes, dtype = self._instead[path].popleft()
        return self.book.note(jnp.asarray(values, dtype), axes)

    def returned(self, path: str, kind: str, given: Any, output: Any) -> Any:
        if path in self._instead:
            return output
        return self._other(super().returned(path, kind, given, output), path, is_given=False)

    def _other(self, structure: Any, path: str, is_given: bool) -> Any:
        if path not in self.recorder.paths:
            return structure
        call = self._calls.get((path, is_given), 0)
        self._calls[path, is_given] = call + 1
        names = iter([name for name, _ in leaves(structure, is_array)])

        def other(array: Any) -> Any:
            values = self._replacement(path, call, next(names), is_given, tuple(array.shape))
            if values is None:
                return array
            new, axes = jnp.asarray(values, array.dtype), self.book.get(array)
            return new if axes is None else self.book.note(new, axes)

        return replaced(structure, is_array, other)
