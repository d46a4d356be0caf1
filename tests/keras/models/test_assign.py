"""What is assigned is read back, and computed kernels are shown as they take effect."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import netviz_core as nv

LAYERS = {
    "dense": (lambda: keras.layers.Dense(4), (2, 3)),
    "conv1d": (lambda: keras.layers.Conv1D(4, 3, groups=2), (2, 8, 6)),
    "conv2d": (lambda: keras.layers.Conv2D(4, 3), (2, 8, 8, 3)),
    "conv2d_transpose": (lambda: keras.layers.Conv2DTranspose(4, 3), (2, 8, 8, 3)),
    "depthwise": (lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (2, 8, 8, 3)),
    "separable": (lambda: keras.layers.SeparableConv2D(4, 3), (2, 8, 8, 3)),
    "embedding": (lambda: keras.layers.Embedding(5, 4), (2, 3)),
    "batch_norm": (lambda: keras.layers.BatchNormalization(), (2, 3)),
    "lstm": (lambda: keras.layers.LSTM(4), (2, 5, 3)),
    "gru": (lambda: keras.layers.GRU(4), (2, 5, 3)),
    "gru before": (lambda: keras.layers.GRU(4, reset_after=False), (2, 5, 3)),
    "bidirectional": (lambda: keras.layers.Bidirectional(keras.layers.GRU(4)), (2, 5, 3)),
    "bfloat16": (lambda: keras.layers.Dense(4, dtype="bfloat16"), (2, 3)),
}


def built(name):
    make, shape = LAYERS[name]
    layer = make()
    layer.build(shape)
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_assigned_is_read_back_bit_by_bit(name):
    layer = built(name)
    weights = nv.wrap(layer)[""].weights
    random = np.random.default_rng(0)
    given = {key: random.integers(-8, 8, weight.shape).astype(np.float32) for key, weight in weights.items()}
    for key, weight in weights.items():
        weight.assign(given[key])
    for key, weight in nv.wrap(layer)[""].weights.items():
        np.testing.assert_array_equal(weight.numpy(), given[key], err_msg=key)


def test_a_low_rank_update_is_part_of_the_kernel():
    layer = built("dense")
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones((2, 4)))
    weights = nv.wrap(layer)[""].weights
    assert set(weights) == {"kernel", "bias"}
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(x @ weights["kernel"].numpy().T + weights["bias"].numpy(), expected, atol=1e-5)
    with pytest.raises(nv.UnsupportedError, match="computed from other weights"):
        weights["kernel"].assign(np.zeros((4, 3)))


@pytest.mark.parametrize("name", ["dense", "embedding"])
def test_eight_bit_integers_are_scaled_back(name):
    layer = built(name)
    before = nv.wrap(layer)[""].weights["kernel"].numpy()
    layer.quantize("int8")
    kernel = nv.wrap(layer)[""].weights["kernel"]
    assert kernel.dtype == "int8"
    np.testing.assert_allclose(kernel.numpy(), before, atol=np.abs(before).max() / 100)
    assert "kernel_scale" not in nv.wrap(layer)[""].weights


def test_two_variables_of_one_name_are_both_shown():
    class Twice(keras.layers.Layer):
        def build(self, shape):
            self.first = self.add_weight(shape=(shape[-1], 3), name="w")
            self.second = self.add_weight(shape=(3,), name="w")

    layer = Twice()
    layer.build((2, 4))
    assert {name: weight.shape for name, weight in nv.wrap(layer)[""].weights.items()} == {
        "w": (4, 3),
        "w_1": (3,),
    }


def test_eight_bit_projections_of_attention_are_scaled_back():
    layer = keras.layers.MultiHeadAttention(2, 4)
    x = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)
    layer(x, x)
    before = {name: weight.numpy() for name, weight in nv.wrap(layer)[""].weights.items()}
    layer._query_dense.quantize("int8")
    after = nv.wrap(layer)[""].weights["query_kernel"].numpy()
    np.testing.assert_allclose(after, before["query_kernel"], atol=np.abs(before["query_kernel"]).max() / 50)
