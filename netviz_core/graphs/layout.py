"""Places the boxes of a graph in rows, and finds ways for its edges around them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from math import ceil, inf
from statistics import fmean, median

from .view import Graph

Ends = tuple[str, str]
Place = tuple[float, int]
"""A column, and a row counted from the top."""


BETWEEN_LANES = 0.25
_MOST_ACROSS = 2
"""So many edges may lead from one lane to the next."""


@dataclass(frozen=True)
class Layout:
    """Where boxes and edges lie.

    Parameters
    ----------
    places : mapping
        The place of each node by id. Boxes in a row are at least one column apart.
    routes : mapping
        The places through which each edge goes, by the ids of its ends: one in each row, from source
        to target. What leads from a node to itself, or along a row, has none.
    lane : float
        After how many columns another lane begins, the first at column 0; infinite where there is but one.
    """

    places: Mapping[str, Place]
    routes: Mapping[Ends, tuple[Place, ...]]
    lane: float = inf

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

    def lane_of(self, column: float) -> int:
        """The number of the lane in which a column lies."""
        return 0 if self.lane == inf else int((column + BETWEEN_LANES / 2) // self.lane)

    def wrapped(self, count: int) -> Layout | None:
        """The same in so many lanes beside each other; None where too much would lead from one to the next."""
        starts = self._starts(count)
        if starts is None:
            return None
        lane, first = self.columns + BETWEEN_LANES, self.first_column

        def moved(place: Place) -> Place:
            number = bisect_right(starts, place[1]) - 1
            return place[0] - first + number * lane, place[1] - starts[number]

        return Layout(
            {id: moved(place) for id, place in self.places.items()},
            {ends: tuple(map(moved, route)) for ends, route in self.routes.items()},
            lane,
        )

    def _starts(self, count: int) -> list[int] | None:
        """The first row of each lane: lanes are about as long, and begin where little leads on."""
        crossing: Counter[int] = Counter()
        for route in self.routes.values():
            upper, lower = sorted((route[0][1], route[-1][1]))
            crossing.update(range(upper + 1, lower + 1))
        if count > (self.rows + 1) / 2:
            return None
        starts, length = [0], self.rows / count
        for number in range(1, count):
            wanted = number * length
            around = max(length / 4, 0.5)
            near = range(max(starts[-1] + 1, ceil(wanted - around)), int(wanted + around) + 1)
            best = min(near, key=lambda row: (crossing[row], abs(row - wanted)), default=0)
            if not best or crossing[best] > _MOST_ACROSS:
                return None
            starts.append(best)
        return starts

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
        chains[ends] = [vertices[upper], *between, vertices[lower]]
    columns = _columns(_in_order(layers, chains.values()), list(chains.values()), len(vertices))
    places = list(zip(columns, layers, strict=True))
    routes = {ends: tuple(sorted((places[v] for v in chain), key=_row)) for ends, chain in chains.items()}
    return Layout(
        {id: places[number] for id, number in vertices.items()},
        {
            (source, target): route if rows[source] < rows[target] else route[::-1]
            for (source, target), route in routes.items()
        },
    )


def _row(place: Place) -> int:
    return place[1]


def _in_order(layers: Sequence[int], chains: Iterable[Sequence[int]]) -> list[list[int]]:
    """The vertices of each layer from left to right, such that few edges cross."""
    from igraph import Graph as Layered  # here, since only graphs need it, and it takes a while to load

    steps = [step for chain in chains for step in pairwise(chain)]
    # Of its columns only the order is used: they may lie closer together than `hgap`.
    found = Layered(len(layers), steps, directed=True).layout_sugiyama(layers=list(layers)).coords
    order = sorted(range(len(layers)), key=lambda vertex: found[vertex][0])
    return [[vertex for vertex in order if layers[vertex] == layer] for layer in range(max(layers) + 1)]


def _columns(rows: Sequence[Sequence[int]], chains: Sequence[Sequence[int]], boxes: int) -> list[float]:
    """A column for each vertex: near to what it is linked to, in the order given, long edges straight.

    Each vertex, and each run of vertices without a branch, moves to the middle of its neighbours as far as
    those beside it leave room, again and again.
    """
    links = [link for chain in chains for link in pairwise(chain)]
    together = _straight_runs(rows, links)
    while True:
        before: dict[int, dict[int, float]] = {each: {} for each in together}
        for row in rows:
            for left, right in pairwise(row):
                distance = (_width(left, boxes) + _width(right, boxes)) / 2
                known = before[together[right]].get(together[left], 0.0)
                before[together[right]][together[left]] = max(distance, known)
        try:
            order = list(TopologicalSorter(before).static_order())
            break
        except CycleError as error:  # runs that cross each other cannot all be straight
            crossing = set(error.args[1])
            together = [v if first in crossing else first for v, first in enumerate(together)]
    behind: dict[int, dict[int, float]] = {each: {} for each in order}
    for right, lefts in before.items():
        for left, distance in lefts.items():
            behind[left][right] = distance
    above: dict[int, list[int]] = {each: [] for each in order}
    below: dict[int, list[int]] = {each: [] for each in order}
    for upper, lower in ((together[upper], together[lower]) for upper, lower in links):
        if upper != lower:
            below[upper].append(lower)
            above[lower].append(upper)
    column: dict[int, float] = {}
    for each in order:
        column[each] = max((column[left] + d for left, d in before[each].items()), default=0.0)
    for sweep in range(_SWEEPS):
        for each in order if sweep % 2 else reversed(order):
            linked = [side[each] for side in (above, below) if side[each]]
            if linked:
                wanted = fmean(median(column[other] for other in side) for side in linked)
                least = max((column[left] + d for left, d in before[each].items()), default=-inf)
                most = min((column[right] - d for right, d in behind[each].items()), default=inf)
                column[each] = max(min(wanted, most), least)
    return [column[first] for first in together]


_SWEEPS = 60


def _straight_runs(rows: Sequence[Sequence[int]], links: Sequence[tuple[int, int]]) -> list[int]:
    """For each vertex the first of its run: of those that lie below one another without a branch."""
    leaving, arriving = (
        (Counter(ends) for ends in zip(*links, strict=True)) if links else (Counter(), Counter())
    )
    above = {lower: upper for upper, lower in links if leaving[upper] == arriving[lower] == 1}
    first = list(range(sum(map(len, rows))))
    for row in rows:
        for vertex in row:
            first[vertex] = first[above.get(vertex, vertex)]
    return first


def _width(vertex: int, boxes: int) -> float:
    """In columns: boxes come first among the vertices, what only leads an edge past them is narrow."""
    return 1.0 if vertex < boxes else 0.3
