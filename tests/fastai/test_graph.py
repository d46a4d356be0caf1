"""The graph of a Learner: that of its model, with its own data."""

from __future__ import annotations

from fastai.learner import Learner

import netviz_core as nv


def test_a_learner_brings_its_own_batch(digits: Learner) -> None:
    images = digits.dls.valid.one_batch()[0]
    graph = nv.graph(digits)
    of_model = nv.graph(digits.model, images)
    assert [node.id for node in graph.nodes] == [node.id for node in of_model.nodes]
    assert [(edge.source, edge.target) for edge in graph.edges] == [
        (edge.source, edge.target) for edge in of_model.edges
    ]
    assert {node.kind for node in graph.nodes} >= {"input", "conv2d", "dense"}


def test_each_part_of_a_row_is_an_input(table: Learner) -> None:
    graph = nv.graph(table)
    assert [node.id for node in graph.nodes if node.kind == "input"] == ["input", "input:1"]
