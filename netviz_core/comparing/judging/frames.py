"""Weights that no call of a layer tells of.

Containers own some and use them between their layers: position embeddings, class tokens, scales. And some layers
did not run at all, though their weights may be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...models.alignment import Forms, LayerMapping, align, given_groups
from ...models.forms import signature_of
from ...words.protocols import Layer
from ..pairing.pairs import StationPair
from ..sides import Side
from .difference import Difference
from .weights import weight_differences


@dataclass(frozen=True, eq=False)
class Frame:
    """Two containers, or layers that did not run, with weights of the same form, and how far these are apart."""

    a: Layer
    b: Layer
    weights: Mapping[str, Difference]

    @property
    def worst(self) -> Difference:
        """Of the weight that differs most."""
        return max(self.weights.values(), key=lambda part: part.error)

    @property
    def agrees(self) -> bool:
        """Whether all weights agree."""
        return all(part.within for part in self.weights.values())


def frames_of(
    a: Side, b: Side, pairs: Sequence[StationPair], mapping: LayerMapping | None, tolerance: float | None
) -> list[Frame]:
    """Pair the containers that own weights, by name, or in the order in which they are listed.

    Layers that did not run are paired by name alone.
    """
    told = {
        weight.identity
        for pair in pairs
        for station in (*pair.a, *pair.b)
        for weight in station.layer.weights.values()
    }
    ours, theirs = (_owners(side, told) for side in (a, b))
    known = {layer.path for layer in ours}
    named = (
        {path: to for path, to in mapping.items() if path in known and isinstance(to, str)}
        if isinstance(mapping, Mapping)
        else None
    )
    given = given_groups(ours, {layer.path: layer for layer in theirs}, named)
    matches = align(ours, theirs, _forms, given)
    return [
        Frame(m.source, m.target, weight_differences(m.source, m.target, tolerance))
        for m in matches
        if m.evidence in ("given", "name") or m.source.kind == m.target.kind == "container"
    ]


def _forms(layer: Layer) -> Forms:
    signature = signature_of(layer)
    return Forms((signature,), signature, signature)


def _owners(side: Side, told: set[object]) -> list[Layer]:
    ran = {station.path for station in side.stations}
    return [
        layer
        for layer in side.layers.values()
        if layer.path not in ran and any(weight.identity not in told for weight in layer.weights.values())
    ]
