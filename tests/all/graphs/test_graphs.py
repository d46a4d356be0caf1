"""The same small model written in Keras and in PyTorch has the same graph."""

from __future__ import annotations

from typing import Any

import keras
import networkx
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import netviz_core as nv

L = keras.layers


def in_keras() -> keras.Model:
    """Layers wherever Keras has one."""
    inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.Conv2D(4, 3, padding="same", name="stem")(inputs))
    y = L.Conv2D(4, 3, padding="same", activation="relu", name="inner")(x)
    x = L.Add()([x, y])
    x = L.Concatenate()([x, L.Conv2D(2, 1, name="side")(x)])
    x = L.Flatten()(L.MaxPooling2D()(x))
    return keras.Model(inputs, L.Dense(5, activation="softmax", name="head")(x))


class InKerasFunctions(keras.Model):
    """Functions and operators wherever Keras has one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = L.Conv2D(4, 3, padding="same")
        self.inner = L.Conv2D(4, 3, padding="same")
        self.side = L.Conv2D(2, 1)
        self.head = L.Dense(5)

    def call(self, x: Any) -> Any:
        ops = keras.ops
        x = ops.relu(self.stem(x))
        x = x + ops.relu(self.inner(x))
        x = ops.concatenate([x, self.side(x)], axis=-1)
        x = ops.max_pool(x, 2, 2)
        return ops.softmax(self.head(ops.reshape(x, (-1, 96))))


class InTorch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding="same")
        self.inner = nn.Conv2d(4, 4, 3, padding="same")
        self.side = nn.Conv2d(4, 2, 1)
        self.head = nn.Linear(96, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        x = x + F.relu(self.inner(x))
        x = torch.cat([x, self.side(x)], 1)
        x = torch.flatten(F.max_pool2d(x, 2), 1)
        return self.head(x).softmax(-1)


def same(first: nv.Graph, second: nv.Graph) -> bool:
    """Whether two graphs have the same structure, the same words for their nodes, and axes of the same lengths."""

    def drawn(graph: nv.Graph) -> networkx.DiGraph:
        made = networkx.DiGraph()
        for node in graph.nodes:
            made.add_node(node.id, does=(node.kind, node.label), sizes=sorted(node.output_shape))
        made.add_edges_from((edge.source, edge.target) for edge in graph.edges)
        return made

    return networkx.is_isomorphic(drawn(first), drawn(second), node_match=lambda one, other: one == other)


def test_the_same_model_in_both_frameworks_has_the_same_graph() -> None:
    image = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    of_torch = nv.graph(InTorch(), nv.images(image))
    of_keras = nv.graph(in_keras(), nv.images(image))
    assert len(of_torch.nodes) == 13
    assert same(of_keras, of_torch), f"{of_keras}\n{of_torch}"
    of_functions = nv.graph(InKerasFunctions(), image)
    assert same(of_functions, of_torch), f"{of_functions}\n{of_torch}"


def test_another_model_has_another_graph() -> None:
    class Without(InTorch):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.relu(self.stem(x))
            x = F.relu(self.inner(x))
            x = torch.cat([x, self.side(x)], 1)
            return self.head(torch.flatten(F.max_pool2d(x, 2), 1)).softmax(-1)

    x = torch.rand(2, 3, 8, 8)
    assert not same(nv.graph(Without(), x), nv.graph(InTorch(), x))
