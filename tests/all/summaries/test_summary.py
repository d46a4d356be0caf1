"""One summary for every framework: the same rows for the same network, and each framework's own total."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.summaries.parts import SummaryRow
from netviz_core.summaries.summary import summary

L = keras.layers


def keras_network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((9, 9, 4)),
            L.Conv2D(6, 3, name="conv"),
            L.ReLU(name="relu"),
            L.Conv2DTranspose(4, 3, strides=2, name="up"),
            L.GlobalAveragePooling2D(name="pool"),
            L.Dense(5, name="dense"),
        ]
    )


def torch_network() -> nn.Module:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 6, 3)
            self.relu = nn.ReLU()
            self.up = nn.ConvTranspose2d(6, 4, 3, stride=2)
            self.dense = nn.Linear(4, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dense(self.up(self.relu(self.conv(x))).mean((2, 3)))

    return Network()


def told(row: SummaryRow) -> tuple[Any, ...]:
    return (
        row.kind, row.output_shape, row.output_axes, row.parameters, row.trainable_parameters, row.multiply_accumulates,
        row.output_bytes, row.calls,
    )  # fmt: skip


def test_the_same_network_has_the_same_rows() -> None:
    x = nv.images(np.zeros((2, 9, 9, 4), "float32"))
    ours, theirs = summary(torch_network(), x), summary(keras_network(), x)
    for path in ("conv", "relu", "up", "dense"):
        assert told(ours[path]) == told(theirs[path]), path
        assert ours[path].input_shape == theirs[path].input_shape
    assert ours.multiply_accumulates == theirs.multiply_accumulates
    assert ours.total_parameters == theirs.total_parameters


@pytest.mark.parametrize("name", ["MobileNetV2", "DenseNet121", "EfficientNetB0"])
def test_totals_are_those_of_keras(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3))
    found = summary(model)
    assert found.total_parameters == model.count_params()
    assert sum(row.own_parameters for row in found.rows) == model.count_params()
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert found.trainable_parameters == trainable


def test_attention_counts_alike() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x)[0]

    x = np.zeros((3, 5, 8), "float32")
    inputs = keras.Input((5, 8))
    theirs = keras.Model(inputs, L.MultiHeadAttention(2, 4, name="attention")(inputs, inputs))
    ours, found = summary(Attending(), x), summary(theirs, x)
    assert ours["attention"].multiply_accumulates == found["attention"].multiply_accumulates == 5040
    assert ours["attention"].parameters == found["attention"].parameters == theirs.count_params()
    assert found.multiply_accumulates == 5040


@pytest.mark.parametrize(("ours", "theirs"), [(nn.LSTM, L.LSTM), (nn.RNN, L.SimpleRNN)])
def test_recurrent_layers_count_alike(ours: Any, theirs: Any) -> None:
    x = np.zeros((3, 5, 8), "float32")
    model = keras.Sequential([keras.Input((5, 8)), L.Bidirectional(theirs(4), name="both")])
    counted = summary(ours(8, 4, bidirectional=True, batch_first=True), x).multiply_accumulates
    assert summary(model, x).multiply_accumulates == counted
    assert summary(model).total_parameters == model.count_params()


def test_a_separable_convolution_counts_both_kernels() -> None:
    model = keras.Sequential([keras.Input((7, 7, 4)), L.SeparableConv2D(6, 3, name="conv")])
    row = summary(model, np.zeros((2, 7, 7, 4), "float32"))["conv"]
    assert row.multiply_accumulates == 2 * 25 * (4 * 9 + 4 * 6)


def test_an_einsum_counts_as_its_equation_says() -> None:
    model = keras.Sequential([keras.Input((7, 4)), L.EinsumDense("abc,cd->abd", (None, 6), name="einsum")])
    assert summary(model, np.zeros((2, 7, 4), "float32"))["einsum"].multiply_accumulates == 2 * 7 * 4 * 6
