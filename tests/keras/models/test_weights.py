"""Canonical weights mean what DESIGN says: plain NumPy computes with them what the Keras layer computes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import ENGINE, Block, L, Subclassed, array, native, randomized, small_cnn


def weights(layer: Any) -> dict[str, np.ndarray]:
    return {name: weight.numpy() for name, weight in nv.wrap(layer)[""].weights.items()}


def axes(layer: Any) -> dict[str, tuple[str, ...]]:
    return {name: weight.axes for name, weight in nv.wrap(layer)[""].weights.items()}


def built(layer: Any, *shape: int) -> Any:
    layer(np.zeros((1, *shape), "float32"))
    return randomized(layer)


def channels_first(x: Any) -> np.ndarray:
    return np.moveaxis(native(x), -1, 1)


def convolve(x: np.ndarray, kernel: np.ndarray, groups: int = 1) -> np.ndarray:
    """A convolution of (batch, in, …) with (out, in per group, …), without padding."""
    spatial = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=spatial)
    outs, per_group = kernel.shape[0] // groups, kernel.shape[1]
    parts = []
    for group in range(groups):
        own = windows[:, group * per_group : (group + 1) * per_group]
        filters = kernel[group * outs : (group + 1) * outs]
        letters = "pqr"[: len(spatial)]
        places = "uvw"[: len(spatial)]
        parts.append(np.einsum(f"bi{places}{letters},oi{letters}->bo{places}", own, filters))
    return np.concatenate(parts, axis=1)


def spread(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A transposed convolution of (batch, in, …) with (out, in, …): each input stamps the kernel."""
    sizes = [(n - 1) * stride + k for n, k in zip(x.shape[2:], kernel.shape[2:], strict=True)]
    result = np.zeros((len(x), kernel.shape[0], *sizes))
    for place in np.ndindex(*x.shape[2:]):
        stamp = np.tensordot(x[(slice(None), slice(None), *place)], kernel, axes=(1, 1))
        where = tuple(slice(p * stride, p * stride + k) for p, k in zip(place, kernel.shape[2:], strict=True))
        result[(slice(None), slice(None), *where)] += stamp
    return result


def per_channel(bias: np.ndarray, rank: int) -> np.ndarray:
    return bias.reshape(1, -1, *(1,) * (rank - 2))


