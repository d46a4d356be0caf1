"""Traces the data flow between layers, by a pass over tensors that have shapes and no values.

In such a pass, and only in such a one, Keras tells of every ``keras.ops`` function and operator as it does of
layers. A model that needs values, or calls functions of its engine, is listened to in a real pass instead.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import keras
from keras.src.backend import get_keras_mask, set_keras_mask

from netviz_core.backend_api import (
    NOT_FOLLOWED,
    OUTPUT,
    AxisBook,
    Recorder,
    TensorForm,
    TracedCall,
    leaves,
    positional_axes,
    replaced,
)

from .axes import axes_after
from .counting import example_of
from .engines import ENGINE
from .inputs import Arguments, prepare
from .kinds import keras_class
from .layers import KerasLayer, walk
from .listening import listening
from .passes import build, unchanged
from .tensors import is_tensor
from .without_values import Computing, following, nodes_kept, symbols, tensors
from .words import moves_only, only_looks, word_of


def trace(model: Any, inputs: Any) -> Iterator[TracedCall]:
    """See `netviz_core.backend_api.SupportsGraph`."""
    book = AxisBook()
    arguments = prepare(model, example_of(model, None) if inputs is None else inputs, book)
    build(model, arguments)
    layers = list(walk(model))
    failed = None
    with keras.StatelessScope(), ENGINE.no_gradients():
        try:
            calls = _without_values(model, symbols(arguments, book), layers, book)
        except Exception:
            # What is the model's own fault, it raises again.
            calls, failed = _with_values(model, tensors(arguments, book), layers, book)
    yield from calls
    if failed is not None:  # as far as the pass came is known
        raise failed


def _without_values(
    model: Any, arguments: Arguments, layers: Sequence[KerasLayer], book: AxisBook
) -> list[TracedCall]:
    tracer = _Tracer(layers, book)
    args, kwargs = arguments
    with unchanged(model, arguments), nodes_kept(layers), following(tracer):
        model(*args, **kwargs, training=False)
    return tracer.calls


def _with_values(
    model: Any, arguments: Arguments, layers: Sequence[KerasLayer], book: AxisBook
) -> tuple[list[TracedCall], Exception | None]:
    tracer = _GuessingTracer(layers, book)
    args, kwargs = arguments
    try:
        with unchanged(model, arguments), listening(tracer):
            model(*args, **kwargs, training=False)
    except Exception as error:
        return tracer.calls, error
    return tracer.calls, None


class _Call(NamedTuple):
    """A call that is being made."""

    path: str
    is_leaf: bool
    given: list[Any]
    inputs: tuple[TensorForm, ...]


class _Tracer(Computing):
    """Writes down the calls, and knows the tensors that stem from the model's input."""

    def __init__(self, layers: Sequence[KerasLayer], book: AxisBook) -> None:
        super().__init__(layers, Recorder(()), book)
        self.calls: list[TracedCall] = []
        with_layers_within = {id(layer.parent.native) for layer in layers if layer.parent is not None}
        self._opened = {
            id(layer.native)
            for layer in layers
            if not layer.path or (id(layer.native) in with_layers_within and _is_seen_into(layer))
        }
        self._known: dict[int, tuple[Any, Hashable]] = {}
        """Tensors and their numbers; they are kept, so that no other has the same identity."""
        self._numbers = count()
        self._open: list[_Call] = []
        self._hidden = 0
        """How many calls are being made within a layer that is not seen into."""

    def given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        if self._is_within_leaf:
            self._hidden += 1
            return args, kwargs
        given = _parts((args, kwargs))
        if not self._open:
            for tensor in given:
                self._give(tensor)
        self._require_known(given)
        path = self._paths.get(id(layer)) if isinstance(layer, keras.Layer) else None
        if path is None:
            path = self._open[-1].path if self._open else ""
        self._open.append(_Call(path, id(layer) not in self._opened, given, self._forms(given)))
        return args, kwargs

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if self._hidden:
            self._hidden -= 1
            return output
        call = self._open[-1]
        if call.is_leaf:
            is_given = {id(tensor) for tensor in call.given}
            output = replaced(
                output, is_tensor, lambda tensor: _copied(tensor) if id(tensor) in is_given else tensor
            )
            self._open.pop()
            self._tell(layer, call, _parts(output))
        else:
            self._require_known(_parts(output))
            self._open.pop()
        if not self._open:
            self.calls.append(TracedCall("", OUTPUT, self._forms(_parts(output)), ()))
        return output

    def computed(
        self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], compute: Callable[..., Any]
    ) -> Any:
        """Find what a layer or operation returns when it is given tensors without values."""
        if self._is_within_leaf or not self._open:
            return compute(operation, *args, **kwargs)
        if isinstance(operation, keras.Layer):
            return operation.call(*args, **kwargs)
        given = _parts((args, kwargs))
        output = compute(operation, *args, **kwargs)
        self._tell(operation, _Call(self._open[-1].path, True, given, self._forms(given)), _parts(output))
        return output

    @property
    def _is_within_leaf(self) -> bool:
        return bool(self._open) and self._open[-1].is_leaf

    def _require_known(self, tensors: Sequence[Any]) -> None:
        """In a pass without values, what is not known does not stem from the input."""

    def _give(self, tensor: Any) -> None:
        self._known[id(tensor)] = tensor, next(self._numbers)

    def _tell(self, maker: Any, call: _Call, returned: Sequence[Any]) -> None:
        if not call.inputs or only_looks(maker):
            return
        if moves_only(maker):
            for tensor in returned:
                self._known[id(tensor)] = tensor, call.inputs[0].identity
                self._book.note(tensor, call.inputs[0].axes)
            return
        for tensor in returned:
            self._give(tensor)
            axes_after(self._book, maker, call.given, tensor)
        is_layer = isinstance(maker, keras.Layer) and id(maker) in self._paths
        word = "" if is_layer else word_of(maker, len(call.inputs[0].shape))
        key = "" if is_layer else self._paths.get(id(maker), "")
        self.calls.append(TracedCall(call.path, word, call.inputs, self._forms(returned), key))

    def _forms(self, tensors: Iterable[Any]) -> tuple[TensorForm, ...]:
        """The forms of those that stem from the model's input."""
        return tuple(
            TensorForm(
                self._known[id(tensor)][1],
                self._book.get(tensor) or positional_axes(len(tensor.shape)),
                tuple(tensor.shape),
            )
            for tensor in tensors
            if id(tensor) in self._known
        )


