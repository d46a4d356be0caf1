"""Graphs made of traces written by hand: nodes and edges, folding, and other tools' languages."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.graphs.parts import GraphEdge, GraphNode
from netviz_core.models.network import Network
from netviz_core.testing import example_model
from netviz_core.words.operations import OPERATIONS, word_for
from netviz_core.words.protocols import KINDS
from netviz_core.words.supports_flow import TensorForm, TracedCall


@dataclass(frozen=True)
class Plain:
    """A `Layer` that is what a test says."""

    path: str
    kind: str = "container"
    type_name: str = "Model"
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Any] = field(default_factory=dict)


class Traced:
    """A backend that tells a trace written down."""

    name = "traced"

    def __init__(self, layers: Iterable[Plain], calls: Sequence[TracedCall]) -> None:
        self._layers, self._calls = [Plain(""), *layers], calls

    def layers(self, model: object) -> Iterable[Plain]:
        return self._layers

    def trace(self, model: object, inputs: Any) -> Iterable[TracedCall]:
        return self._calls


def form(identity: Any, *shape: int) -> TensorForm:
    return TensorForm(identity, ("batch", "channel", "y", "x")[: len(shape or (2, 4))], shape or (2, 4))


def call(path: str, operation: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> TracedCall:
    def forms(values: Sequence[Any]) -> tuple[TensorForm, ...]:
        return tuple(value if isinstance(value, TensorForm) else form(value) for value in values)

    return TracedCall(path, operation, forms(inputs), forms(outputs))


def traced(layers: Iterable[Plain], *calls: TracedCall) -> nv.Graph:
    return nv.graph(Network(Traced(layers, calls), object()))  # type: ignore[arg-type]


def edges(graph: nv.Graph) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in graph.edges]


def blocks(count: int, *, group: str = "stage", sizes: Sequence[int] = ()) -> nv.Graph:
    """Residual blocks behind one another: a dense layer, and its sum with what it is given."""
    paths = [f"{group}/{number}" for number in range(count)]
    layers = [Plain(group, type_name="Stage")] + [Plain(path, type_name="Block") for path in paths]
    layers += [Plain(f"{path}/fc", "dense", "Dense") for path in paths]
    calls = []
    for number, path in enumerate(paths):
        size = sizes[number] if sizes else 4
        calls += [
            call(f"{path}/fc", "", [number], [form(f"fc{number}", 2, size)]),
            call(path, "add", [number, form(f"fc{number}", 2, size)], [number + 1]),
        ]
    return traced(layers, *calls, call("", "output", [count], []))


def test_every_word_has_a_kind_that_exists_and_names_lead_to_words() -> None:
    assert set(OPERATIONS.values()) <= KINDS
    assert {word_for(word) for word in OPERATIONS} == set(OPERATIONS)
    names = {
        "Concatenate": "concatenate", "GlobalAveragePooling2D": "global_average_pool", "ReLU": "relu",
        "ZeroPadding2D": "pad", "MaxPool1d": "max_pool", "hard_silu": "hard_swish", "Hardswish": "hard_swish",
    }  # fmt: skip
    assert {name: word_for(name) for name in names} == names


def test_inputs_come_first_and_the_output_last() -> None:
    layers = [Plain("a", "dense", "Dense"), Plain("b", "lstm", "LSTM")]
    graph = traced(
        layers,
        call("a", "", ["x"], ["h"]),
        call("b", "", ["y"], ["i"]),
        call("", "concatenate", ["h", "i"], ["o"]),
        call("", "output", ["o"], []),
    )
    assert [node.id for node in graph.nodes] == ["input", "input:1", "a", "b", "concatenate", "output"]
    assert [node.kind for node in graph.nodes] == ["input", "input", "dense", "lstm", "merge", "other"]
    assert set(edges(graph)) == {
        ("input", "a"), ("input:1", "b"), ("a", "concatenate"), ("b", "concatenate"), ("concatenate", "output"),
    }  # fmt: skip


def test_a_layer_without_weights_is_a_node_for_each_call_and_one_with_weights_is_not() -> None:
    layers = [Plain("fc", "dense", "Dense", weights={"kernel": 1}), Plain("act", "activation", "ReLU")]
    graph = traced(
        layers,
        call("fc", "", [0], [1]), call("act", "", [1], [2]), call("fc", "", [2], [3]),
        call("act", "", [3], [4]), call("", "output", [4], []),
    )  # fmt: skip
    assert [(node.id, node.label, node.calls) for node in graph.nodes][1:-1] == [
        ("fc", "dense", 2), ("act", "relu", 1), ("act:1", "relu", 1),
    ]  # fmt: skip
    assert edges(graph) == [
        ("input", "fc"),
        ("fc", "act"),
        ("act", "fc"),
        ("fc", "act:1"),
        ("act:1", "output"),
    ]


def test_an_activation_that_a_layer_applies_itself_is_a_node_of_its_own() -> None:
    apart = traced(
        [Plain("fc", "dense", "Linear"), Plain("act", "activation", "ReLU", {"activation": "relu"})],
        call("fc", "", [0], [1]), call("act", "", [1], [2]), call("", "output", [2], []),
    )  # fmt: skip
    within = traced(
        [Plain("fc", "dense", "Dense", {"activation": "relu"})],
        call("fc", "", [0], [2]), call("", "output", [2], []),
    )  # fmt: skip
    assert [(node.kind, node.label) for node in apart.nodes] == [
        (node.kind, node.label) for node in within.nodes
    ]
    assert edges(within) == [("input", "fc"), ("fc", "fc/relu"), ("fc/relu", "output")]


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ((2, 3, 4), (2, 12), "flatten"),
        ((2, 3, 1, 1), (2, 3), "flatten"),
        ((2, 12), (2, 3, 4), "unflatten"),
        ((2, 3, 4), (2, 4, 3), "reshape"),
        ((2, 3), (2, 3), None),
    ],
)
def test_reshapes_are_named_by_what_they_do(
    before: tuple[int, ...], after: tuple[int, ...], word: str | None
) -> None:
    axes = ("a", "b", "c", "d")
    given, made = TensorForm(0, axes[: len(before)], before), TensorForm(1, axes[: len(after)], after)
    graph = traced([], call("", "reshape", [given], [made]), call("", "output", [made], []))
    assert [node.label for node in graph.nodes][1:-1] == ([word] if word else [])
    assert edges(graph)[-1] == (word or "input", "output")


def test_a_backend_that_sees_no_data_flow_is_named() -> None:
    with pytest.raises(nv.UnsupportedError, match="the netviz_core backend does not see the data flow"):
        nv.graph(example_model(), np.zeros((1, 1, 8, 8)))


def test_containers_fold_by_path_glob_and_depth() -> None:
    graph = blocks(3)
    assert [node.id for node in graph.fold("stage/1").nodes] == [
        "input", "stage/0/fc", "stage/0/add", "stage/1", "stage/2/fc", "stage/2/add", "output",
    ]  # fmt: skip
    one_by_one = graph.fold("stage/*", repeats=False)
    assert edges(one_by_one) == [
        ("input", "stage/0"), ("stage/0", "stage/1"), ("stage/1", "stage/2"), ("stage/2", "output"),
    ]  # fmt: skip
    assert one_by_one["stage/1"].members == ("stage/1/fc", "stage/1/add")
    assert [group.path for group in one_by_one.groups] == ["stage"]
    whole = graph.fold(depth=1)
    assert edges(whole) == [("input", "stage"), ("stage", "output")]
    assert (whole["stage"].label, whole["stage"].output_shape, whole.groups) == ("Stage", (2, 4), ())
    assert [node.id for node in graph.fold("stage*").nodes] == ["input", "stage", "output"]  # the outermost


def test_blocks_of_equal_structure_become_one_with_their_number() -> None:
    folded = blocks(5).fold(depth=2)
    assert [(node.id, node.caption) for node in folded.nodes] == [
        ("input", "input"), ("stage/0", "Block ×5"), ("output", "output"),
    ]  # fmt: skip
    assert folded["stage/0"].repeats == 5
    assert len(folded["stage/0"].members) == 10


def test_blocks_of_other_sizes_or_with_other_readers_stay_apart() -> None:
    widths = blocks(4, sizes=(4, 4, 8, 4)).fold(depth=2)
    assert [node.repeats for node in widths.nodes] == [1, 2, 1, 1, 1]
    paths = ["b/0", "b/1"]
    layers = [Plain("b"), *map(Plain, paths)] + [Plain(f"{path}/fc", "dense") for path in paths]
    read_between = traced(
        layers,
        call("b/0/fc", "", [0], [1]), call("b/1/fc", "", [1], [2]),
        call("", "add", [1, 2], [3]), call("", "output", [3], []),
    )  # fmt: skip
    assert [node.id for node in read_between.fold(depth=2).nodes] == ["input", "b/0", "b/1", "add", "output"]


def test_blocks_that_all_read_one_thing_more_become_one() -> None:
    paths = [f"decoder/{number}" for number in range(3)]
    layers = [Plain("decoder"), *map(Plain, paths)] + [Plain(f"{path}/cross", "attention") for path in paths]
    calls = [call(f"{path}/cross", "", [n, "memory"], [n + 1]) for n, path in enumerate(paths)]
    folded = traced(layers, *calls, call("", "output", [3], [])).fold(depth=2)
    assert edges(folded) == [("input", "decoder/0"), ("input:1", "decoder/0"), ("decoder/0", "output")]
    assert folded["decoder/0"].repeats == 3


def test_a_layer_that_feeds_itself_keeps_its_loop_until_it_is_folded() -> None:
    layers = [Plain("box"), Plain("box/fc", "dense", weights={"kernel": 1})]
    graph = traced(
        layers, call("box/fc", "", [0], [1]), call("box/fc", "", [1], [2]), call("", "output", [2], [])
    )
    assert ("box/fc", "box/fc") in edges(graph)
    assert edges(graph.fold(depth=1)) == [("input", "box"), ("box", "output")]


@pytest.mark.parametrize("most", [1, 2, 3, 5, 10, 40])
def test_folding_to_a_number_of_nodes(most: int) -> None:
    words = ["relu", "tanh", "sigmoid", "softmax"]
    # Of which one follows is told by the digits of a number, so that hardly anything repeats.
    calls = [call("", words[number.bit_count() % 4], [number], [number + 1]) for number in range(100)]
    long = traced([], *calls, call("", "output", [100], []))
    folded = long.fold(at_most=most)
    assert len(folded.nodes) <= most
    assert len(folded.edges) == len(folded.nodes) - 1
    if most >= 10:
        assert len(folded.nodes) > most / 2
        assert (folded.nodes[0].id, folded.nodes[-1].id) == ("input", "output")
    assert blocks(3).fold(at_most=most).nodes[-1].output_shape in ((), (2, 4))


def test_a_graph_that_is_small_enough_stays_as_it_is() -> None:
    graph = blocks(2)
    assert graph.fold(at_most=6) is graph


def test_folding_thousands_of_nodes_takes_no_time() -> None:
    graph = blocks(3000, sizes=range(1, 3001))
    start = time.perf_counter()
    assert len(graph.fold(at_most=30).nodes) <= 30
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({}, nv.InputError, "say what to fold with one of"),
        ({"layers": "stage", "depth": 1}, nv.InputError, "say what to fold with one of"),
        ({"layers": 3}, nv.InputError, "layers=3 is not the path or glob"),
        ({"layers": "stag"}, nv.LayerNotFoundError, "no container 'stag' to fold; did you mean 'stage'"),
        ({"depth": 0}, nv.InputError, "depth=0 is less than 1"),
        ({"at_most": 2.5}, nv.InputError, "at_most=2.5 is not a whole number"),
    ],
)
def test_wrong_choices_are_said(choice: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        blocks(2).fold(**choice)


def test_a_node_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(nv.LayerNotFoundError, match="did you mean 'stage/0/fc'"):
        blocks(1)["stage/0/fx"]


def test_as_text() -> None:
    assert str(blocks(1)).splitlines() == [
        "Model · graph: 4 nodes, 4 edges",
        "input        input   batch=2, channel=4",
        "stage/0/fc   dense   batch=2, channel=4  ← input",
        "stage/0/add  add     batch=2, channel=4  ← input, stage/0/fc",
        "output       output                      ← stage/0/add",
    ]


def test_as_json() -> None:
    graph = blocks(2)
    read = json.loads(graph.to_json())
    again = [
        GraphEdge(edge["source"], edge["target"], tuple(edge["shape"]), tuple(edge["axes"]))
        for edge in read["edges"]
    ]
    assert again == list(graph.edges)
    assert [node["id"] for node in read["nodes"]] == [node.id for node in graph.nodes]
    assert [group["path"] for group in read["groups"]] == ["stage", "stage/0", "stage/1"]


def test_as_a_networkx_graph() -> None:
    made = blocks(2).to_networkx()
    assert networkx.is_directed_acyclic_graph(made)
    assert made.nodes["stage/0/add"]["kind"] == "merge"
    assert made.in_degree("stage/0/add") == 2
    assert made.edges["input", "stage/0/fc", 0]["shape"] == (2, 4)


def test_without_networkx_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="pip install networkx"):
        blocks(1).to_networkx()


def test_as_dot() -> None:
    lines = blocks(1).to_dot().splitlines()
    assert lines[0] == 'digraph "Model · graph" {'
    assert '  subgraph "cluster stage" {' in lines
    assert '    subgraph "cluster stage/0" {' in lines
    assert '      "stage/0/fc" [label="dense\\nstage/0/fc\\n2×4", tooltip="dense"];' in lines
    assert '  "stage/0/fc" -> "stage/0/add" [label="2×4"];' in lines
    assert lines[-1] == "}"
    assert sum(line.count("{") - line.count("}") for line in lines) == 0


def test_as_mermaid() -> None:
    assert blocks(1).to_mermaid().splitlines() == [
        "flowchart TD",
        '  n0("input<br>2×4")',
        '  n3("output")',
        '  subgraph g0["stage (Stage)"]',
        '    subgraph g1["stage/0 (Block)"]',
        '      n1("dense<br>stage/0/fc<br>2×4")',
        '      n2("add<br>stage/0<br>2×4")',
        "    end",
        "  end",
        '  n0 -->|"2×4"| n1',
        '  n0 -->|"2×4"| n2',
        '  n1 -->|"2×4"| n2',
        '  n2 -->|"2×4"| n3',
    ]


def test_marks_of_other_languages_in_names_are_escaped() -> None:
    node = GraphNode('a"b\\c', "", "other", 'say "hi" <b> #1')
    graph = nv.Graph("t", (node,), ())
    assert '"a\\"b\\\\c" [label="say \\"hi\\" <b> #1", tooltip="other"];' in graph.to_dot()
    assert 'n0("say #quot;hi#quot; #lt;b#gt; #35;1")' in graph.to_mermaid()
