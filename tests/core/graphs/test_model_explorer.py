"""Graphs as Model Explorer reads them: containers as namespaces, tensors as outputs, and names with any characters."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import netviz_core as nv
from netviz_core.graphs.parts import GraphEdge, GraphGroup, GraphNode

KNOWN = {
    "collection": {"label", "graphs", "graphSorting"},
    "graph": {"id", "nodes", "groupNodeAttributes", "groupNodeConfigs", "layoutConfigs"},
    "node": {"id", "label", "namespace", "attrs", "incomingEdges", "outputsMetadata", "inputsMetadata"},
    "edge": {"sourceNodeId", "sourceNodeOutputId", "targetNodeInputId"},
    "config": {"namespaceRegex", "layoutDirection", "backgroundColor", "borderColor", "textColor"},
}
"""The fields that Model Explorer 0.1.34 knows, by ``graph_builder.py``."""


def node(id: str, group: str = "", kind: str = "dense", **more: Any) -> GraphNode:
    return GraphNode(id, id, kind, kind, group, output_shape=(2, 4), output_axes=("batch", "channel"), **more)


def edge(source: str, target: str, tensor: int = 0) -> GraphEdge:
    return GraphEdge(source, target, (2, 4), ("batch", "channel"), tensor)


def read(graph: nv.Graph, **how: Any) -> dict[str, Any]:
    """The one graph in the text, of which every field is one that the viewer knows, and every value has its type."""
    collection = json.loads(graph.to_model_explorer(**how))
    (only,) = collection["graphs"]
    assert set(collection) <= KNOWN["collection"]
    assert set(only) <= KNOWN["graph"]
    ids = {each["id"] for each in only["nodes"]}
    assert len(ids) == len(only["nodes"])
    for each in only["nodes"]:
        assert set(each) <= KNOWN["node"]
        items = [*each["attrs"], *(pair for output in each["outputsMetadata"] for pair in output["attrs"])]
        assert all(set(item) == {"key", "value"} and isinstance(item["value"], str) for item in items)
        for incoming in each["incomingEdges"]:
            assert set(incoming) == KNOWN["edge"]
            assert incoming["sourceNodeId"] in ids
    assert all(
        isinstance(value, str) for told in only["groupNodeAttributes"].values() for value in told.values()
    )
    for config in only["groupNodeConfigs"]:
        assert set(config) <= KNOWN["config"]
        re.compile(config["namespaceRegex"])
    return dict(only)


def nodes_of(graph: dict[str, Any]) -> dict[str, Any]:
    return {each["id"]: each for each in graph["nodes"]}


def levels(namespace: str) -> list[str]:
    """The containers of a namespace, as the viewer parts it."""
    parts = re.sub(r"\\/", "\0", namespace.split(";")[-1]).split("/")
    return [part.replace("\0", "/") for part in parts if part]


def test_containers_are_namespaces_and_settings_attributes():
    graph = nv.Graph(
        "net",
        (
            node("in", kind="input"),
            node("a.b.fc", "a.b", config={"bias": True, "units": 4}, type_name="Linear"),
        ),
        (edge("in", "a.b.fc"),),
        (GraphGroup("a", "Stage"), GraphGroup("a.b", "Block", "a")),
    )
    found = read(graph)
    fc = nodes_of(found)["a.b.fc"]
    assert (found["id"], fc["label"], fc["namespace"]) == ("net", "dense", "a/b")
    told = {pair["key"]: pair["value"] for pair in fc["attrs"]}
    assert told == {"path": "a.b.fc", "kind": "dense", "type": "Linear", "bias": "True", "units": "4"}
    assert found["groupNodeAttributes"]["a/b"] == {"path": "a.b", "type": "Block"}
    (output,) = nodes_of(found)["in"]["outputsMetadata"]
    assert output == {
        "id": "0",
        "attrs": [{"key": "shape", "value": "2 x 4"}, {"key": "axes", "value": "batch, channel"}],
    }


def test_each_tensor_is_an_output_and_each_that_is_read_an_input_of_its_own():
    graph = nv.Graph(
        "net",
        (node("split"), node("one"), node("sum")),
        (edge("split", "one", 7), edge("split", "sum", 7), edge("split", "sum", 8), edge("one", "sum", 9)),
    )
    found = nodes_of(read(graph))
    assert [output["id"] for output in found["split"]["outputsMetadata"]] == ["0", "1"]
    assert [tuple(each.values()) for each in found["sum"]["incomingEdges"]] == [
        ("split", "0", "0"), ("split", "1", "1"), ("one", "0", "2"),
    ]  # fmt: skip
    assert [output["id"] for output in found["sum"]["outputsMetadata"]] == ["0"]


def test_what_is_folded_says_what_it_holds():
    graph = nv.Graph("net", (node("stage", repeats=3, members=("stage.0", "stage.1"), calls=2),), ())
    (only,) = read(graph)["nodes"]
    assert only["label"] == "dense x3 - 2 calls"
    told = {pair["key"]: pair["value"] for pair in only["attrs"]}
    assert (told["calls"], told["repeats"], told["folded into it"]) == ("2", "3", "stage.0, stage.1")


@pytest.mark.parametrize("own", ["a/b", "a;b", "a\\", "<script>", "(a[", "ü\n\t", "x" * 10_000])
def test_a_name_with_any_characters_stays_one_level(own):
    outer, inner = f"stage/{own}", f"stage/{own}/block"
    groups = (GraphGroup("stage", "A"), GraphGroup(outer, "B", "stage"), GraphGroup(inner, "C", outer))
    found = read(nv.Graph("net", (node(f"{inner}/fc", inner),), (), groups))
    namespace = found["nodes"][0]["namespace"]
    assert len(levels(namespace)) == 3
    assert (levels(namespace)[0], levels(namespace)[2]) == ("stage", "block")
    assert namespace in found["groupNodeAttributes"]
    assert found["groupNodeAttributes"][namespace]["path"] == inner


def test_it_is_drawn_in_the_direction_of_the_graph():
    graph = nv.Graph("net", (node("fc"),), (), rankdir="LR")
    assert read(graph)["groupNodeConfigs"][-1] == {"namespaceRegex": "", "layoutDirection": 1}
    assert read(graph, rankdir="TB")["groupNodeConfigs"][-1]["layoutDirection"] == 0
