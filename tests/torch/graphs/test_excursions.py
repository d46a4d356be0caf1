"""What goes through objects, ``torch.func`` and NumPy is followed, or the graph says that it was not."""

import types

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv


class Pack(nn.Module):
    def forward(self, x):
        return types.SimpleNamespace(x=x * 2)


class Net(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.a, self.b, self.pack, self.embed = nn.Linear(3, 3), nn.Linear(3, 3), Pack(), nn.Embedding(9, 3)
        self.way, self.constant = way, torch.ones(3)

    def forward(self, x):
        return self.b(self.way(self, x))


def graph_of(way, x=None):
    return nv.graph(Net(way).eval(), torch.ones(2, 3) if x is None else x)


def test_objects_hand_tensors_on():
    found = graph_of(lambda net, x: net.a(net.pack(x).x))
    assert found.sources("a") == ["pack"]
    found = graph_of(lambda net, given: net.a(given.x), types.SimpleNamespace(x=torch.ones(2, 3)))
    assert found.sources("a") == ["input"]


@pytest.mark.parametrize(
    ("way", "between"),
    [
        (lambda net, x: torch.vmap(torch.sin)(net.a(x)), "sin"),
        (lambda net, x: torch.vmap(torch.vmap(torch.exp))(net.a(x)), "exp"),
        (lambda net, x: torch.vmap(net.a)(x), "a"),
        (lambda net, x: torch.func.grad(lambda value: value.square().sum())(net.a(x)), "grad"),
        (lambda net, x: torch.func.functional_call(net.a, dict(net.a.named_parameters()), (x,)), "a"),
    ],
)
def test_transforms_are_followed(way, between):
    found = graph_of(way)
    assert found.sources("b") == [between]
    assert "a" in [*found.sources(between), between]
    assert "not followed" not in str(found)
    assert found[between].output_shape == (2, 3)


@pytest.mark.parametrize(
    "way",
    [
        lambda net, x: torch.from_numpy(np.sin(net.a(x).detach().numpy())),
        lambda net, x: torch.from_numpy(np.asarray(net.a(x).detach())),
        lambda net, x: torch.tensor(net.a(x).tolist()),
    ],
)
def test_what_numpy_does_is_not_followed(way):
    found = graph_of(way)
    assert found.sources("b") == ["not followed"]
    assert found.sources("not followed") == ["a"]


def test_numbers_that_do_not_come_back_are_told_of():
    found = graph_of(lambda net, x: net.a(x) + x.mean().item())
    assert found.sources("not followed") == ["mean"]


def test_a_constant_is_none_that_was_not_followed():
    found = graph_of(lambda net, x: net.a(x) * net.constant * torch.ones(3) + net.embed(torch.arange(2)))
    assert "not followed" not in str(found)
    assert found.sources("embed") == []


def test_a_layer_fed_by_something_unknown():
    found = graph_of(lambda net, x: net.a(x) + net.embed(torch.from_numpy(np.array([1, 2]))))
    assert found.sources("embed") == ["not followed"]
    assert found.sources("not followed") == []
