"""The scores that a softmax or sigmoid at a model's end is given, of which derivatives are asked.

What speaks for a class is its score. A softmax makes all of them depend on each other, and flattens their
derivative where the model is sure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from netviz_core.backend_api import Recorder, leaves

from .axes import AxisBook
from .kinds import keras_class
from .layers import KerasLayer
from .listening import Listener
from .tensors import is_tensor

_SQUASHING = (keras.activations.softmax, keras.activations.sigmoid, keras.activations.log_softmax)
_ACTIVATED_CLASSES = (
    *("Activation", "Dense", "EinsumDense"),
    *("BaseConv", "BaseConvTranspose", "BaseDepthwiseConv", "BaseSeparableConv"),
)
_SQUASHING_CLASSES = ("Softmax", "Sigmoid", "LogSoftmax")


class _Makers(Listener):
    """Knows which layer or operation made a tensor, and how often each ran."""

    def __init__(self, layers: Sequence[KerasLayer]) -> None:
        super().__init__(layers, Recorder(()), AxisBook())
        self._made: dict[int, tuple[Any, Any]] = {}
        self.calls: Counter[int] = Counter()

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        self.calls[id(layer)] += 1
        for _, tensor in leaves(output, is_tensor):
            # Of several that return the same tensor, the innermost made it, and returned first.
            self._made.setdefault(id(tensor), (tensor, layer))
        return output

    def of(self, tensor: Any) -> Any:
        """The layer that made a tensor; None if none did."""
        return self._made.get(id(tensor), (None, None))[1]


class Unsquashed(Listener):
    """Lets a layer that does nothing but squash scores pass them on as they are."""

    def __init__(self, layers: Sequence[KerasLayer], squashing: frozenset[int]) -> None:
        super().__init__(layers, Recorder(()), AxisBook())
        self._squashing = squashing

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        return args[0] if id(layer) in self._squashing and args else output


def _ends_with_activation(layer: Any) -> bool:
    """Whether the last thing that a layer does is its activation, which Keras itself has it do."""
    return bool(keras_class(layer, _ACTIVATED_CLASSES)) and type(layer).call.__module__.startswith("keras.")


@contextmanager
def scores(layers: Sequence[KerasLayer], forward: Any) -> Iterator[Listener]:
    """Let the model return scores; yields what has to listen first to the passes made inside.

    Parameters
    ----------
    layers : sequence of KerasLayer
    forward : callable
        Makes a pass that a listener hears, and returns the model's output.
    """
    makers = _Makers(layers)
    output = forward(makers)
    last = {
        id(layer): layer for _, part in leaves(output, is_tensor) if (layer := makers.of(part)) is not None
    }
    once = [layer for layer in last.values() if makers.calls[id(layer)] == 1]
    squashing = frozenset(id(layer) for layer in once if keras_class(layer, _SQUASHING_CLASSES))
    activated = [layer for layer in once if _ends_with_activation(layer) and layer.activation in _SQUASHING]
    before = [layer.activation for layer in activated]
    try:
        for layer in activated:
            layer.activation = keras.activations.linear
        yield Unsquashed(layers, squashing)
    finally:
        for layer, activation in zip(activated, before, strict=True):
            layer.activation = activation
