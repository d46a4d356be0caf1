"""Faults of ports whose reason stands in no setting of one layer alone: each is named, and put to the test."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

from ...torch.comparing.faulty import settled

L = keras.layers


def images(*shape: int) -> nv.AxisArray:
    return nv.images(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def causes(a: Any, b: Any, x: Any) -> list[Any]:
    found = nv.compare(a, b, x)
    assert not found.agrees
    return list(found.causes)


def test_a_pool_that_pads_with_zeros() -> None:
    a = settled(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 4, 3)))
    b = keras.Sequential(
        [
            L.Input((10, 10, 3)), L.Conv2D(8, 3, padding="same"), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2),
            L.Conv2D(4, 3),
        ]
    )  # fmt: skip
    nv.copy_weights(a, b)
    for models in ((a, b), (b, a)):
        (cause,) = causes(*models, images(2, 10, 10, 3))
        assert (cause.name, cause.confirmed) == ("pool padding", True), cause.text
        assert "zeros" in cause.text


@pytest.mark.parametrize("padding", ["layer", "same"])
def test_a_scale_before_a_layer_that_pads_or_has_a_layer_pad_for_it(padding: str) -> None:
    a = settled(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3)))
    first = (
        [L.Conv2D(8, 3, 2, padding="same")] if padding == "same" else [L.ZeroPadding2D(1), L.Conv2D(8, 3, 2)]
    )
    b = keras.Sequential([L.Input((33, 33, 3)), L.Rescaling(1 / 255), *first, L.ReLU(), L.Conv2D(4, 3)])
    nv.copy_weights(a, b)
    cause = causes(a, b, images(2, 33, 33, 3))[0]
    assert cause.name == "preprocessing", cause.text
    assert cause.confirmed


class Joins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.three = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.one(x).relu()
        return self.three(torch.cat([one, self.two(one).relu()], 1))


def test_parts_that_are_joined_in_another_order() -> None:
    x = keras.Input((12, 12, 3))
    one = L.Conv2D(8, 3, padding="same", activation="relu", name="one")(x)
    two = L.Conv2D(8, 3, padding="same", activation="relu", name="two")(one)
    b = keras.Model(x, L.Conv2D(4, 1, name="three")(L.Concatenate(name="parts")([two, one])))
    a = settled(Joins())
    nv.copy_weights(a, b)
    (cause,) = causes(a, b, images(2, 12, 12, 3))
    assert (cause.name, cause.confirmed) == ("channel order", True), cause.text
    assert "b has a's axis channel in another order: halves exchanged" in cause.text


class BehindConvolution(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.conv, self.rnn, self.out = (
            nn.Conv1d(5, 5, 3, padding=1),
            kind(5, 6, batch_first=True),
            nn.Linear(6, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return self.out(self.rnn(x)[0])


@pytest.mark.parametrize(("kind", "order"), [("GRU", (1, 0, 2)), ("LSTM", (0, 2, 1, 3))])
def test_gates_in_another_order_behind_a_convolution(kind: str, order: tuple[int, ...]) -> None:
    a = settled(BehindConvolution(getattr(nn, kind)))
    b = keras.Sequential(
        [
            L.Input((7, 5)), L.Conv1D(5, 3, padding="same", name="conv"),
            getattr(L, kind)(6, return_sequences=True, name="rnn"), L.Dense(3, name="out"),
        ]
    )  # fmt: skip
    nv.copy_weights(a, b)
    x = np.random.default_rng(0).normal(size=(2, 7, 5)).astype(np.float32)
    for name, weight in nv.wrap(b)["rnn"].weights.items():
        assert name
        weight.assign(np.ascontiguousarray(weight.numpy()[list(order)]))
    for cause in causes(a, b, x):
        assert (cause.name, cause.confirmed) == ("gate order", True), cause.text


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("other", ["nearest", "bilinear", "bicubic"])
def test_interpolation(mode: str, other: str) -> None:
    a = settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(8, 4, 3)))
    b = keras.Sequential(
        [L.Input((9, 9, 3)), L.Conv2D(8, 3), L.UpSampling2D(2, interpolation=other), L.Conv2D(4, 3)]
    )
    nv.copy_weights(a, b)
    x = images(2, 9, 9, 3)
    if mode == other != "bicubic":
        assert nv.compare(a, b, x).agrees
        return
    told = causes(a, b, x)
    assert {(cause.name, cause.confirmed) for cause in told} == {("interpolation", True)}, told
    if mode != other:
        assert f"interpolation is {mode} in a and {other} in b" in told[0].text


@pytest.mark.parametrize("layer", ["built in", "layer"])
def test_an_activation_of_the_port_is_named_beside_that_of_the_original(layer: str) -> None:
    a = settled(nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)))
    middle = [L.Dense(8, "sigmoid")] if layer == "built in" else [L.Dense(8), L.Activation("sigmoid")]
    b = keras.Sequential([L.Input((5,)), *middle, L.Dense(3)])
    nv.copy_weights(a, b)
    (cause,) = causes(a, b, np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    assert (cause.name, cause.confirmed) == ("activation", True), cause.text
    told = (
        "a computes tanh of what '0' returned, b sigmoid of what '0' returned",
        "tanh in a and sigmoid in b",
    )
    assert any(words in cause.text for words in told)
