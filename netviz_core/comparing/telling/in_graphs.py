"""Where in the graphs of both models the pairs of a comparison are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ...graphs.parts import GraphNode, GraphParts
from ..judging.noise import FAULT
from .findings import Fault, Findings, LayerPair

LEVELS = (1.0, FAULT, 10 * FAULT, 1000 * FAULT)
"""Up to how many times the noise each colour goes."""

Ends = tuple[str | None, str | None]
"""The node or the container on each side; None where it is in no graph."""

Known = Mapping[str, GraphNode | None]
"""The nodes of a graph by id, and its containers by path."""


class Placed(NamedTuple):
    """A pair, the fault that it is, if it is one, and where both are."""

    pair: LayerPair
    fault: Fault | None
    ends: Ends


def by_id(graph: GraphParts) -> Known:
    """The nodes of a graph by id, and its containers by path; of a model that is one layer, its node by ``""``, too."""
    groups = dict.fromkeys(group.path for group in graph.groups)
    whole = {node.path: node for node in graph.nodes if node.type_name and not node.path}
    return groups | whole | {node.id: node for node in graph.nodes}


def placed(found: Findings, known: tuple[Known, Known]) -> Iterator[Placed]:
    """Every pair, the worst call of a layer last: so it stays, whatever was told before."""
    faults = {place_of(fault.pair): fault for fault in found.faults}
    pairs = {place_of(pair): pair for pair in (*found.pairs, *(fault.pair for fault in found.faults))}
    for pair in sorted(pairs.values(), key=lambda pair: -1.0 if math.isnan(pair.ratio) else pair.ratio):
        ends = _end(pair, pair.path_a, known[0]), _end(pair, pair.path_b, known[1])
        yield Placed(pair, faults.get(place_of(pair)), ends)


def place_of(pair: LayerPair) -> tuple[str, str, int, str]:
    """What tells a pair from all others: of what is between layers, the paths are those of the containers around."""
    return pair.path_a, pair.path_b, pair.call, pair.place


def _end(pair: LayerPair, path: str, known: Known) -> str | None:
    """The node, or the container, of a layer in this call."""
    again = known.get(f"{path}:{pair.call}")
    if pair.call and again is not None and again.path == path:  # and no layer that is called so
        return again.id
    if path not in known or (pair.is_between_layers and not path):
        return None
    node = known[path]
    return path if node is None else node.id
