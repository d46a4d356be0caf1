"""Graphs in the JSON that Google's Model Explorer reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..words.cards import in_short
from .parts import GraphEdge, GraphGroup, GraphNode, GraphParts, own_name

Notes = Mapping[str, Mapping[str, str]]
"""What else is told of nodes, by their ids, and of containers, by their paths."""


def to_model_explorer(graph: GraphParts) -> str:
    """See `netviz_core.graphs.view.Graph.to_model_explorer`."""
    return collection(graph.title, [as_graph(graph, graph.title)])


def collection(label: str, graphs: Iterable[Mapping[str, Any]]) -> str:
    """Several graphs as one file."""
    return json.dumps({"label": label, "graphs": list(graphs)}, indent=1, ensure_ascii=False)


def as_graph(
    graph: GraphParts, id: str, notes: Notes | None = None, colours: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One graph: containers are namespaces, and each tensor of a node is an output of its own.

    Those of nodes are node data, and a file of their own; `colours` are those of containers, by their paths.
    """
    told = notes or {}
    namespaces = _namespaces(graph.groups)
    direction = {"layoutDirection": int(graph.rankdir == "LR")}
    outputs = _outputs(graph)
    read: dict[str, list[dict[str, str]]] = {node.id: [] for node in graph.nodes}
    for edge in graph.edges:
        incoming = read[edge.target]
        incoming.append(
            {
                "sourceNodeId": edge.source,
                "sourceNodeOutputId": str(list(outputs[edge.source]).index(_tensor(edge))),
                "targetNodeInputId": str(len(incoming)),
            }
        )
    return {
        "id": id,
        "nodes": [
            {
                "id": node.id,
                "label": node.caption.translate(_IN_LABELS),
                "namespace": namespaces.get(node.group, ""),
                "attrs": _pairs({**_attributes(node), **told.get(node.id, {})}),
                "incomingEdges": read[node.id],
                "outputsMetadata": [
                    {
                        "id": str(number),
                        "attrs": _pairs({"shape": " x ".join(map(str, shape)), "axes": ", ".join(axes)}),
                    }
                    for number, ((_, shape), axes) in enumerate(outputs[node.id].items())
                ],
            }
            for node in graph.nodes
        ],
        "groupNodeAttributes": {
            "": {"title": graph.title},
            **{
                namespaces[group.path]: {
                    "path": group.path,
                    "type": group.label,
                    **told.get(group.path, {}),
                }
                for group in graph.groups
            },
        },
        "groupNodeConfigs": [
            *(
                {"namespaceRegex": f"^{re.escape(namespaces[path])}$", "backgroundColor": colour, **direction}
                for path, colour in (colours or {}).items()
            ),
            {"namespaceRegex": "", **direction},
        ],
    }


def _namespaces(groups: Iterable[GraphGroup]) -> dict[str, str]:
    """The namespace of each container, by its path; those around others come first."""
    found: dict[str, str] = {}
    for group in groups:
        own = own_name(group.path, group.group).translate(_IN_NAMESPACES)
        found[group.path] = f"{found[group.group]}/{own}" if group.group in found else own
    return found


_IN_LABELS = str.maketrans({"×": "x", "·": "-"})
"""Its letters, drawn from a font of its own, are those of ASCII."""

_IN_NAMESPACES = str.maketrans({"/": "\\/", ";": "；", "\\": "＼"})
"""A slash that parts nothing is escaped; for the two others, which mean something there, there is no escape."""

_Tensor = tuple[int, tuple[int, ...]]


def _tensor(edge: GraphEdge) -> _Tensor:
    return edge.tensor, edge.shape


def _outputs(graph: GraphParts) -> dict[str, dict[_Tensor, tuple[str, ...]]]:
    """The tensors of each node that others read, with their axes; of one that none reads, its first."""
    found: dict[str, dict[_Tensor, tuple[str, ...]]] = {node.id: {} for node in graph.nodes}
    for edge in graph.edges:
        found[edge.source][_tensor(edge)] = edge.axes
    for node in graph.nodes:
        if not found[node.id] and node.output_shape:
            found[node.id][0, node.output_shape] = node.output_axes
    return found


def _attributes(node: GraphNode) -> dict[str, str]:
    return {
        "path": node.path,
        "kind": node.kind,
        **({"type": node.type_name} if node.type_name else {}),
        **{name: in_short(value) for name, value in node.config.items()},
        **({"calls": str(node.calls)} if node.calls > 1 else {}),
        **({"repeats": str(node.repeats)} if node.repeats > 1 else {}),
        **({"folded into it": ", ".join(node.members)} if node.members else {}),
    }


def _pairs(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in attributes.items()]
