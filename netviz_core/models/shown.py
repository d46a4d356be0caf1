"""What layers show of themselves: each in a line, and in a notebook as a card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ..words.arrays import shape_text
from ..words.cards import NAME, PROSE, TEXT, Telling, Told, details, pairs, table
from ..words.protocols import Layer, WeightTensor
from ..words.text_tables import counted, printable


class ShownLayer(Telling):
    """What a class of layers may be derived from, to show itself: in a line, and in a notebook as a card."""

    def __repr__(self) -> str:
        layer: Any = self
        return f"<{type(self).__name__} {layer.path!r}: {printable(f'{layer.kind}, {layer.type_name}')}>"

    def _told(self) -> Told:
        layer: Any = self
        weights = layer.weights
        holds = counted(len(weights), "weight") if weights else "no weights of its own"
        what = " · ".join(filter(None, (layer.path, layer.kind, layer.type_name)))
        return Told(
            f"{what}: {holds}{', trainable' if layer.trainable else ''}",
            [table_of_weights(weights), details("config", pairs(layer.config))],
        )


AnyLayer = TypeVar("AnyLayer", bound=Layer)


class Layers(Telling, dict[str, AnyLayer]):
    """Layers by their paths, in the model's order."""

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'layer')}: {kinds_of(self.values())}>"

    def _told(self) -> Told:
        return Told(f"{counted(len(self), 'layer')}: {kinds_of(self.values())}", [table_of_layers(self)])


def kinds_of(layers: Iterable[Layer], most: int = 6) -> str:
    """How many there are of each kind, the most frequent first."""
    counts = Counter(layer.kind for layer in layers).most_common()
    told = ", ".join(f"{count:,} {kind}" for kind, count in counts[:most])
    return told + (", …" if len(counts) > most else "")


def table_of_layers(layers: Mapping[str, Layer]) -> str:
    """What each layer is and holds, as a part of a card."""
    columns = {"layer": NAME, "kind": TEXT, "type": TEXT, "weights": PROSE}
    return table(columns, list(layers.values()), _cells)


def _cells(layer: Layer) -> list[str]:
    held = "; ".join(f"{name} {form_of_weight(weight)}" for name, weight in layer.weights.items())
    return [layer.path or "(the model)", layer.kind, layer.type_name, held]


def form_of_weight(weight: WeightTensor) -> str:
    """The axes of a weight and their lengths."""
    return f"({shape_text(weight.shape, weight.axes)})"


def table_of_weights(weights: Mapping[str, WeightTensor]) -> str:
    """What each weight is, as a part of a card."""
    columns = {"weight": NAME, "called": NAME, "axes": TEXT, "dtype": TEXT, "trainable": TEXT}
    return table(
        columns,
        list(weights.items()),
        lambda entry: [
            entry[0],
            entry[1].native_name,
            shape_text(entry[1].shape, entry[1].axes),
            entry[1].dtype,
            "yes" if entry[1].trainable else "no",
        ],
    )
