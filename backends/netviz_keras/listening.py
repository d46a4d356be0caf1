"""Hears what layers return, by standing in front of Keras' ``__call__`` for as long as somebody listens.

Only the classes that every layer and operation stem from are changed, and put back when nobody
listens any more: the models themselves are never touched. Who listens is known for each context,
so that threads do not hear each other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.models.functional import Functional

from netviz_core.backend_api import (
    AxisBook,
    Ears,
    NetvizError,
    Observation,
    RecorderLike,
    leaves,
    others,
    positional_axes,
)

from .axes import axes_after
from .engines import ENGINE
from .graph import nodes_in_order
from .inputs import Arguments
from .kinds import keras_class
from .layers import KerasLayer
from .tensors import Held, dtype_name, is_symbolic, is_tensor, nbytes, private

TRACED = (
    f"it ran inside a compiled or traced function, where there are no values yet; {ENGINE.help_for_traced}"
)
NOT_CALLED = "it was not called, or only within a function that had been compiled before"
_HIDDEN_BY = {
    "RNN": "a recurrent cell works step by step inside its layer, whose output has what each step returned",
    "TimeDistributed": "its wrapper applies it to each time step without calling it; see the wrapper's own output",
    "MultiHeadAttention": "its attention layer computed this within one fused operation",
    "GroupedQueryAttention": "its attention layer computed this within one fused operation",
    "Bidirectional": "its wrapper ran both directions in one fused operation",
}
"""Why a layer within a layer of this class may not be seen."""

CALLED = (keras.Operation, keras.Layer)
"""The classes that every layer and operation stem from."""

Call = tuple[Any, Sequence[range]]
"""A layer or operation, and the positions in each recorder of what was kept while it ran."""


class Listener:
    """Reports to a recorder what the layers of one model return."""

    def __init__(self, layers: Iterable[KerasLayer], recorder: RecorderLike, book: AxisBook) -> None:
        self._paths = {id(layer.native): layer.path for layer in layers}
        self._recorder = recorder
        self._recorders = [recorder] if recorder.given is None else [recorder, recorder.given]
        self._book = book
        self.ran: set[str] = set()
        """The paths of the layers that have returned."""
        self._running: list[tuple[list[int], list[Call]]] = []

    def entering(self) -> None:
        """A layer is about to run."""
        self._running.append((self._kept(), []))

    def given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """It has been given arguments; returns those that it is to get.

        The inputs of a functional graph, which no layer returns, are seen here.
        """
        self._tell_given(layer, args, kwargs)
        if not args or not isinstance(layer, Functional) or type(layer).call is not Functional.call:
            return args, kwargs
        inputs = [tensor._keras_history.operation for tensor in layer.inputs]
        if not any(self.concerns(self._paths.get(id(declared), "")) for declared in inputs):
            return args, kwargs
        given = layer._standardize_inputs(args[0])
        for declared, tensor in zip(inputs, given, strict=True):
            self._tell_given(declared, (tensor,), {})
        passed_on = [
            self.returned(declared, (), {}, tensor) for declared, tensor in zip(inputs, given, strict=True)
        ]
        if all(new is old for new, old in zip(passed_on, given, strict=True)):
            return args, kwargs
        return (keras.tree.pack_sequence_as(layer._inputs_struct, passed_on), *args[1:]), kwargs

    def instead(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What stands in for what it would return, so that it need not run; None if it is to run."""
        return None

    def concerns(self, path: str) -> bool:
        """Whether anything is to be done where a layer returns."""
        return path in self._recorder.paths

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """It has returned; returns what its caller is to get."""
        path = self._paths.get(id(layer))
        if path is None:
            return output
        self.ran.add(path)
        tensors = list(leaves(output, is_tensor))
        if any(is_symbolic(tensor) for _, tensor in tensors):
            self._recorder.miss(path, TRACED)
            return output
        parts = [
            (leaf, tensor, axes_after(self._book, layer, (args, kwargs), tensor)) for leaf, tensor in tensors
        ]
        if path in self._recorder.paths:
            report(self._recorder, path, parts)
            if not is_tensor(output):
                self._recorder.add_others(path, others(output, is_tensor))
        return output

    def leaving(self, layer: Any) -> None:
        """It has returned or failed."""
        starts, calls = self._running.pop()
        if isinstance(layer, Functional):
            self._as_written(layer, calls)
        if self._running:
            self._running[-1][1].append((layer, list(map(range, starts, self._kept()))))

    def _kept(self) -> list[int]:
        """How much each recorder holds."""
        return [len(recorder.slots) for recorder in self._recorders]

    def _tell_given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Tell what a layer is about to be given, if somebody wants to know."""
        path, given = self._paths.get(id(layer)), self._recorder.given
        if given is None or path not in given.paths:
            return
        arguments = {**{str(position): value for position, value in enumerate(args)}, **kwargs}
        tensors = list(leaves(arguments, is_tensor))
        if any(is_symbolic(tensor) for _, tensor in tensors):
            given.miss(path, TRACED)
            return
        report(
            given,
            path,
            [
                (leaf, tensor, self._book.get(tensor) or positional_axes(len(tensor.shape)))
                for leaf, tensor in tensors
            ],
        )

    def _as_written(self, graph: Functional, calls: list[Call]) -> None:
        """Put the calls of shared layers into the order in which the graph was written.

        Keras runs the branches of a graph in an order of its own.
        """
        written: dict[int, list[int]] = {}
        for node in nodes_in_order(graph):
            written.setdefault(id(node.operation), []).append(node.outputs[0]._keras_history.node_index)
        run: dict[int, list[int]] = {}
        for place, (layer, _) in enumerate(calls):
            run.setdefault(id(layer), []).append(place)
        moved = list(calls)
        for key, places in run.items():
            order = written.get(key, [])
            if len(places) == len(order):
                for place, (_, source) in zip(places, sorted(zip(order, places, strict=True)), strict=True):
                    moved[place] = calls[source]
        if moved != calls:
            for number, recorder in enumerate(self._recorders):
                order = [position for _, positions in moved for position in positions[number]]
                recorder.rearrange(min(order, default=0), order)


def report(recorder: RecorderLike, path: str, parts: Sequence[tuple[str, Any, tuple[str, ...]]]) -> None:
    """Tell the recorder of one call: the name, the tensor and the axes of each part of its output."""
    if any(dtype_name(tensor) == "string" or None in tensor.shape for _, tensor, _ in parts):
        recorder.miss(
            path, "it returned strings or a ragged tensor, which is no array of numbers", "unsupported"
        )
        return
    sizes = [nbytes(tensor) for _, tensor, _ in parts]
    if not recorder.reduces(path):
        recorder.require_room(path, sum(sizes))
    recorder.add(
        path,
        [
            Observation(leaf, Held(tensor), axes, dtype_name(tensor), size)
            for (leaf, tensor, axes), size in zip(parts, sizes, strict=True)
        ],
    )


def explain(layers: Iterable[KerasLayer], recorder: RecorderLike, ran: Container[str] | None = None) -> None:
    """Give the reason for the layers asked for that have not been heard; by default all ran that hold others."""
    for layer in layers:
        if layer.path in recorder.paths:
            above = (
                keras_class(ancestor.native, _HIDDEN_BY)
                for ancestor in layer.ancestors
                if ran is None or ancestor.path in ran
            )
            recorder.miss(layer.path, next((_HIDDEN_BY[name] for name in above if name), NOT_CALLED))


def listening(listener: Listener) -> AbstractContextManager[None]:
    """Let `listener` hear the layers that run in this context."""
    return _ears.listening([listener], CALLED)


def _told(original: Callable[..., Any], cls: type) -> Callable[..., Any]:
    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        listeners = _ears.listeners
        # A layer's call comes by here a second time, as the operation that it also is.
        again = cls is keras.Operation and isinstance(self, keras.Layer)
        if not listeners or again or in_symbolic_scope():
            return original(self, *args, **kwargs)
        args, kwargs = private((args, kwargs))
        for listener in listeners:
            listener.entering()
        try:
            with _unaltered_errors():
                for listener in reversed(listeners):
                    args, kwargs = listener.given(self, args, kwargs)
            made = (listener.instead(self, args, kwargs) for listener in listeners)
            output = next((output for output in made if output is not None), None)
            if output is None:
                with unheard() if keras_class(self, ("RNN",)) else nullcontext():
                    output = original(self, *args, **kwargs)
            with _unaltered_errors():
                # What the last to come has put into place of the output, those before it see.
                for listener in reversed(listeners):
                    output = listener.returned(self, args, kwargs, output)
            return output
        finally:
            for listener in listeners:
                listener.leaving(self)

    return __call__


_ears = Ears[Listener]("__call__", _told)
unheard = _ears.unheard
"""Let no listener hear what runs here, such as the cells that a recurrent layer calls for each time step."""


@contextmanager
def _unaltered_errors() -> Iterator[None]:
    """Keep Keras from writing the layer's arguments into netviz' own errors."""
    try:
        yield
    except NetvizError as error:
        error._keras_call_info_injected = True  # type: ignore[attr-defined]
        raise
