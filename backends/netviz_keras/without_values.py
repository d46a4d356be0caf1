"""A pass over tensors that have shapes and no values.

In such a pass, and only in such a one, Keras tells of every ``keras.ops`` function and operator as it does of layers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from netviz_core.backend_api import AxisBook, Ears, replaced

from .inputs import Arguments
from .layers import KerasLayer
from .listening import CALLED, Listener, listening
from .tensors import is_tensor


def symbols(arguments: Arguments, book: AxisBook) -> Arguments:
    """Arguments of the same form without values."""
    return _mapped(arguments, book, lambda value: keras.KerasTensor(value.shape, _dtype(value)))


def tensors(arguments: Arguments, book: AxisBook) -> Arguments:
    """Arguments as tensors of the engine."""
    return _mapped(arguments, book, keras.ops.convert_to_tensor)


def _dtype(value: Any) -> str:
    return str(keras.backend.standardize_dtype(value.dtype))


def _mapped(arguments: Arguments, book: AxisBook, make: Callable[[Any], Any]) -> Arguments:
    def other(value: Any) -> Any:
        return book.note(make(value), book.get(value))

    args, kwargs = arguments
    return (
        tuple(replaced(value, is_tensor, other) for value in args),
        {name: replaced(value, is_tensor, other) for name, value in kwargs.items()},
    )


class Computing(Listener):
    """Hears also of what is computed of tensors without values."""

    def computed(
        self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], compute: Callable[..., Any]
    ) -> Any:
        """Find what a layer or operation returns when it is given tensors without values."""
        return compute(operation, *args, **kwargs)


def _computed(original: Callable[..., Any], _: type) -> Callable[..., Any]:
    @functools.wraps(original)
    def symbolic_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        tracers = _symbolic_ears.listeners
        if not tracers or in_symbolic_scope():
            return original(self, *args, **kwargs)
        return tracers[-1].computed(self, args, kwargs, original)

    return symbolic_call


_symbolic_ears = Ears[Computing]("symbolic_call", _computed)


@contextmanager
def following(tracer: Computing) -> Iterator[None]:
    """Let `tracer` hear what is called and computed in this context."""
    with _symbolic_ears.listening([tracer], CALLED), listening(tracer):
        yield


@contextmanager
def nodes_kept(layers: Iterable[KerasLayer]) -> Iterator[None]:
    """Take back the places in a graph that Keras notes with every call without values."""
    nodes = [
        nodes for layer in layers for nodes in (layer.native._inbound_nodes, layer.native._outbound_nodes)
    ]
    before = [len(kept) for kept in nodes]
    try:
        yield
    finally:
        for kept, number in zip(nodes, before, strict=True):
            del kept[number:]
