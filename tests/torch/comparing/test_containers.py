"""Weights that a container uses between its layers, gradients, and the check that stands in a test."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.testing import assert_models_close

X = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(0))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 16)
        self.position = nn.Parameter(torch.randn(1, 5, 16))
        self.block = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.embedding(x) + self.position)[:, 0])


@pytest.fixture
def pair() -> tuple[Encoder, Encoder]:
    torch.manual_seed(0)
    model = Encoder()
    return model, copy.deepcopy(model)


def test_a_weight_of_a_container_is_found_where_it_changes_what_comes_next(
    pair: tuple[Encoder, Encoder],
) -> None:
    ours, theirs = pair
    theirs.position.data[0, 2, 3] += 1
    found = nv.compare(ours, theirs, X)
    assert found.first_divergence is not None
    assert (found.first_divergence.path_a, found.first_divergence.path_b) == ("", "")
    assert found.causes[0].name == "weights"
    assert "1 of 80 values of position differ" in found.causes[0].text


def test_a_weight_of_a_container_is_found_where_it_changes_nothing_yet(pair: tuple[Encoder, Encoder]) -> None:
    class Masked(Encoder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.block(self.embedding(x) + 0 * self.position)[:, 0])

    ours, theirs = Masked(), Masked()
    theirs.load_state_dict(ours.state_dict())
    assert nv.compare(ours, theirs, X).agrees
    theirs.position.data[0, 2, 3] += 1
    found = nv.compare(ours, theirs, X)
    assert found.agrees
    (remark,) = found.causes
    assert (remark.name, remark.path_a) == ("weights", "")
    assert "of 'the model itself' 1 of 80 values of position differ" in remark.text
    assert "without effect on this input" in remark.text


def test_gradients_of_equal_models_agree(pair: tuple[Encoder, Encoder]) -> None:
    found = nv.compare(*pair, X, loss="cross_entropy", targets=np.array([0, 1, 2, 0]))
    assert found.agrees
    assert all(each.gradient is not None and each.gradient.within for each in found.pairs if each.weights)


def test_a_gradient_that_is_wrong_alone_is_found_where_it_is_made(pair: tuple[Encoder, Encoder]) -> None:
    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient / 2

    class Head(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(Halved.apply(x))

    ours, theirs = pair
    head = Head(16, 3)
    head.load_state_dict(ours.head.state_dict())
    theirs.head = head
    assert nv.compare(ours, theirs, X).agrees
    found = nv.compare(ours, theirs, X, loss="cross_entropy", targets=np.array([0, 1, 2, 0]))
    assert found.first_divergence is not None
    assert (found.first_divergence.path_b, found.first_divergence.status) == ("head", "gradient")
    assert found.causes[0].name == "gradient"


def test_a_loss_needs_targets(pair: tuple[Encoder, Encoder]) -> None:
    with pytest.raises(nv.InputError, match="give targets="):
        nv.compare(*pair, X, loss="cross_entropy")


def test_models_that_differ_fail_an_assertion_that_says_why(pair: tuple[Encoder, Encoder]) -> None:
    ours, theirs = pair
    assert assert_models_close(ours, theirs, X).agrees
    theirs.block.norm1.eps = 1e-2
    with pytest.raises(
        AssertionError, match=r"1 fault, at 'block.norm1'(.|\n)*epsilon is 1e-05 in a and 0.01 in b"
    ):
        assert_models_close(ours, theirs, X)


def test_a_tied_weight_keeps_the_axes_of_each_layer_in_a_complete_capture() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(x))

    model = Tied()
    captured = nv.capture(model, torch.tensor([[1, 2, 3]]), complete=True)
    for path, layer in nv.wrap(model).layers.items():
        kept = captured.layers[path].weights
        assert {name: weight.axes for name, weight in kept.items()} == {
            name: weight.axes for name, weight in layer.weights.items()
        }
