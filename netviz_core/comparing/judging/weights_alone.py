"""Two models, or checkpoints, of which nothing runs: their weights, layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ...models.alignment import LayerMapping, LayerMatch
from ...models.counterparts import Held, held_in
from ...models.forms import is_neutral
from ...models.partners import partners_of
from ...models.parts import Part
from ...models.stored import as_written
from ...models.weights import read_each
from ...words.errors import InputError
from ...words.protocols import Layer
from ..sides import Side
from .difference import Difference
from .weights import differences_of


class Weighed(NamedTuple):
    """Pairs of layers, each with the worst difference of its weights and all of them.

    ``held`` has the weights of each pair, by its paths; ``not_compared`` says what nothing was held against.
    """

    pairs: Sequence[tuple[LayerMatch[Layer], Difference, Mapping[str, Difference]]]
    unmatched_a: tuple[str, ...]
    unmatched_b: tuple[str, ...]
    held: Mapping[tuple[str, str], Sequence[Held]]
    not_compared: tuple[str, ...]


def judged_by_weights(a: Side, b: Side, mapping: LayerMapping | None, tolerance: float | None) -> Weighed:
    """Pair the layers with weights, and compare these; what a model's own framework wrote, by the names in the file.

    Raises
    ------
    InputError
        If no layer of the two corresponds.
    """
    ours, theirs = _as_written(a, b) or a.layers.values(), _as_written(b, a) or b.layers.values()
    ordered = a.ordered and b.ordered
    found = partners_of(ours, theirs, mapping, ordered=ordered, by_contents=True)
    if not found.matches:
        raise InputError(
            "no layer with weights of the one corresponds to one of the other; give x, an input, so that what the "
            "layers return can be compared, or pair them with mapping={path_a: path_b}"
        )
    pairs: dict[tuple[str, str], LayerMatch[Layer]] = {}
    held: dict[tuple[str, str], list[Held]] = {}
    for match in found.matches:
        paths = match.source.path, match.target.path
        pairs.setdefault(paths, LayerMatch(match.source.layer, match.target.layer, match.evidence))
        held.setdefault(paths, []).extend(held_in(match.source, match.target))
    judged = []
    for paths, pair in pairs.items():
        weights = differences_of(held[paths], tolerance)
        if weights:
            judged.append((pair, max(weights.values(), key=lambda part: part.error), weights))
    left = _without_partner(found.left, [match.source for match in found.matches])
    over = _without_partner(found.over, [match.target for match in found.matches])
    return Weighed(
        judged,
        tuple(dict.fromkeys(path for path, _ in left)),
        tuple(dict.fromkeys(path for path, _ in over)),
        held,
        (
            *(f"a's {names} of {path!r}" for path, names in left),
            *(f"b's {names} of {path!r}" for path, names in over),
        ),
    )


def _as_written(source: Side, target: Side) -> list[Layer] | None:
    return as_written(source.network, target.network) if source.network and target.network else None


def _without_partner(parts: Sequence[Part], matched: Sequence[Part]) -> list[tuple[str, str]]:
    """The paths and the weights of what was compared with nothing, under this name or another."""
    told = {weight.identity for part in matched for weight in part.weights.values()}
    rest = [(part.path, [*_making_a_difference(part, told)]) for part in parts]
    return [(path, ", ".join(names)) for path, names in rest if names]


def _making_a_difference(part: Part, told: Collection[Hashable]) -> Iterator[str]:
    for name, weight in part.weights.items():
        values, _ = read_each({name: weight})
        if weight.identity not in told and not (values and is_neutral(name, values[name])):
            yield weight.name
