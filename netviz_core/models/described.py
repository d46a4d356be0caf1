"""Layers as a capture knows them: what they are, and perhaps their weights, without the model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any

from ..words.errors import UnsupportedError
from ..words.protocols import Layer, WeightTensor
from .ready_layer import ReadyLayer
from .shown import Layers, ShownLayer
from .weights import Layout, Weight, Weights


class RememberedLayer(ShownLayer):
    """A `Layer` that is there, of which everything is read once at the most."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self.path = layer.path
        self.native = layer.native

    @cached_property
    def kind(self) -> str:
        """See `Layer`."""
        return self._layer.kind

    @cached_property
    def type_name(self) -> str:
        """See `Layer`."""
        return self._layer.type_name

    @cached_property
    def trainable(self) -> bool:
        """See `Layer`."""
        return self._layer.trainable

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """See `Layer`."""
        return self._layer.config

    @cached_property
    def weights(self) -> Mapping[str, WeightTensor]:
        """See `Layer`; the values of a weight are read anew each time."""
        return self._layer.weights


def described(layers: Iterable[Layer], with_weights: bool) -> Layers[ReadyLayer]:
    """What layers are, by path; with copies of their weights if that is wanted.

    A weight that several layers show is copied once. One without values (on the meta device) is left out.
    """
    copies: dict[Hashable, Weight] = {}
    return Layers(
        (
            layer.path,
            ReadyLayer(
                layer.path,
                layer.kind,
                layer.type_name,
                None,
                layer.trainable,
                _copied(layer, copies) if with_weights else Weights(),
                dict(layer.config),
            ),
        )
        for layer in layers
    )


def _copied(layer: Layer, copies: dict[Hashable, Weight]) -> Weights:
    found = Weights()
    for name, weight in layer.weights.items():
        # Layers that share a weight may see it by other axes.
        key = (weight.identity, name, weight.axes)
        try:
            copies[key] = copies.get(key) or _stored(weight)
        except UnsupportedError:
            continue
        found[name] = copies[key]
    return found


def _stored(weight: WeightTensor) -> Weight:
    """A copy of a weight, which cannot be written to."""
    values = weight.numpy()
    return Weight(
        weight.name,
        weight.native_name,
        Layout(weight.axes),
        values.shape,
        weight.dtype,
        weight.trainable,
        lambda: values,
        identity=weight.identity,
    )
