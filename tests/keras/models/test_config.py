"""Hyperparameters in netviz' one vocabulary."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L, array, native, small_cnn


def config(layer: Any) -> dict[str, Any]:
    return dict(nv.wrap(layer)[""].config)


def built(layer: Any) -> Any:
    layer.build((3, 2))
    return layer


CASES = [
    (
        lambda: L.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        {"stride": (2, 2), "padding": "same", "dilation": (1, 1), "groups": 1, "activation": "relu"},
    ),
    (lambda: L.Conv2D(4, 3, padding="same"), {"padding": ((1, 1), (1, 1)), "data_format": "channels_last"}),
    (lambda: L.Conv2D(4, (2, 3), padding="same"), {"padding": ((0, 1), (1, 1)), "kernel_size": (2, 3)}),
    (lambda: L.Conv2D(4, 3), {"padding": ((0, 0), (0, 0)), "activation": "linear"}),
    (lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2), {"padding": ((4, 0),), "dilation": (2,)}),
    (lambda: L.Conv2DTranspose(4, 3, padding="same"), {"padding": ((1, 1), (1, 1))}),
    (lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same"), {"padding": ((0, 1),)}),
    (lambda: L.Conv1DTranspose(4, 2, strides=3), {"padding": ((0, -1),)}),
    (lambda: L.MaxPooling2D(2), {"kernel_size": (2, 2), "stride": (2, 2), "pooling": "max"}),
    (lambda: L.AveragePooling1D(3), {"pooling": "average", "count_include_pad": False}),
    (L.GlobalMaxPooling2D, {"pooling": "max", "output_size": (1, 1), "keepdims": False}),
    (lambda: L.AdaptiveAveragePooling1D(3), {"pooling": "average", "output_size": (3,)}),
    (lambda: L.ZeroPadding2D(((1, 2), (0, 3))), {"padding": ((1, 2), (0, 3)), "padding_mode": "zeros"}),
    (lambda: L.ZeroPadding1D(1), {"padding": ((1, 1),), "padding_mode": "zeros"}),
    (lambda: L.Rescaling(0.5, [1.0, 2.0]), {"scale": 0.5, "offset": (1.0, 2.0), "axis": -1}),
    (
        lambda: built(L.Normalization(mean=[1.0, 2.0], variance=[4.0, 4.0])),
        {"mean": (1.0, 2.0), "variance": (4.0, 4.0), "axis": -1, "invert": False, "epsilon": 1e-7},
    ),
    (lambda: L.Normalization(), {}),
    (lambda: built(L.LayerNormalization()), {"axis": -1}),
    (lambda: built(L.LayerNormalization(axis=[0, 1])), {"axis": (0, 1)}),
    (L.BatchNormalization, {"epsilon": 1e-3, "momentum": 0.01, "kept": 0.99, "axis": -1}),
    (lambda: L.GroupNormalization(2), {"groups": 2, "epsilon": 1e-3}),
    (lambda: L.LeakyReLU(0.2), {"negative_slope": 0.2, "activation": "leaky_relu"}),
    (lambda: L.Activation("gelu"), {"activation": "gelu", "approximate": False}),
    (
        lambda: L.Dense(2, activation=partial(keras.activations.gelu, approximate=True)),
        {"activation": "gelu", "approximate": True},
    ),
    (lambda: L.Dense(2, activation="leaky_relu"), {"activation": "leaky_relu", "negative_slope": 0.2}),
    (lambda: L.ReLU(6), {"activation": "relu6"}),
    (
        lambda: L.Dense(2, activation=partial(keras.activations.relu, max_value=3.0)),
        {"activation": "relu", "max_value": 3.0, "threshold": 0.0},
    ),
    (lambda: L.Activation("soft_shrink"), {"activation": "soft_shrink", "threshold": 0.5}),
    (lambda: L.Activation("log_softmax"), {"activation": "log_softmax", "axis": -1}),
    (L.Softmax, {"axis": -1, "activation": "softmax"}),
    (lambda: L.Dropout(0.3), {"rate": 0.3}),
    (lambda: L.Dense(2, activation=abs), {"activation": "abs", "units": 2}),
    (lambda: L.LSTM(2, dropout=0.1), {"activation": "tanh", "recurrent_activation": "sigmoid", "rate": 0.1}),
    (
        lambda: L.Bidirectional(L.GRU(2), merge_mode="sum"),
        {"merge_mode": "sum", "units": 2, "reset_after": True},
    ),
    (lambda: L.RNN([L.GRUCell(2), L.GRUCell(2)]), {"layers": 2, "units": 2, "activation": "tanh"}),
    (lambda: L.MultiHeadAttention(2, 3), {"heads": 2, "head_dim": 3}),
    (lambda: L.Concatenate(axis=1), {"axis": 1}),
]


@pytest.mark.parametrize(("make", "expected"), CASES)
def test_config(make: Any, expected: dict[str, Any]) -> None:
    found = config(make())
    assert {name: found.get(name) for name in expected} == expected


def test_padding_per_side_is_what_keras_adds() -> None:
    layer, padded = L.Conv2D(1, (4, 5), padding="same"), L.Conv2D(1, (4, 5))
    x = array(1, 7, 7, 1)
    expected = layer(x)
    padded.build((None, 10, 11, 1))
    padded.set_weights(layer.get_weights())
    by_hand = padded(np.pad(x, ((0, 0), *config(layer)["padding"], (0, 0))))
    np.testing.assert_allclose(native(expected), native(by_hand), rtol=1e-4, atol=1e-5)


def test_only_plain_values() -> None:
    def plain(value: Any) -> bool:
        return (
            all(map(plain, value))
            if isinstance(value, tuple)
            else all(map(plain, (*value, *value.values())))
            if isinstance(value, dict)
            else isinstance(value, (str, int, float, type(None)))
        )

    for layer in nv.wrap(small_cnn()).layers.values():
        assert all(plain(value) for value in layer.config.values())


class Cube:
    """An activation that is an object; Keras could not save it."""

    def __call__(self, x: Any) -> Any:
        return x**3


@pytest.mark.parametrize(
    ("activation", "name"), [(Cube(), "Cube"), (lambda x: x * 2, "<lambda>"), ("relu", "relu")]
)
def test_an_activation_has_whatever_name_it_has(activation, name):
    model = keras.Sequential([keras.Input((5,)), L.Dense(4, activation=activation, name="a")])
    x = array(3, 5)
    assert nv.wrap(model)["a"].config["activation"] == name
    np.testing.assert_allclose(nv.capture(model, x)["a"].values, native(model(x)), rtol=1e-5)
    for question in (nv.summary, nv.graph, nv.health):
        question(model, x)
