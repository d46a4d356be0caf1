"""Complete captures, of which nothing can be run again: layers are recomputed, so that later faults are found, too."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

X = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """With an addition and activations between its layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 5)]
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Block(8), Block(8), *head).eval()


def with_faults(model: nn.Sequential) -> nn.Sequential:
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].weight[0, 0, 0, 0] += 1
        other[3].norm1.eps = 0.1
        other[6].bias[2] += 0.5
    other[7].approximate = "tanh"
    return other


FAULTS = [("0", "weights"), ("3.norm1", "epsilon"), ("6", "weights"), ("7", "activation")]


def told(found: nv.Comparison) -> list[tuple[str, str]]:
    return [(fault.path_a, cause.name) for fault in found.faults for cause in fault.causes]


def captured(model: Any) -> nv.ActivationCapture:
    return nv.capture(model, X, complete=True)


def test_all_faults_of_two_captures_are_found_at_once() -> None:
    a = network()
    found = nv.compare(captured(a), captured(with_faults(a)))
    assert told(found) == FAULTS
    assert all(cause.confirmed for fault in found.faults for cause in fault.causes)
    assert any("nothing can be run again" in part and "before '2.conv2'" in part for part in found.as_far_as)


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_capture_and_a_model_the_model_is_run_again(turned: bool) -> None:
    a, b = network(), with_faults(network())
    found = nv.compare(a, captured(b), X) if turned else nv.compare(captured(a), b, X)
    assert told(found) == FAULTS
    assert not any("run again" in part for part in found.as_far_as)


def test_captures_that_agree_are_told_to_agree_as_a_whole() -> None:
    a = network()
    found = nv.compare(captured(a), captured(copy.deepcopy(a)))
    assert found.agrees
    assert not found.as_far_as


def test_where_nothing_is_known_of_what_layers_were_given_the_first_difference_is_told_and_so_is_that() -> (
    None
):
    a = network()
    found = nv.compare(nv.capture(a, X), nv.capture(with_faults(a), X))
    assert found.first_divergence.path_a == "0"
    assert any("what comes behind it was not judged" in part for part in found.as_far_as)


def test_one_complete_capture_is_enough_to_find_later_places() -> None:
    a = network()
    found = nv.compare(nv.capture(a, X), captured(with_faults(a)))
    assert [fault.path_a for fault in found.faults][:1] == ["0"]
    assert {"6", "7"} <= {fault.path_a for fault in found.faults}


class Sequence(nn.Module):
    """Layers that return several tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.lstm = (
            nn.Embedding(50, 16),
            nn.LSTM(16, 16, 2, batch_first=True, bidirectional=True),
        )
        self.norm, self.attention = nn.LayerNorm(32), nn.MultiheadAttention(32, 4, batch_first=True)
        self.out = nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.lstm(self.tokens(x))[0])
        return self.out((x + self.attention(x, x, x)[0]).mean(1))


def changed_table(model: Any) -> None:
    model.tokens.weight[:, 3] += 1


def changed_gate(model: Any) -> None:
    model.lstm.weight_hh_l1[3, 2] += 1


def changed_query(model: Any) -> None:
    model.attention.in_proj_weight[3, 2] += 3


def changed_bias(model: Any) -> None:
    model.out.bias[1] += 1


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ([changed_table, changed_bias], ["tokens", "out"]),
        ([changed_table, changed_gate, changed_query], ["tokens", "lstm", "attention"]),
        ([changed_gate, changed_bias], ["lstm", "out"]),
    ],
)
def test_of_layers_that_return_several_tensors_the_first_is_recomputed(
    changes: list[Callable[[Any], None]], paths: list[str]
) -> None:
    torch.manual_seed(0)
    a, x = Sequence().eval(), torch.randint(0, 50, (3, 7))
    b = copy.deepcopy(a)
    with torch.no_grad():
        for change in changes:
            change(b)
    found = nv.compare(*(nv.capture(model, x, complete=True) for model in (a, b)))
    assert [fault.path_a for fault in found.faults] == paths


def test_units_in_another_order_are_no_fault_where_nothing_can_be_run_again() -> None:
    a = network()
    b = with_faults(a)
    order = torch.randperm(16)
    with torch.no_grad():
        b[6].weight[:], b[6].bias[:], b[8].weight[:] = (
            b[6].weight[order].clone(), a[6].bias[order].clone(), b[8].weight[:, order].clone()
        )  # fmt: skip
    b[7].approximate = "none"
    found = nv.compare(captured(a), captured(b))
    assert told(found) == FAULTS[:2]


def test_captures_of_two_frameworks_tell_all_faults() -> None:
    layers = keras.layers
    x = nv.images(np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype("float32"))
    keras.utils.set_random_seed(0)
    a = keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="dense"),
        ]
    )
    b = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.BatchNorm2d(8, eps=0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(200, 10),
    ).eval()
    nv.copy_weights(a, b)
    with torch.no_grad():
        b[5].bias[3] += 1
    found = nv.compare(*(nv.capture(model, x, complete=True) for model in (a, b)))
    assert told(found) == [("norm", "epsilon"), ("dense", "bias")]
