"""Makes one node of what is repeated in a row, where no containers say what a block is."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby

from .contracting import Flow, Parts, contracted, together
from .parts import GraphNode, GraphParts

_LONGEST_PERIOD = 24
"""In stations, see `_stations`; what repeats after more is not looked for."""

_WHOLE = 12
"""A container of so many nodes at most is a block itself, and is folded as one."""

_MOST_NAMED, _LONGEST = 3, 36
_WITHIN = " – "


def repeats_in_a_row(graph: Parts) -> Parts:
    """The graph with what follows itself as one node, such as "conv2d – relu ×12"; itself where nothing does."""
    flow, into = Flow(graph), dict[str, GraphNode]()
    for _, alike in groupby(_stations(graph), _container):
        stations = list(alike)
        if sum(map(len, stations)) <= _WHOLE:
            continue
        numbers: dict[Hashable, int] = {}
        signs = [numbers.setdefault(_sign(station, flow), len(numbers)) for station in stations]
        for start, period, times in _runs(signs):
            blocks = [node for station in stations[start : start + period * times] for node in station]
            one = _block(blocks[: len(blocks) // times], blocks, times)
            into.update(dict.fromkeys((node.id for node in blocks), one))
    return contracted(graph, into) if into else graph


def _stations(graph: GraphParts) -> Iterator[list[GraphNode]]:
    """The nodes in pieces, from one to the next of which everything goes through one node."""
    places = {node.id: number for number, node in enumerate(graph.nodes)}
    last_read = dict.fromkeys(places, -1)
    for edge in graph.edges:
        last_read[edge.source] = max(last_read[edge.source], places[edge.target])
    station: list[GraphNode] = []
    waited_for: dict[str, int] = {}
    for number, node in enumerate(graph.nodes):
        station.append(node)
        waited_for[node.id] = last_read[node.id]
        waited_for = {id: last for id, last in waited_for.items() if last > number}
        if len(waited_for) <= 1:
            yield station
            station = []


def _container(station: Sequence[GraphNode]) -> str | None:
    """Where all of a station lies."""
    groups = {node.group for node in station}
    return groups.pop() if len(groups) == 1 else None


def _sign(station: Sequence[GraphNode], flow: Flow) -> Hashable:
    """Equal for stations that do the same; what was folded before may differ within, and equals nothing."""
    folded = [node.id for node in station if node.members or node.kind == "input"]
    return tuple(folded) or flow.structure(station)


def _runs(signs: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Where something repeats, after how many signs, and how often: at each place what covers most."""
    start = 0
    while start < len(signs):
        found = [
            (period * times, -period, times)
            for period in range(1, min(_LONGEST_PERIOD, (len(signs) - start) // 2) + 1)
            if (times := _times(signs, start, period)) > 1
        ]
        if not found:
            start += 1
            continue
        covered, minus_period, times = max(found)
        yield start, -minus_period, times
        start += covered


def _times(signs: Sequence[int], start: int, period: int) -> int:
    end = start + period
    while end < len(signs) and signs[end] == signs[end - period]:
        end += 1
    return (end - start) // period


def _block(first: Sequence[GraphNode], nodes: Sequence[GraphNode], times: int) -> GraphNode:
    label = _label([node.caption for node in first])
    return together(nodes, f"{nodes[0].id} … {nodes[-1].id}", label, times)


def _label(captions: Sequence[str]) -> str:
    """What a block does: as many of its nodes as a box can name, the first and the last at least."""
    versions = [captions] if len(captions) <= _MOST_NAMED else []
    versions += [
        [*captions[: named - 1], f"… {len(captions) - named} more", captions[-1]]
        for named in range(min(len(captions) - 1, _MOST_NAMED), 1, -1)
    ]
    labels = list(map(_WITHIN.join, versions))
    return next((label for label in labels if len(label) <= _LONGEST), labels[-1])
