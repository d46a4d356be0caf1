"""Follows tensors through functional graphs, into graphs that stand within others and out of them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional
from keras.src.ops.function import make_node_key


def graph_of(model: Any) -> Functional | None:
    """The graph that a functional or a built sequential model runs; None for other models."""
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if isinstance(model, Functional) else None


def nodes_in_order(graph: Functional) -> Iterator[Any]:
    """The nodes of a graph in the order in which Keras runs them, its inputs first."""
    nodes = [
        node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]
    ]
    yield from sorted(nodes, key=lambda node: not node.is_input)


@dataclass(frozen=True)
class Place:
    """A graph, and the node that it is in the graph around it."""

    graph: Functional
    node: Any = None
    around: Place | None = None


def calls_in(graph: Functional, operation: Any) -> list[Any]:
    """The nodes of a layer or operation that belong to a graph; the layer may stand in others too."""
    nodes = enumerate(operation._inbound_nodes)
    return [node for index, node in nodes if make_node_key(operation, index) in graph._nodes]


def origin(tensor: Any, place: Place) -> tuple[Any, Place]:
    """The same tensor where a layer, an operation, or the outermost input makes it."""
    made = tensor._keras_history
    if isinstance(made.operation, keras.layers.InputLayer):
        if place.around is None:
            return tensor, place
        given = zip(place.graph.inputs, place.node.input_tensors, strict=True)
        return origin(next(outer for inner, outer in given if inner is tensor), place.around)
    within = _seen_through(made.operation)
    if within is None:
        return tensor, place
    node = made.operation._inbound_nodes[made.node_index]
    return origin(within.outputs[made.tensor_index], Place(within, node, place))


def made_by(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer or operation that makes a tensor, which comes from `origin`, and the tensors it is made from."""
    made = tensor._keras_history
    return made.operation, made.operation._inbound_nodes[made.node_index].input_tensors


def consumers(tensor: Any, place: Place) -> Iterator[tuple[Any, Any, Place]]:
    """The layers and operations that take a tensor, each with its node."""
    if place.around is not None:
        for inner, outer in zip(place.graph.outputs, place.node.outputs, strict=True):
            if inner is tensor:
                yield from consumers(outer, place.around)
    for node in tensor._keras_history.operation._outbound_nodes:
        takes = any(given is tensor for given in node.input_tensors)
        if not takes or node not in calls_in(place.graph, node.operation):
            continue
        within = _seen_through(node.operation)
        if within is None:
            yield node.operation, node, place
            continue
        for declared, given in zip(within.inputs, node.input_tensors, strict=True):
            if given is tensor:
                yield from consumers(declared, Place(within, node, place))


def _seen_through(operation: Any) -> Functional | None:
    """The graph that a model within a graph runs, unless it runs something else."""
    plain = getattr(type(operation), "call", None) in (Functional.call, keras.Sequential.call)
    return graph_of(operation) if plain else None
