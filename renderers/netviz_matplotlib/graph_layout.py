"""Places the boxes of a graph in rows, and finds ways for its edges around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from netviz_core.views.graph import Graph

Ends = tuple[str, str]
Place = tuple[float, int]
"""A column, and a row counted from the top."""


@dataclass(frozen=True)
class Layout:
    """Where boxes and edges lie.

    Parameters
    ----------
    places : mapping
        The place of each node by id. Neighbours in a row are at least one column apart.
    routes : mapping
        The places through which each edge goes, by the ids of its ends: one in each row, from source
        to target. What leads from a node to itself, or along a row, has none.
    """

    places: Mapping[str, Place]
    routes: Mapping[Ends, tuple[Place, ...]]

    @property
    def columns(self) -> float:
        """The width of all, in columns."""
        across = [column for column, _ in self._all()]
        return max(across) - min(across) + 1

    @property
    def first_column(self) -> float:
        """The column that is furthest to the left."""
        return min(column for column, _ in self._all())

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return 1 + max(row for _, row in self.places.values())

    def _all(self) -> list[Place]:
        return [*self.places.values(), *(place for route in self.routes.values() for place in route)]


def rows_of(graph: Graph) -> dict[str, int]:
    """The row of each node: below all that it reads, except for what leads back to an earlier node."""
    order = {node.id: number for number, node in enumerate(graph.nodes)}
    forward = [edge for edge in graph.edges if order[edge.source] < order[edge.target]]
    rows = dict.fromkeys(order, 0)
    for edge in sorted(forward, key=lambda edge: order[edge.target]):
        rows[edge.target] = max(rows[edge.target], rows[edge.source] + 1)
    read = {edge.target for edge in forward}
    below: dict[str, int] = {}
    for edge in forward:
        if edge.source not in read:  # what nothing leads to stands where it is needed first
            below[edge.source] = min(rows[edge.target], below.get(edge.source, len(rows)))
    rows.update({source: row - 1 for source, row in below.items()})
    used = {row: number for number, row in enumerate(sorted(set(rows.values())))}
    return {id: used[row] for id, row in rows.items()}


def lay_out(graph: Graph) -> Layout:
    """Lay out a graph after Sugiyama, Tagawa and Toda (1981), with few crossings."""
    from igraph import Graph as Layered  # here, since only graphs need it, and it takes a while to load

    rows = rows_of(graph)
    layers = list(rows.values())
    vertices = {id: number for number, id in enumerate(rows)}
    chains: dict[Ends, list[int]] = {}
    for ends in dict.fromkeys((edge.source, edge.target) for edge in graph.edges):
        upper, lower = sorted(ends, key=rows.__getitem__)
        if rows[upper] == rows[lower]:
            continue
        between = range(len(layers), len(layers) + rows[lower] - rows[upper] - 1)
        layers.extend(range(rows[upper] + 1, rows[lower]))
        chain = [vertices[upper], *between, vertices[lower]]
        chains[ends] = chain if ends[0] == upper else chain[::-1]
    steps = [sorted(step, key=layers.__getitem__) for chain in chains.values() for step in pairwise(chain)]
    layered = Layered(len(layers), steps, directed=True)
    points = layered.layout_sugiyama(layers=layers, hgap=1, vgap=1).coords
    places = [(point[0], layer) for point, layer in zip(points, layers, strict=False)]
    return Layout(
        {id: places[number] for id, number in vertices.items()},
        {ends: tuple(places[number] for number in chain) for ends, chain in chains.items()},
    )