class _GuessingTracer(_Tracer):
    """Hears the layers of a real pass; what ran between was not followed, and may be made of what nobody read yet."""

    def _require_known(self, tensors: Sequence[Any]) -> None:
        unknown = [tensor for tensor in tensors if id(tensor) not in self._known]
        if not unknown or not self._open:
            return
        read = {form.identity for call in self.calls for form in call.inputs}
        made = [form for call in self.calls for form in call.outputs]
        unread = tuple(form for form in made if form.identity not in read) or self._open[-1].inputs
        for tensor in unknown:
            self._give(tensor)
        self.calls.append(TracedCall(self._open[-1].path, NOT_FOLLOWED, unread, self._forms(unknown)))


def _is_seen_into(layer: KerasLayer) -> bool:
    """Whether layers within are told of, rather than the layer itself."""
    return layer.kind in ("container", "other") and not keras_class(layer.native, ("Wrapper",))


def _parts(structure: Any) -> list[Any]:
    """The tensors in arguments or outputs, each once; variables, which are weights, left out."""
    found = [tensor for _, tensor in leaves(structure, is_tensor) if not isinstance(tensor, keras.Variable)]
    return list({id(tensor): tensor for tensor in found}.values())


def _copied(tensor: Any) -> Any:
    """The same tensor as another object, to be told from the one that a layer was given."""
    if isinstance(tensor, keras.KerasTensor):
        other = keras.KerasTensor(tensor.shape, tensor.dtype)
    else:
        other = keras.ops.copy(keras.ops.convert_to_tensor(tensor))
    mask = get_keras_mask(tensor)
    if mask is not None:
        set_keras_mask(other, mask)
    return other
