"""What repeats in a row is one node that says how often; nothing that differs is folded so, and no block is torn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

import netviz_core as nv
from netviz_core.graphs.folding import foldings
from netviz_core.graphs.parts import GraphEdge, GraphGroup, GraphNode
from netviz_core.graphs.repeating import repeats_in_a_row

AXES = ("batch", "channel")


def node(id: str, label: str, size: int = 4, group: str = "", **other: Any) -> GraphNode:
    return GraphNode(id, id, label, label, group, "", (2, size), AXES, **other)


def chain(labels: list[str], sizes: list[int] | None = None) -> nv.Graph:
    each = sizes or [4] * len(labels)
    nodes = [node(str(n), label, size) for n, (label, size) in enumerate(zip(labels, each, strict=True))]
    links = pairwise(["input", *(one.id for one in nodes), "output"])
    edges = tuple(GraphEdge(*ends, (2, 4), AXES, number) for number, ends in enumerate(links))
    return nv.Graph("t", (node("input", "input"), *nodes, node("output", "other")), edges)


def captions(graph: nv.Graph) -> list[str]:
    return [one.caption for one in graph.nodes][1:-1]


def test_blocks_of_a_line_become_one_with_their_number_and_all_members() -> None:
    folded = repeats_in_a_row(chain(["conv", "norm", "relu"] * 12 + ["dense"]))
    assert captions(folded) == ["conv – norm – relu ×12", "dense"]
    block = folded.nodes[1]
    assert (block.id, block.repeats, len(block.members), block.output_shape) == ("0 … 35", 12, 36, (2, 4))
    assert [(edge.source, edge.target) for edge in folded.edges] == [
        ("input", "0 … 35"), ("0 … 35", "36"), ("36", "output"),
    ]  # fmt: skip


def test_the_longest_repetition_wins_and_what_repeats_within_it_is_part_of_it() -> None:
    stage = ["conv", "relu", "conv", "relu", "pool"]
    assert captions(repeats_in_a_row(chain(stage * 3))) == ["conv – relu – … 2 more – pool ×3"]
    assert captions(repeats_in_a_row(chain([*stage, *stage[:4], *["dense"] * 5]))) == [
        *["conv – relu ×2"], "pool", "conv – relu ×2", "dense ×5",
    ]  # fmt: skip


def test_what_differs_in_its_size_is_not_the_same() -> None:
    sizes = [4] * 6 + [8] * 8
    assert captions(repeats_in_a_row(chain(["conv", "relu"] * 7, sizes))) == [
        "conv – relu ×3",
        "conv – relu ×4",
    ]


def test_residual_blocks_without_containers_are_found_too() -> None:
    nodes, edges, last = [node("input", "input")], list[GraphEdge](), "input"
    for number in range(5):
        for part, label in (("a", "conv"), ("b", "conv"), ("c", "add")):
            nodes.append(node(f"{number}{part}", label))
        ends = [
            (last, f"{number}a"),
            (f"{number}a", f"{number}b"),
            (f"{number}b", f"{number}c"),
            (last, f"{number}c"),
        ]
        edges += [
            GraphEdge(*pair, (2, 4), AXES, int(pair[0][0]) if pair[0] != "input" else 9) for pair in ends
        ]
        last = f"{number}c"
    graph = nv.Graph(
        "t", (*nodes, node("output", "other")), (*edges, GraphEdge(last, "output", (2, 4), AXES, 99))
    )
    folded = repeats_in_a_row(graph)
    assert captions(folded) == ["conv – conv – add ×5"]
    assert len(folded.edges) == 2


def test_nothing_that_repeats_leaves_the_graph_as_it_is() -> None:
    graph = chain(["conv", "relu", "pool", "dense", "softmax"] + [f"op{number}" for number in range(20)])
    assert repeats_in_a_row(graph) is graph


def test_small_containers_are_folded_as_they_are_and_long_ones_by_what_repeats_in_them() -> None:
    def inside(group: str, labels: list[str]) -> nv.Graph:
        plain = chain(labels)
        nodes = (
            plain.nodes[0],
            *(node(one.id, one.label, group=group) for one in plain.nodes[1:-1]),
            plain.nodes[-1],
        )
        return nv.Graph("t", nodes, plain.edges, (GraphGroup(group, "Features"),))

    long = inside("features", ["conv", "relu"] * 10 + ["pool"])
    assert captions(long.fold(at_most=5)) == ["conv – relu ×10", "pool"]
    assert captions(inside("block", ["conv", "relu"] * 3).fold(at_most=5)) == ["Features"]
    assert captions(long.fold(at_most=5, repeats=False)) == ["Features"]


def test_a_list_whose_activations_lie_outside_is_not_folded_to_one_node_that_everything_goes_around() -> None:
    labels = ["dense", "relu", "dense", "tanh", "dense", "sigmoid", "dense", "softmax"]
    plain = chain(labels)
    nodes = tuple(
        node(one.id, one.label, group="layers" if one.label == "dense" else "") for one in plain.nodes
    )
    graph = nv.Graph("t", nodes, plain.edges, (GraphGroup("layers", "ModuleList"),))
    folded = graph.fold(at_most=6)
    assert "layers" not in [one.id for one in folded.nodes]
    order = {one.id: number for number, one in enumerate(folded.nodes)}
    assert all(order[edge.source] < order[edge.target] for edge in folded.edges)
    assert "layers" in [one.id for one in graph.fold("layers").nodes], "whoever asks for it gets it"


@pytest.mark.parametrize(("rankdir", "dot", "mermaid"), [("TB", False, "TD"), ("LR", True, "LR")])
def test_the_direction_is_written_out(rankdir: str, dot: bool, mermaid: str) -> None:
    graph = chain(["conv"])
    assert ("  rankdir=LR;" in graph.to_dot(rankdir).splitlines()) is dot
    assert graph.to_mermaid(rankdir).splitlines()[0] == f"flowchart {mermaid}"
    kept = nv.Graph(graph.title, graph.nodes, graph.edges, rankdir=rankdir)
    assert kept.to_dot() == graph.to_dot(rankdir)
    assert kept.fold(at_most=1).rankdir == rankdir
    with pytest.raises(nv.InputError, match="rankdir='left' is not known"):
        graph.to_dot("left")


def test_sizes_are_written_out_with_the_names_of_their_axes() -> None:
    shape, axes = (2, 8, 8, 16), ("batch", "y", "x", "channel")
    graph = nv.Graph(
        "t", (GraphNode("a", "a", "conv2d", "conv2d", output_shape=shape, output_axes=axes),), ()
    )
    assert "2×8×8×16 (batch, y, x, channel)" in graph.to_dot()
    assert "2×8×8×16 (batch, y, x, channel)" in graph.to_mermaid()


def test_a_wide_graph_of_few_nodes_is_the_last_that_is_tried() -> None:
    names = [f"branch{number}" for number in range(8)]
    edges = [GraphEdge("input", name, (2, 4), AXES, 0) for name in names]
    edges += [GraphEdge(name, "output", (2, 4), AXES, 1 + number) for number, name in enumerate(names)]
    nodes = [node("input", "input"), *(node(name, name) for name in names), node("output", "other")]
    graph = nv.Graph("t", tuple(nodes), tuple(edges))
    assert [len(folded.nodes) for folded in foldings(graph, 10)] == [10]
    assert [len(folded.nodes) for folded in foldings(graph, 4)] == [10, 4]
