"""Two models, or checkpoints, of which nothing runs: their weights, layer by layer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from ...models.alignment import LayerMapping, LayerMatch, align
from ...models.transfer import layers_to_pair, signature_of
from ...words.errors import InputError
from ...words.protocols import Layer
from ..sides import Side
from .difference import Difference
from .weights import weight_differences


class Weighed(NamedTuple):
    """Pairs of layers, each with the worst difference of its weights and all of them."""

    pairs: Sequence[tuple[LayerMatch, Difference, Mapping[str, Difference]]]
    unmatched_a: tuple[str, ...]
    unmatched_b: tuple[str, ...]


def judged_by_weights(a: Side, b: Side, mapping: LayerMapping | None, tolerance: float | None) -> Weighed:
    """Pair the layers with weights, and compare these.

    Raises
    ------
    InputError
        If no layer of the two corresponds.
    """
    (ours, hidden_a), (theirs, hidden_b) = (layers_to_pair(side.layers.values()) for side in (a, b))
    hidden = hidden_a | hidden_b

    def signature(layer: Layer) -> Hashable:
        return object() if id(layer) in hidden else signature_of(layer)

    matches = align(ours, theirs, signature, mapping, ordered=a.ordered and b.ordered)
    if not matches:
        raise InputError(
            "no layer with weights of the one corresponds to one of the other; give x, an input, so that what the "
            "layers return can be compared, or pair them with mapping={path_a: path_b}"
        )
    pairs = []
    for match in matches:
        weights = weight_differences(match.source, match.target, tolerance)
        pairs.append((match, max(weights.values(), key=lambda part: part.error), weights))
    paired_a, paired_b = (
        {layer.path for layer in side} for side in zip(*((m.source, m.target) for m in matches), strict=True)
    )
    return Weighed(
        pairs,
        tuple(layer.path for layer in ours if layer.path not in paired_a and id(layer) not in hidden),
        tuple(layer.path for layer in theirs if layer.path not in paired_b and id(layer) not in hidden),
    )
