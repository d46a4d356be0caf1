"""The weights with which attention looks from query to key: as Keras' layers tell them, or as a model makes them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from netviz_core.backend_api import AxisBook, RecorderLike

from .attention_made import MadeByCall, made_by_hand
from .engines import ENGINE
from .inputs import Arguments, prepare
from .kinds import keras_class
from .layers import KerasLayer, walk
from .listening import TRACED, Listener, explain, listening, report
from .passes import build, unchanged
from .tensors import is_symbolic, is_tensor

_CLASSES = ("MultiHeadAttention", "GroupedQueryAttention", "Attention")
_AXES = ("batch", "window", "head", "query", "key")
_NO_ATTENTION = (
    "it is none of Keras' attention layers (MultiHeadAttention, GroupQueryAttention, Attention, "
    "AdditiveAttention), and multiplies no values by a softmax, or other curve, of products"
)
_NOT_TOLD = "its call() does not take return_attention_scores, by which Keras' layers return their weights"


def observe(model: Any, inputs: Any, recorder: RecorderLike) -> None:
    """Make one pass in evaluation mode and tell the recorder of attention weights; see `SupportsAttention`."""
    book = AxisBook()
    args, kwargs = prepare(model, inputs, book)
    build(model, (args, kwargs))
    layers = list(walk(model))
    made = made_by_hand(model, (args, kwargs), layers, book, recorder, _tells)
    _explain_others(layers, recorder)
    first = next(filter(is_tensor, keras.tree.flatten((args, kwargs))), None)
    samples = None if first is None or not first.shape else first.shape[0]
    heard = listening(AttentionListener(layers, recorder, book, samples, made))
    with (
        unchanged(model, (args, kwargs)),
        _not_fused(layers),
        keras.StatelessScope(),
        ENGINE.no_gradients(),
        heard,
    ):
        model(*args, **kwargs, training=False)
    explain(layers, recorder)


class AttentionListener(Listener):
    """Asks attention layers for their weights, and gives their callers what these asked for themselves."""

    def __init__(
        self,
        layers: Iterable[KerasLayer],
        recorder: RecorderLike,
        book: AxisBook,
        samples: int | None,
        made: MadeByCall,
    ) -> None:
        super().__init__(layers, recorder, book)
        self._made = {path: iter(calls) for path, calls in made.items()}
        self._samples = samples
        self._asked_for: list[bool] = []

    def entering(self) -> None:
        super().entering()
        self._asked_for.append(False)

    def given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        if not self._tells(layer) or kwargs.get("return_attention_scores"):
            return args, kwargs
        self._asked_for[-1] = True
        return args, {**kwargs, "return_attention_scores": True}

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if not self._tells(layer):
            for weights in next(self._made.get(self._paths.get(id(layer), "?"), iter(())), ()):
                report(self._recorder, self._paths[id(layer)], [("", *weights)])
            return output
        own, weights = output
        path = self._paths[id(layer)]
        if not is_tensor(weights):
            self._recorder.miss(path, "it returned no weights where it was asked for them", "unsupported")
        elif is_symbolic(weights):
            self._recorder.miss(path, TRACED)
        else:
            values, axes = _by_head(layer, weights)
            if axes[0] == "batch" and values.shape[0] != self._samples:
                axes = ("axis0", *axes[1:])  # windows or others, that stand where Keras has samples
            report(self._recorder, path, [("", values, axes)])
        return own if self._asked_for[-1] else output

    def leaving(self, layer: Any) -> None:
        super().leaving(layer)
        self._asked_for.pop()

    def _tells(self, layer: Any) -> bool:
        return self._paths.get(id(layer)) in self._recorder.paths and _tells(layer)


def _tells(layer: Any) -> bool:
    """Whether a layer returns attention weights when it is asked to."""
    return bool(keras_class(layer, _CLASSES)) and "return_attention_scores" in (
        inspect.signature(layer.call).parameters
    )


def _by_head(layer: Any, weights: Any) -> tuple[Any, tuple[str, ...]]:
    """Weights with the axes batch, head, query and key: positions along several axes flattened.

    Axes between the batch and the heads, along which the layer does not look, are windows.
    """
    shape = tuple(weights.shape)
    attended = len(getattr(layer, "_attention_axes", None) or (1,))
    # In front of the positions of queries and keys stand the heads, where the layer has such, and the batch.
    heads = 0 if keras_class(layer, _CLASSES) == "Attention" else 1
    keys = len(shape) - attended
    queries = keys - attended
    within = queries - heads
    parts = (shape[:1], shape[1:within], shape[within:queries], shape[queries:keys], shape[keys:])
    sizes = [math.prod(part) for part in parts]
    axes: tuple[str, ...] = _AXES
    if sizes[1] == 1:
        del sizes[1]
        axes = tuple(axis for axis in _AXES if axis != "window")
    return keras.ops.reshape(weights, tuple(sizes)), axes


def _explain_others(layers: Iterable[KerasLayer], recorder: RecorderLike) -> None:
    for layer in layers:
        if layer.path in recorder.paths and not _tells(layer.native):
            known = keras_class(layer.native, _CLASSES)
            recorder.miss(
                layer.path, _NOT_TOLD if known else _NO_ATTENTION, "unsupported" if known else "not_observed"
            )


@contextmanager
def _not_fused(layers: Iterable[KerasLayer]) -> Iterator[None]:
    """Have layers that are set to flash attention, which keeps no weights, compute them for this pass."""
    fused = [layer.native for layer in layers if getattr(layer.native, "_flash_attention", False)]
    try:
        for layer in fused:
            layer._flash_attention = False
        yield
    finally:
        for layer in fused:
            layer._flash_attention = True