def test_dense() -> None:
    layer, x = built(L.Dense(3), 5), array(2, 5)
    w = weights(layer)
    assert axes(layer) == {"kernel": ("out", "in"), "bias": ("out",)}
    np.testing.assert_allclose(
        native(layer(x)), np.einsum("bi,oi->bo", x, w["kernel"]) + w["bias"], rtol=1e-5
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions(rank: int) -> None:
    layer = built(getattr(L, f"Conv{rank}D")(3, (2, 3, 2)[:rank]), *(6, 5, 4)[:rank], 2)
    x = array(2, *(6, 5, 4)[:rank], 2)
    w = weights(layer)
    assert axes(layer)["kernel"] == ("out", "in", *("z", "y", "x")[-rank:])
    expected = convolve(channels_first(x), w["kernel"]) + per_channel(w["bias"], rank + 2)
    np.testing.assert_allclose(channels_first(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_grouped_convolution() -> None:
    layer, x = built(L.Conv2D(6, 2, groups=2, use_bias=False), 5, 5, 4), array(2, 5, 5, 4)
    kernel = weights(layer)["kernel"]
    assert kernel.shape == (6, 2, 2, 2)
    np.testing.assert_allclose(
        channels_first(layer(x)), convolve(channels_first(x), kernel, 2), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise_convolution_is_the_grouped_form(rank: int) -> None:
    layer = built(
        getattr(L, f"DepthwiseConv{rank}D")(3, depth_multiplier=2, use_bias=False), *(6, 5)[:rank], 3
    )
    x = array(2, *(6, 5)[:rank], 3)
    kernel = weights(layer)["kernel"]
    assert kernel.shape == (6, 1, *(3, 3)[:rank])
    np.testing.assert_allclose(
        channels_first(layer(x)), convolve(channels_first(x), kernel, 3), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rank", [1, 2])
def test_separable_convolution(rank: int) -> None:
    layer = built(getattr(L, f"SeparableConv{rank}D")(4, 3, depth_multiplier=2), *(6, 5)[:rank], 3)
    x = array(2, *(6, 5)[:rank], 3)
    w = weights(layer)
    assert list(axes(layer)) == ["depthwise_kernel", "pointwise_kernel", "bias"]
    between = convolve(channels_first(x), w["depthwise_kernel"], 3)
    expected = convolve(between, w["pointwise_kernel"]) + per_channel(w["bias"], rank + 2)
    np.testing.assert_allclose(channels_first(layer(x)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolutions(rank: int) -> None:
    layer = built(getattr(L, f"Conv{rank}DTranspose")(3, 3, strides=2), *(4, 3, 2)[:rank], 2)
    x = array(2, *(4, 3, 2)[:rank], 2)
    w = weights(layer)
    assert axes(layer)["kernel"] == ("out", "in", *("z", "y", "x")[-rank:])
    expected = spread(channels_first(x), w["kernel"], 2) + per_channel(w["bias"], rank + 2)
    np.testing.assert_allclose(channels_first(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_embedding() -> None:
    layer = L.Embedding(5, 3)
    layer.build(())
    assert axes(layer) == {"kernel": ("token", "out")}
    np.testing.assert_array_equal(weights(layer)["kernel"][[4, 1]], native(layer(np.array([4, 1]))))


def test_batch_norm() -> None:
    layer, x = built(L.BatchNormalization(), 4, 3), array(2, 4, 3)
    w = weights(layer)
    assert list(w) == ["scale", "bias", "running_mean", "running_variance"]
    expected = (x - w["running_mean"]) / np.sqrt(w["running_variance"] + layer.epsilon) * w["scale"] + w[
        "bias"
    ]
    np.testing.assert_allclose(native(layer(x, training=False)), expected, rtol=1e-4, atol=1e-5)
    assert list(weights(built(L.BatchNormalization(center=False, scale=False), 3))) == [
        *("running_mean", "running_variance")
    ]
    assert [w.trainable for w in nv.wrap(layer)[""].weights.values()] == [True, True, False, False]


@pytest.mark.parametrize("make", [L.LayerNormalization, L.RMSNormalization, lambda: L.GroupNormalization(3)])
def test_other_norms(make: Any) -> None:
    layer, x = built(make(), 6), array(2, 6)
    w = weights(layer)
    grouped = x.reshape(2, 3, 2) if isinstance(layer, L.GroupNormalization) else x
    if not isinstance(layer, L.RMSNormalization):
        grouped = grouped - grouped.mean(-1, keepdims=True)
    normed = (grouped / np.sqrt((grouped**2).mean(-1, keepdims=True) + layer.epsilon)).reshape(x.shape)
    np.testing.assert_allclose(native(layer(x)), normed * w["scale"] + w.get("bias", 0), rtol=1e-3, atol=1e-4)
    assert set(axes(layer).values()) == {("channel",)}


def test_a_norm_over_several_axes_keeps_positions() -> None:
    layer = built(L.LayerNormalization(axis=(1, 2)), 4, 3)
    assert axes(layer)["scale"] == ("axis0", "axis1")


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def run_lstm(x: np.ndarray, w: dict[str, np.ndarray], suffix: str = "") -> np.ndarray:
    h = c = np.zeros((len(x), w["bias" + suffix].shape[1]))
    steps = []
    for step in np.moveaxis(x, 1, 0):
        gates = np.einsum("bi,goi->gbo", step, w["input_kernel" + suffix])
        gates = (
            gates + np.einsum("bi,goi->gbo", h, w["recurrent_kernel" + suffix]) + w["bias" + suffix][:, None]
        )
        c = sigmoid(gates[1]) * c + sigmoid(gates[0]) * np.tanh(gates[2])
        h = sigmoid(gates[3]) * np.tanh(c)
        steps.append(h)
    return np.stack(steps, 1)


def test_lstm() -> None:
    layer, x = built(L.LSTM(3, return_sequences=True), 4, 2), array(2, 4, 2)
    assert axes(layer) == {
        "input_kernel": ("gate", "out", "in"),
        "recurrent_kernel": ("gate", "out", "in"),
        "bias": ("gate", "out"),
    }
    np.testing.assert_allclose(native(layer(x)), run_lstm(x, weights(layer)), rtol=1e-4, atol=1e-5)


def test_stacked_and_bidirectional_lstm() -> None:
    stacked, x = built(L.RNN([L.LSTMCell(3), L.LSTMCell(2)], return_sequences=True), 4, 2), array(2, 4, 2)
    w = weights(stacked)
    assert w["input_kernel_l1"].shape == (4, 2, 3)
    np.testing.assert_allclose(native(stacked(x)), run_lstm(run_lstm(x, w), w, "_l1"), rtol=1e-4, atol=1e-5)

    both = built(L.Bidirectional(L.LSTM(3, return_sequences=True)), 4, 2)
    w = weights(both)
    expected = np.concatenate([run_lstm(x, w), run_lstm(x[:, ::-1], w, "_reverse")[:, ::-1]], -1)
    np.testing.assert_allclose(native(both(x)), expected, rtol=1e-4, atol=1e-5)
    forward = nv.wrap(both)["forward_lstm"].weights["input_kernel"]
    np.testing.assert_array_equal(forward.numpy(), w["input_kernel"])


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru(reset_after: bool) -> None:
    layer, x = built(L.GRU(3, return_sequences=True, reset_after=reset_after), 4, 2), array(2, 4, 2)
    w = weights(layer)
    assert ("recurrent_bias" in w) == reset_after
    assert [weight.shape for weight in nv.wrap(layer)[""].weights.values()] == [v.shape for v in w.values()]
    h, steps = np.zeros((2, 3)), []
    recurrent_bias = w.get("recurrent_bias", np.zeros((3, 3)))
    for step in np.moveaxis(x, 1, 0):
        from_input = np.einsum("bi,goi->gbo", step, w["input_kernel"]) + w["bias"][:, None]
        from_state = np.einsum("bi,goi->gbo", h, w["recurrent_kernel"]) + recurrent_bias[:, None]
        reset, update = sigmoid(from_input[0] + from_state[0]), sigmoid(from_input[1] + from_state[1])
        recalled = (
            reset * from_state[2]
            if reset_after
            else np.einsum("bi,oi->bo", reset * h, w["recurrent_kernel"][2])
        )
        h = update * h + (1 - update) * np.tanh(from_input[2] + recalled)
        steps.append(h)
    np.testing.assert_allclose(native(layer(x)), np.stack(steps, 1), rtol=1e-4, atol=1e-5)


def test_simple_rnn() -> None:
    layer, x = built(L.SimpleRNN(3), 4, 2), array(2, 4, 2)
    w = {name: value[0] for name, value in weights(layer).items()}
    h = np.zeros((2, 3))
    for step in np.moveaxis(x, 1, 0):
        h = np.tanh(step @ w["input_kernel"].T + h @ w["recurrent_kernel"].T + w["bias"])
    np.testing.assert_allclose(native(layer(x)), h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grouped", [False, True])
def test_attention(grouped: bool) -> None:
    layer = L.GroupQueryAttention(3, 4, 2) if grouped else L.MultiHeadAttention(2, 3)
    x = array(2, 5, 6)
    layer(x, x)
    w = weights(randomized(layer))
    assert axes(layer)["query_kernel"] == ("head", "head_dim", "in")
    assert axes(layer)["output_kernel"] == ("out", "head", "head_dim")
    assert axes(layer)["query_bias"] == ("head", "head_dim")
    q, k, v = (
        np.einsum("bti,hdi->bhtd", x, w[f"{n}_kernel"]) + w[f"{n}_bias"][:, None]
        for n in ("query", "key", "value")
    )
    k, v = (np.repeat(part, len(q[0]) // len(part[0]), axis=1) for part in (k, v))
    scores = np.exp(np.einsum("bhtd,bhsd->bhts", q, k) / np.sqrt(q.shape[-1]))
    mixed = np.einsum("bhts,bhsd->bthd", scores / scores.sum(-1, keepdims=True), v)
    expected = np.einsum("bthd,ohd->bto", mixed, w["output_kernel"]) + w["output_bias"]
    np.testing.assert_allclose(native(layer(x, x)), expected, rtol=1e-3, atol=1e-4)


def test_custom_layers_keep_native_names_and_positions() -> None:
    model = Subclassed()
    model(array(1, 4))
    network = nv.wrap(model)
    assert {name: w.axes for name, w in network["block"].weights.items()} == {"gain": ("axis0",)}
    assert network[""].weights == {}
    assert list(network["block/inner"].weights) == ["kernel", "bias"]


def test_a_weight_that_a_subclass_adds_is_not_lost() -> None:
    class Scaled(L.Dense):
        def build(self, shape: Any) -> None:
            super().build(shape)
            self.extra = self.add_weight(name="extra", shape=(2, 2))

    assert axes(built(Scaled(3), 4))["extra"] == ("axis0", "axis1")


def test_an_unbuilt_layer_has_no_weights_yet() -> None:
    for layer in (L.Dense(2), L.LSTM(2), L.MultiHeadAttention(1, 2), L.Bidirectional(L.GRU(2)), Block(2)):
        assert nv.wrap(layer)[""].weights == {}


# JAX has float64 only where the whole process is set to it.
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", *["float64"] * (ENGINE != "jax")])
def test_dtypes(dtype: str) -> None:
    layer = L.Dense(3, dtype=dtype)
    layer.build((None, 2))
    weight = nv.wrap(layer)[""].weights["kernel"]
    assert weight.dtype == dtype
    assert weight.numpy().dtype == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_array_equal(weight.numpy(), native(layer.kernel).astype(weight.numpy().dtype).T)


def test_a_weight_is_read_when_asked_and_belongs_to_the_caller() -> None:
    model = small_cnn()
    weight = nv.wrap(model)["dense1"].weights["kernel"]
    first = weight.numpy()
    first[:] = 9
    assert not (weight.numpy() == 9).any()
    model.get_layer("dense1").kernel.assign(np.full((36, 3), 2.0))
    assert (weight.numpy() == 2).all()
    assert weight.native_name == "kernel"


def test_numbers_of_parameters_agree_with_keras() -> None:
    model = small_cnn()
    counted = sum(
        np.prod(weight.shape) for layer in nv.wrap(model).layers.values() for weight in layer.weights.values()
    )
    assert counted == model.count_params()


def test_channels_first_layers_have_the_same_weights() -> None:
    layer = L.Conv2D(3, 2, data_format="channels_first")
    layer.build((None, 2, 5, 5))
    w = weights(randomized(layer))
    assert w["kernel"].shape == (3, 2, 2, 2)
    if ENGINE != "tensorflow":  # whose convolutions on the CPU know channels_last only
        x = array(2, 2, 5, 5)
        expected = convolve(x, w["kernel"]) + per_channel(w["bias"], 4)
        np.testing.assert_allclose(native(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_can_be_a_model() -> None:
    layer = built(L.Dense(3), 5)
    assert keras.Layer.count_params(layer) == sum(value.size for value in weights(layer).values())
