"""Nodes of a graph in the place of several others, and what tells whether these are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from .parts import GraphEdge, GraphNode, GraphParts

Parts = TypeVar("Parts", bound=GraphParts)

_MOST_WORDS = 3


class Flow:
    """What each node of a graph reads, and who reads it."""

    def __init__(self, graph: GraphParts) -> None:
        self.read: dict[str, list[GraphEdge]] = {node.id: [] for node in graph.nodes}
        self.made: dict[str, list[GraphEdge]] = {node.id: [] for node in graph.nodes}
        for edge in graph.edges:
            self.read[edge.target].append(edge)
            self.made[edge.source].append(edge)

    def sources(self, id: str) -> set[str]:
        return {edge.source for edge in self.read[id]}

    def targets(self, id: str) -> set[str]:
        return {edge.target for edge in self.made[id]}

    def structure(self, nodes: Sequence[GraphNode]) -> tuple[Hashable, ...]:
        """Equal for nodes of which each does the same with the same, as for those of equal blocks."""
        numbers = {node.id: number for number, node in enumerate(nodes)}
        outside: dict[int, int] = {}
        return tuple(
            (
                node.kind,
                node.label,
                node.output_shape,
                node.calls,
                tuple(
                    (True, numbers[edge.source])
                    if edge.source in numbers
                    else (False, outside.setdefault(edge.tensor, len(outside)))
                    for edge in self.read[node.id]
                ),
            )
            for node in nodes
        )


def contracted(graph: Parts, into: Mapping[str, GraphNode]) -> Parts:
    """Put other nodes in the place of those with these ids; edges within one place go."""
    nodes: dict[str, GraphNode] = {}
    for node in graph.nodes:
        place = into.get(node.id, node)
        nodes.setdefault(place.id, place)
    edges: dict[tuple[str, str, int], GraphEdge] = {}
    for edge in graph.edges:
        source, target = (into[end].id if end in into else end for end in (edge.source, edge.target))
        if source != target or edge.source not in into:
            edges.setdefault((source, target, edge.tensor), replace(edge, source=source, target=target))
    around = all_around(graph)
    used = {path for node in nodes.values() for path in around[node.group]}
    groups = tuple(group for group in graph.groups if group.path in used)
    return replace(graph, nodes=tuple(nodes.values()), edges=tuple(edges.values()), groups=groups)


def all_around(graph: GraphParts) -> dict[str, tuple[str, ...]]:
    """The containers around each place, the outermost first; its own path, if it has one, is the last."""
    around: dict[str, tuple[str, ...]] = {"": ()}
    for group in graph.groups:
        around[group.path] = (*around[group.group], group.path)
    return around


def together(nodes: Sequence[GraphNode], id: str, label: str, repeats: int = 1) -> GraphNode:
    """Nodes of any kind as one."""
    groups = {node.group for node in nodes}
    members = tuple(member for node in nodes for member in node.members or (node.id,))
    return GraphNode(
        id=id,
        path=nodes[0].path,
        kind="container",
        label=label,
        group=groups.pop() if len(groups) == 1 else "",
        output_shape=nodes[-1].output_shape,
        output_axes=nodes[-1].output_axes,
        repeats=repeats,
        members=members,
    )


def words_of(nodes: Sequence[GraphNode]) -> str:
    """What several nodes do, that of which there is most first.

    Examples
    --------
    >>> words_of([GraphNode(str(n), "", "", label) for n, label in enumerate(["dense", "relu", "dense"])])
    '2 dense, 1 relu'
    """
    counted = Counter((node.caption, node.repeats > 1) for node in nodes)
    told = [
        caption if is_repeated and count == 1 else f"{count} {caption}"
        for (caption, is_repeated), count in counted.most_common(_MOST_WORDS)
    ]
    return ", ".join(told) + ", …" * (len(counted) > _MOST_WORDS)
