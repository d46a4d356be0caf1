"""Writes graphs in the languages of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from ..words.optional import needed
from ..words.plain import plain
from .parts import GraphEdge, GraphGroup, GraphNode, GraphParts


def to_dot(graph: GraphParts) -> str:
    """See `netviz_core.graphs.view.Graph.to_dot`."""

    def node(node: GraphNode) -> str:
        return f"{_quoted(node.id)} [label={_quoted(_lines(node))}, tooltip={_quoted(node.kind)}];"

    def cluster(group: GraphGroup, within: Iterator[str]) -> Iterator[str]:
        yield f"subgraph {_quoted(f'cluster {group.path}')} {{"
        yield f"  label={_quoted(f'{group.path} ({group.label})')};"
        yield from within
        yield "}"

    def edge(edge: GraphEdge) -> str:
        return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(sizes(edge.shape))}];"

    lines = [
        f"digraph {_quoted(graph.title)} {{",
        *(["  rankdir=LR;"] if graph.rankdir == "LR" else []),
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        *(f"  {line}" for line in _nested(graph, "", node, cluster)),
        *(f"  {edge(each)}" for each in graph.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def to_mermaid(graph: GraphParts) -> str:
    """See `netviz_core.graphs.view.Graph.to_mermaid`."""
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    clusters = {group.path: f"g{number}" for number, group in enumerate(graph.groups)}

    def node(node: GraphNode) -> str:
        return f'{names[node.id]}("{_in_mermaid(_lines(node))}")'

    def cluster(group: GraphGroup, within: Iterator[str]) -> Iterator[str]:
        yield f'subgraph {clusters[group.path]}["{_in_mermaid(f"{group.path} ({group.label})")}"]'
        yield from within
        yield "end"

    def edge(edge: GraphEdge) -> str:
        label = f'|"{sizes(edge.shape)}"|' if edge.shape else ""
        return f"{names[edge.source]} -->{label} {names[edge.target]}"

    lines = [
        "flowchart LR" if graph.rankdir == "LR" else "flowchart TD",
        *(f"  {line}" for line in _nested(graph, "", node, cluster)),
        *(f"  {edge(each)}" for each in graph.edges),
    ]
    return "\n".join(lines) + "\n"


def to_json(graph: GraphParts) -> str:
    """See `netviz_core.graphs.view.Graph.to_json`."""
    parts = {"title": graph.title} | {
        name: [plain(part) for part in getattr(graph, name)] for name in ("nodes", "edges", "groups")
    }
    return json.dumps(parts, indent=1, ensure_ascii=False)


def to_networkx(graph: GraphParts) -> Any:
    """See `netviz_core.graphs.view.Graph.to_networkx`."""
    networkx = needed("networkx", "to_networkx()")
    made = networkx.MultiDiGraph(title=graph.title)
    for node in graph.nodes:
        made.add_node(node.id, **_attributes(node, "id"))
    for edge in graph.edges:
        made.add_edge(edge.source, edge.target, **_attributes(edge, "source", "target"))
    return made


def sizes(shape: tuple[int, ...]) -> str:
    """A shape as people write it: ``2×64×8×8``."""
    return "×".join(map(str, shape))


def named_sizes(shape: tuple[int, ...], axes: tuple[str, ...]) -> str:
    """The same, with the names of three axes or more, whose order is not that of every framework.

    Examples
    --------
    >>> named_sizes((2, 64), ("batch", "channel")), named_sizes((2, 8, 8, 64), ("batch", "y", "x", "channel"))
    ('2×64', '2×8×8×64 (batch, y, x, channel)')
    """
    return sizes(shape) + (f" ({', '.join(axes)})" if len(shape) > 2 and are_named(axes) else "")


def are_named(axes: tuple[str, ...]) -> bool:
    """Whether it is known what axes are, as it is not where they are called by their places."""
    return bool(axes) and not any(axis.removeprefix("axis").isdigit() for axis in axes)


def _nested(
    graph: GraphParts,
    path: str,
    node: Callable[[GraphNode], str],
    cluster: Callable[[GraphGroup, Iterator[str]], Iterator[str]],
) -> Iterator[str]:
    """The lines of the nodes and containers in one container."""
    for each in graph.nodes:
        if each.group == path:
            yield node(each)
    for group in graph.groups:
        if group.group == path:
            yield from cluster(group, (f"  {line}" for line in _nested(graph, group.path, node, cluster)))


def _lines(node: GraphNode) -> str:
    return "\n".join(
        filter(None, (node.caption, node.path, named_sizes(node.output_shape, node.output_axes)))
    )


def _attributes(part: GraphNode | GraphEdge, *without: str) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if name not in without}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _in_mermaid(text: str) -> str:
    return text.translate(_MERMAID_ENTITIES)


_MERMAID_ENTITIES = str.maketrans(
    {"#": "#35;", '"': "#quot;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": "<br>"}
)
"""A backtick at the start of a label would make it Markdown."""
