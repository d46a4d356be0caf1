"""The gradients that a model's weights hold, in the layout of the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv


def weight_gradients(model: nn.Module) -> dict[tuple[str, str], np.ndarray]:
    return {(path, name): values for path, name, values in nv.wrap(model).adapter.weight_gradients(model)}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, groups=2),
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        nn.LSTM(3, 4, 2, bidirectional=True),
        nn.GRU(3, 4),
        nn.MultiheadAttention(8, 2),
        nn.MultiheadAttention(8, 2, kdim=4, vdim=6),
        nn.BatchNorm2d(3),
        nn.Linear(3, 4, dtype=torch.bfloat16),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_weight_gradients_lie_as_the_weights_do(layer):
    """A gradient equal to the parameter comes out equal to the weight."""
    for parameter in layer.parameters():
        parameter.grad = parameter.detach().clone()
    found = weight_gradients(layer)
    weights = {name: weight for name, weight in nv.wrap(layer)[""].weights.items() if weight.trainable}
    assert {name for path, name in found if path == ""} == set(weights)
    for name, weight in weights.items():
        np.testing.assert_array_equal(found["", name], weight.numpy())
    assert all(path == "" for path, _ in found)


def test_weight_gradients_of_tied_frozen_and_computed_weights():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    nn.utils.parametrizations.weight_norm(model[3])
    assert weight_gradients(model) == {}
    model(torch.randn(2, 4)).sum().backward()
    assert list(weight_gradients(model)) == [
        ("0", "kernel"),
        ("0", "bias"),
        ("1", "bias"),
        ("2", "bias"),
        ("3", "bias"),
        ("3.parametrizations.weight", "original0"),
        ("3.parametrizations.weight", "original1"),
    ]


def test_weight_gradients_belong_to_the_caller():
    model = nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    weight_gradients(model)["", "kernel"][:] = 7
    assert not (model.weight.grad == 7).any()


def test_sparse_weight_gradients():
    model = nn.Embedding(5, 2, sparse=True)
    model(torch.tensor([1, 1])).sum().backward()
    expected = np.zeros((5, 2), np.float32)
    expected[1] = 2
    np.testing.assert_array_equal(weight_gradients(model)["", "kernel"], expected)
