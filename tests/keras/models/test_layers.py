"""Paths and kinds."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.words.protocols import KINDS

from ..conftest import Block, L, Subclassed, array, small_cnn


def paths(model: Any) -> list[str]:
    return [layer.path for layer in nv.get_backend("keras").layers(model)]


def test_a_keras_model_is_keras_on_every_engine() -> None:
    network = nv.wrap(small_cnn())
    assert network.backend == "keras"
    assert nv.wrap(L.Dense(2)).backend == "keras"


def test_what_is_no_model_is_not_accepted() -> None:
    with pytest.raises(nv.UnknownModelError, match="keras"):
        nv.wrap(keras.optimizers.Adam())


def test_paths_of_a_sequential_model() -> None:
    assert paths(small_cnn()) == ["", "conv1", "pool1", "norm", "flatten", "dropout", "dense1"]


def test_paths_do_not_change_when_a_model_is_built() -> None:
    model = keras.Sequential([L.Dense(2, name="a"), L.Dense(2, name="b")])
    before = paths(model)
    model(array(1, 3))
    assert paths(model) == before == ["", "a", "b"]


def test_paths_below_submodels_are_unique() -> None:
    def tower(name: str) -> keras.Model:
        return keras.Sequential([keras.Input((4,)), L.Dense(4, name="fc")], name=name)

    x = keras.Input((4,), name="x")
    outer = keras.Model(x, tower("right")(tower("left")(x)), name="outer")
    assert paths(outer) == ["", "x", "left", "left/fc", "right", "right/fc"]


def test_two_layers_of_one_name() -> None:
    model = Subclassed()
    assert paths(model) == ["", "stem", "block", "block/inner", "block/act", "fc", "fc_1"]


def test_a_number_behind_a_name_takes_no_other_layers_name() -> None:
    class Three(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layers_of_mine = [L.Dense(1, name=name) for name in ("fc", "fc_1", "fc", "fc")]

    assert paths(Three()) == ["", "fc", "fc_1", "fc_2", "fc_3"]


def test_a_layer_in_several_places_comes_once() -> None:
    shared = L.Dense(4, name="shared")
    inner = keras.Sequential([keras.Input((4,)), shared], name="inner")
    x = keras.Input((4,), name="x")
    assert paths(keras.Model(x, inner(shared(x)))) == ["", "x", "shared", "inner"]


def test_operations_of_a_functional_graph_are_layers() -> None:
    x = keras.Input((4,), name="x")
    network = nv.wrap(
        keras.Model(x, keras.ops.reshape(keras.ops.relu(L.Dense(4, name="d")(x)) + 1.0, (-1, 2, 2)))
    )
    assert {layer.kind for layer in network.layers.values()} == {
        *("container", "input", "dense", "activation", "merge", "reshape")
    }
    operation = network.select(kind="merge")[0]
    assert (operation.type_name, operation.trainable, operation.weights, operation.config) == (
        "Add",
        False,
        {},
        {},
    )


def test_layers_below_wrappers_and_attention() -> None:
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            L.Bidirectional(L.LSTM(3, return_sequences=True), name="bi"),
            L.TimeDistributed(L.Dense(2, name="step"), name="td"),
        ]
    )
    assert paths(model) == [
        *("", "bi", "bi/forward_lstm", "bi/forward_lstm/lstm_cell"),
        *("bi/backward_lstm", "bi/backward_lstm/lstm_cell", "td", "td/step"),
    ]


KINDS_OF = {
    "conv1d": [lambda: L.Conv1D(2, 3)],
    "conv2d": [lambda: L.Conv2D(2, 3), lambda: L.Conv2D(4, 3, groups=2)],
    "conv3d": [lambda: L.Conv3D(2, 3)],
    "conv1d_transpose": [lambda: L.Conv1DTranspose(2, 3)],
    "conv2d_transpose": [lambda: L.Conv2DTranspose(2, 3)],
    "conv3d_transpose": [lambda: L.Conv3DTranspose(2, 3)],
    "depthwise_conv1d": [lambda: L.DepthwiseConv1D(3)],
    "depthwise_conv2d": [lambda: L.DepthwiseConv2D(3)],
    "separable_conv1d": [lambda: L.SeparableConv1D(2, 3)],
    "separable_conv2d": [lambda: L.SeparableConv2D(2, 3)],
    "dense": [lambda: L.Dense(2)],
    "einsum_dense": [lambda: L.EinsumDense("ab,bc->ac", 2)],
    "embedding": [lambda: L.Embedding(3, 2)],
    "batch_norm": [L.BatchNormalization],
    "layer_norm": [L.LayerNormalization],
    "group_norm": [lambda: L.GroupNormalization(2)],
    "instance_norm": [lambda: L.GroupNormalization(-1)],
    "rms_norm": [L.RMSNormalization],
    "lstm": [
        lambda: L.LSTM(2),
        lambda: L.Bidirectional(L.LSTM(2)),
        lambda: L.RNN(L.LSTMCell(2)),
        lambda: L.RNN([L.LSTMCell(2), L.LSTMCell(2)]),
    ],
    "gru": [lambda: L.GRU(2), lambda: L.Bidirectional(L.GRU(2))],
    "rnn": [lambda: L.SimpleRNN(2), lambda: L.RNN([L.LSTMCell(2), L.GRUCell(2)])],
    "attention": [lambda: L.MultiHeadAttention(1, 2), lambda: L.GroupQueryAttention(2, 4, 2), L.Attention],
    "activation": [lambda: L.Activation("relu"), L.ReLU, L.LeakyReLU, L.PReLU, L.ELU, L.Softmax],
    "pool": [L.MaxPooling1D, lambda: L.AveragePooling2D(2), L.GlobalMaxPooling3D, L.GlobalAveragePooling1D],
    "dropout": [lambda: L.Dropout(0.1), lambda: L.SpatialDropout2D(0.1), lambda: L.GaussianNoise(0.1)],
    "reshape": [lambda: L.Reshape((2,)), L.Flatten, lambda: L.Permute((2, 1)), lambda: L.RepeatVector(2)],
    "merge": [L.Add, L.Concatenate, L.Multiply, lambda: L.Dot(1)],
    "input": [lambda: keras.layers.InputLayer(shape=(2,))],
    "container": [small_cnn, Subclassed, lambda: Block(2), lambda: L.TimeDistributed(L.Dense(2))],
    "other": [
        L.ZeroPadding2D,
        L.Cropping1D,
        L.UpSampling2D,
        lambda: L.Lambda(abs),
        lambda: L.ConvLSTM2D(2, 3),
    ],
}


def test_every_word_is_spoken() -> None:
    assert set(KINDS_OF) == KINDS


@pytest.mark.parametrize("kind", KINDS_OF)
def test_kinds(kind: str) -> None:
    for make in KINDS_OF[kind]:
        layer = make()
        assert nv.wrap(layer)[""].kind == kind
        subclass = type("Users", (type(layer),), {"__module__": "theirs"})
        if kind not in ("container", "input") and not isinstance(layer, (L.Lambda, L.RNN, L.Bidirectional)):
            assert nv.wrap(subclass.from_config(layer.get_config()))[""].kind == kind


def test_kinds_that_show_once_the_layer_is_built() -> None:
    depthwise = L.Conv2D(6, 3, groups=3)
    depthwise.build((None, 8, 8, 3))
    assert nv.wrap(depthwise)[""].kind == "depthwise_conv2d"
    instance = L.GroupNormalization(4)
    instance.build((None, 8, 8, 4))
    assert nv.wrap(instance)[""].kind == "instance_norm"


def test_trainable() -> None:
    model = small_cnn()
    model.get_layer("conv1").trainable = False
    network = nv.wrap(model)
    assert [network[path].trainable for path in ("", "conv1", "norm", "flatten", "dense1")] == [
        *(True, False, True, False, True)
    ]


def test_ten_thousand_layers_take_linear_time() -> None:
    """Counted in calls, which no other work on the machine disturbs."""

    def calls(count: int) -> int:
        class Many(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.many = [L.Identity(name="same") for _ in range(count)]

        model, made = Many(), []
        sys.setprofile(lambda frame, event, argument: made.append(event) if event == "call" else None)
        try:
            paths = {layer.path for layer in nv.get_backend("keras").layers(model)}
        finally:
            sys.setprofile(None)
        assert len(paths) == count + 1
        return len(made)

    calls(10)
    assert calls(10_000) < 10.5 * calls(1000)


def test_listing_copies_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_cnn()
    monkeypatch.setattr("netviz_keras.weights.as_numpy", lambda _: pytest.fail("a weight was read"))
    for layer in nv.wrap(model).layers.values():
        for weight in layer.weights.values():
            assert len(weight.shape) == len(weight.axes)
            assert (weight.dtype, np.prod(weight.shape) > 0) == ("float32", True)
