"""Comparisons with Keras models that are odd: several inputs and outputs, masks, gates, narrow floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch import nn

import netviz_core as nv
from netviz_core import Comparison

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(3, 6)).astype("float32")
SEQUENCES = RANDOM.normal(size=(3, 5, 6)).astype("float32")


def built(function: Callable[[Any], Any], shape: tuple[int, ...] = (6,)) -> keras.Model:
    keras.utils.set_random_seed(0)
    given = keras.Input(shape, name="given")
    return keras.Model(given, function(given))


def first(found: Comparison) -> tuple[str, str] | None:
    return None if found.agrees else (found.first_divergence.path_a, found.first_divergence.path_b)


def names(found: Comparison) -> list[tuple[str, bool]]:
    return [(cause.name, cause.confirmed) for cause in found.causes]


def merging(kind: type[keras.Layer], swapped: bool) -> keras.Model:
    def function(x: Any) -> Any:
        both = [layers.Dense(3, name="p")(x), layers.Dense(3, name="q")(x)]
        return layers.Dense(4, name="end")(kind(name="merged")(both[::-1] if swapped else both))

    return built(function)


@pytest.mark.parametrize("kind", [layers.Concatenate, layers.Subtract])
def test_branches_that_are_exchanged_are_found_before_the_layer_that_merges_them(
    kind: type[keras.Layer],
) -> None:
    found = nv.compare(merging(kind, False), merging(kind, True), FEATURES)
    assert first(found) == ("", "")
    assert names(found) == [("order of layers", True)]
    assert "'merged' is fed by 'p' in a, 'merged' by 'q' in b" in found.causes[0].text


def test_what_is_added_has_no_order() -> None:
    assert nv.compare(merging(layers.Add, False), merging(layers.Add, True), FEATURES).agrees


def recurrent(**settings: Any) -> keras.Model:
    return built(lambda x: layers.Dense(2, name="end")(layers.GRU(4, name="gru", **settings)(x)), (5, 6))


def test_another_place_of_the_reset_gate_is_said_though_no_weight_fits() -> None:
    found = nv.compare(recurrent(), recurrent(reset_after=False), SEQUENCES)
    assert first(found) == ("gru", "gru")
    assert "reset" in found.causes[0].text


class TwoHeads(keras.Model):
    """A subclassed model that calls one layer twice and returns a dictionary."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.a = layers.Dense(4, name="a")
        self.b = layers.Dense(3, name="b", activation=activation)

    def call(self, x: Any) -> dict[str, Any]:
        return {"out": self.b(self.a(x)), "hidden": self.a(x)}


def two_heads(activation: str) -> TwoHeads:
    keras.utils.set_random_seed(1)
    model = TwoHeads(activation)
    model(FEATURES)
    return model


def test_a_head_that_differs_is_found_though_the_other_agrees() -> None:
    assert nv.compare(two_heads("relu"), two_heads("relu"), FEATURES).agrees
    found = nv.compare(two_heads("relu"), two_heads("gelu"), FEATURES)
    assert first(found) == ("b", "b")
    assert not found.agrees


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_float_that_a_layer_computes_in_is_named(dtype: str) -> None:
    def model(policy: str) -> keras.Model:
        return built(lambda x: layers.Dense(2, dtype=policy, name="end")(layers.Dense(5, dtype=policy)(x)))

    found = nv.compare(model("float32"), model(f"mixed_{dtype}"), FEATURES)
    assert found.agrees  # no more than the rounding of its own float
    assert names(found) == [("precision", True)]
    assert f"b computes in {dtype}:" in found.causes[0].text


def test_softmax_and_sigmoid_are_not_taken_for_a_head_and_its_scores() -> None:
    native = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    ported = [
        keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu"), layers.Dense(3, last, name="end")])
        for last in ("softmax", "sigmoid")
    ]
    for model in ported:
        nv.copy_weights(native, model)
    assert nv.compare(native, ported[0], FEATURES).agrees
    found = nv.compare(nn.Sequential(*native, nn.Softmax(-1)), ported[1], FEATURES)
    assert first(found) == ("2", "end")
    assert names(found) == [("activation", True)]


class PooledByAFunction(nn.Module):
    """A small classifier whose last map is made by no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.dense = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(72, 5)

    def forward(self, x: Any) -> Any:
        return self.dense(nn.functional.max_pool2d(self.act(self.conv(x)), 2).flatten(1))


@pytest.mark.parametrize("seed", range(3))
def test_a_right_layer_behind_another_pool_and_another_order_of_features_is_not_blamed(seed: int) -> None:
    """What it is given is apart and in another order, which then its weights and its model alone tell."""
    torch.manual_seed(seed)
    a, x = PooledByAFunction().eval(), nv.images(np.random.default_rng(0).random((4, 8, 8, 3), np.float32))
    inside = [layers.Conv2D(8, 3, name="conv"), layers.ReLU(name="act"), layers.AveragePooling2D(2)]
    b = keras.Sequential([keras.Input((8, 8, 3)), *inside, layers.Flatten(), layers.Dense(5, name="dense")])
    nv.copy_weights(a, b, progress=False)
    found = nv.compare(a, b, x, progress=False)
    assert [fault.pair.is_between_layers for fault in found.faults] == [True]
