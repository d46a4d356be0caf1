"""What the core computes in NumPy is what Keras' layers return."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import netviz_core as nv
from netviz_core.captures.recorder import Recorder
from netviz_core.recomputing.layers import recomputed

from ..conftest import ENGINE, L, array, randomized

IMAGE_AXES = ("batch", "channel", "y", "x")
CHANNELS_LAST = ("batch", "y", "x", "channel")
AXES = {
    2: ("batch", "channel"),
    3: ("batch", "time", "channel"),
    4: CHANNELS_LAST,
    5: ("batch", "z", "y", "x", "channel"),
}


def called(
    layer: Any, *values: Any, axes: tuple[str, ...] | None = None
) -> tuple[Any, list[nv.AxisArray], nv.AxisArray]:
    """A layer in a model, what it was given, and what it returned first."""
    inputs = [keras.Input(one.shape[1:], dtype=one.dtype.name) for one in values]
    output = layer(inputs[0] if len(inputs) == 1 else inputs)
    return heard(
        keras.Model(inputs, output), layer, *(nv.AxisArray(one, axes or AXES[one.ndim]) for one in values)
    )


def heard(model: Any, layer: Any, *values: Any) -> tuple[Any, list[nv.AxisArray], nv.AxisArray]:
    if layer.get_weights():
        randomized(layer)
    network = nv.wrap(model)
    (found,) = [one for one in network.layers.values() if one.native is layer]
    before = Recorder([found])
    after = Recorder([found], given=before)
    network.adapter.run(network.native, values if len(values) > 1 else values[0], after)
    return found, [slot.get() for slot in before.slots], after.slots[0].get()


def again(layer: Any, inputs: list[nv.AxisArray], **options: Any) -> nv.AxisArray | None:
    weights = {name: weight.numpy() for name, weight in layer.weights.items()}
    return recomputed(layer.kind, layer.type_name, layer.config, weights, inputs, **options)


def check(layer: Any, *values: Any, axes: tuple[str, ...] | None = None) -> None:
    agree(*called(layer, *values, axes=axes))


def agree(layer: Any, before: list[nv.AxisArray], after: nv.AxisArray) -> None:
    found = again(layer, before)
    assert found is not None, (layer.kind, layer.config, [part.axes for part in before])
    assert found.axes == after.axes
    assert found.values.dtype == after.values.dtype
    scale = max(1.0, float(np.abs(after.values).max(initial=0.0)))
    np.testing.assert_allclose(found.values, after.values, rtol=1e-5, atol=1e-5 * scale)


IMAGES: dict[str, Any] = {
    "conv": lambda: L.Conv2D(6, 3, activation="relu"),
    "conv same": lambda: L.Conv2D(6, (2, 3), padding="same", use_bias=False),
    "conv same stride": lambda: L.Conv2D(6, 3, strides=2, padding="same"),
    "conv same stride, even": lambda: L.Conv2D(6, (4, 2), strides=(2, 3), padding="same"),
    "conv dilated": lambda: L.Conv2D(6, 3, dilation_rate=(2, 1), padding="same", activation="elu"),
    "conv groups": lambda: L.Conv2D(
        6, 3, groups=2, activation=partial(keras.activations.gelu, approximate=True)
    ),
    "conv depthwise groups": lambda: L.Conv2D(8, 3, groups=4),
    "conv softmax": lambda: L.Conv2D(6, 1, activation="softmax"),
    "depthwise": lambda: L.DepthwiseConv2D(
        3, depth_multiplier=2, strides=2, padding="same", activation="relu6"
    ),
    "separable": lambda: L.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", activation="tanh"),
    "separable stride": lambda: L.SeparableConv2D(5, 3, strides=2, use_bias=False),
    "transposed": lambda: L.Conv2DTranspose(5, 3),
    "transposed same": lambda: L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="selu"),
    "transposed more": lambda: L.Conv2DTranspose(5, 4, strides=2, padding="same", output_padding=1),
    "transposed apart": lambda: L.Conv2DTranspose(5, 2, strides=3),
    "batch_norm": L.BatchNormalization,
    "batch_norm bare": lambda: L.BatchNormalization(epsilon=0.1, center=False, scale=False),
    "batch_norm y": lambda: L.BatchNormalization(axis=1),
    "layer_norm": L.LayerNormalization,
    "layer_norm all": lambda: L.LayerNormalization(axis=[1, 2, 3]),
    "layer_norm x": lambda: L.LayerNormalization(axis=[2, 3], epsilon=0.1),
    "group_norm": lambda: L.GroupNormalization(2),
    "instance_norm": lambda: L.GroupNormalization(-1, epsilon=0.1),
    "rms_norm": L.RMSNormalization,
    "max": L.MaxPooling2D,
    "max same": lambda: L.MaxPooling2D(3, 2, padding="same"),
    "max same stride 1": lambda: L.MaxPooling2D(2, 1, padding="same"),
    "average": lambda: L.AveragePooling2D((2, 3)),
    "average same": lambda: L.AveragePooling2D(3, 2, padding="same"),
    "average same stride 1": lambda: L.AveragePooling2D(2, 1, padding="same"),
    "global average": L.GlobalAveragePooling2D,
    "global max": lambda: L.GlobalMaxPooling2D(keepdims=True),
    "adaptive average": lambda: L.AdaptiveAveragePooling2D((3, 4)),
    "adaptive max": lambda: L.AdaptiveMaxPooling2D(2),
    "prelu": L.PReLU,
    "prelu shared": lambda: L.PReLU(shared_axes=[1, 2]),
    "padding": lambda: L.ZeroPadding2D(((1, 2), (0, 3))),
    "rescaling": lambda: L.Rescaling(1 / 127.5, offset=-1.0),
    "rescaling channels": lambda: L.Rescaling([0.5, 2.0, 3.0, 4.0], offset=[1.0, 0.0, -1.0, 2.0]),
    "normalization": lambda: L.Normalization(mean=[0.5, 2.0, 3.0, 4.0], variance=[1.0, 0.0, 2.0, 2.0]),
    "normalization one": lambda: L.Normalization(axis=None, mean=0.5, variance=4.0, invert=True),
    "dropout": lambda: L.SpatialDropout2D(0.5),
    "identity": L.Identity,
}


@pytest.mark.parametrize("name", IMAGES)
def test_of_images(name: str) -> None:
    check(IMAGES[name](), array(2, 9, 8, 4))


SIGNALS: dict[str, Any] = {
    "conv": lambda: L.Conv1D(6, 4, strides=3, padding="same"),
    "conv causal": lambda: L.Conv1D(6, 3, padding="causal", dilation_rate=2),
    "conv causal stride": lambda: L.Conv1D(6, 3, padding="causal", strides=2),
    "depthwise": lambda: L.DepthwiseConv1D(3, depth_multiplier=2),
    "separable": lambda: L.SeparableConv1D(5, 3, padding="same"),
    "transposed": lambda: L.Conv1DTranspose(5, 4, strides=3, padding="same"),
    "max": lambda: L.MaxPooling1D(2, padding="same"),
    "average": lambda: L.AveragePooling1D(3, 2, padding="same"),
    "global": L.GlobalMaxPooling1D,
    "padding": lambda: L.ZeroPadding1D((1, 2)),
    "dense": lambda: L.Dense(3, activation="leaky_relu"),
    "einsum": lambda: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", activation="relu"),
    "einsum heads": lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
    "einsum ellipsis": lambda: L.EinsumDense("...x,xy->...y", 3),
    "lstm": lambda: L.LSTM(3),
    "lstm sequences": lambda: L.LSTM(3, return_sequences=True, unit_forget_bias=False, use_bias=False),
    "lstm functions": lambda: L.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid"),
    "lstm backwards": lambda: L.LSTM(3, go_backwards=True, return_sequences=True),
    "gru": lambda: L.GRU(3, return_sequences=True),
    "gru before": lambda: L.GRU(3, reset_after=False),
    "gru no bias": lambda: L.GRU(3, reset_after=False, use_bias=False, recurrent_activation="tanh"),
    "rnn": lambda: L.SimpleRNN(3, activation="relu"),
    "stacked": lambda: L.RNN([L.LSTMCell(3), L.LSTMCell(3)], return_sequences=True),
    "both": lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)),
    "both last": lambda: L.Bidirectional(L.GRU(3), merge_mode="sum"),
    "both mul": lambda: L.Bidirectional(L.SimpleRNN(3), merge_mode="mul"),
    "both ave": lambda: L.Bidirectional(L.LSTM(3), merge_mode="ave"),
    "both stacked": lambda: L.Bidirectional(L.RNN([L.GRUCell(3), L.GRUCell(3)], return_sequences=True)),
    "layer_norm": lambda: L.LayerNormalization(epsilon=0.1),
    "batch_norm": L.BatchNormalization,
    "group_norm": lambda: L.GroupNormalization(2),
    "rms_norm": lambda: L.RMSNormalization(epsilon=0.1),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_of_sequences(name: str) -> None:
    check(SIGNALS[name](), array(2, 7, 4))


VOLUMES: dict[str, Any] = {
    "conv": lambda: L.Conv3D(2, (1, 2, 3), strides=(1, 2, 1), padding="same"),
    "transposed": lambda: L.Conv3DTranspose(2, 2, strides=2, padding="same"),
    "max": lambda: L.MaxPooling3D(2, padding="same"),
    "average": lambda: L.AveragePooling3D(3, 2, padding="same"),
    "global": L.GlobalAveragePooling3D,
    "padding": lambda: L.ZeroPadding3D(((1, 2), (0, 3), (1, 1))),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_of_volumes(name: str) -> None:
    check(VOLUMES[name](), array(2, 5, 6, 7, 4))


CHANNELS_FIRST = ["padding", "global average", "global max"]
if ENGINE != "tensorflow":  # which has no others with channels first on the CPU
    CHANNELS_FIRST += ["conv same stride", "conv softmax", "max same", "average same"]


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_of_channels_first(name: str) -> None:
    layer = IMAGES[name]()
    layer.data_format = "channels_first"
    check(layer, array(2, 4, 9, 8), axes=IMAGE_AXES)


VECTORS: dict[str, Any] = {
    "dense": lambda: L.Dense(3, activation="softmax"),
    "dense no bias": lambda: L.Dense(3, use_bias=False, activation=partial(keras.activations.elu, alpha=0.3)),
    "batch_norm": L.BatchNormalization,
    "layer_norm": L.LayerNormalization,
    "normalization": lambda: L.Normalization(mean=[0.5] * 5 + [1.0], variance=[2.0] * 6),
    "relu": lambda: L.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.2),
    "relu6": lambda: L.ReLU(6),
    "relu bound": lambda: L.Activation(partial(keras.activations.relu, max_value=0.4, threshold=0.1)),
    "leaky_relu": lambda: L.LeakyReLU(0.3),
    "elu": lambda: L.ELU(0.3),
    "softmax": L.Softmax,
    "shrink": lambda: L.Activation(partial(keras.activations.soft_shrink, threshold=0.2)),
    "threshold": lambda: L.Activation(
        partial(keras.activations.threshold, threshold=0.2, default_value=-3.0)
    ),
}
NAMES = """
    linear relu relu6 leaky_relu elu celu selu gelu silu mish sigmoid log_sigmoid tanh softplus softsign exponential
    hard_sigmoid hard_silu hard_tanh tanh_shrink hard_shrink soft_shrink softmax log_softmax glu
""".split()


@pytest.mark.parametrize("name", [*VECTORS, *NAMES])
def test_of_vectors(name: str) -> None:
    check(VECTORS[name]() if name in VECTORS else L.Activation(name), array(5, 6) * 3)


@pytest.mark.parametrize(
    "operation",
    [
        keras.ops.relu, keras.ops.gelu, partial(keras.ops.gelu, approximate=False), keras.ops.softmax,
        partial(keras.ops.leaky_relu, negative_slope=0.3), keras.ops.hard_silu, partial(keras.ops.elu, alpha=0.5),
    ],
    ids=lambda operation: getattr(operation, "func", operation).__name__,
)  # fmt: skip
def test_of_operations(operation: Any) -> None:
    x = keras.Input((6,))
    model = keras.Model(x, operation(x))
    layer = next(one for one in nv.wrap(model).layers.values() if one.kind == "activation")
    before = Recorder([layer])
    after = Recorder([layer], given=before)
    network = nv.wrap(model)
    network.adapter.run(network.native, array(5, 6) * 3, after)
    agree(layer, [slot.get() for slot in before.slots], after.slots[0].get())


MERGES: dict[str, Any] = {
    "add": L.Add,
    "subtract": L.Subtract,
    "multiply": L.Multiply,
    "average": L.Average,
    "maximum": L.Maximum,
    "minimum": L.Minimum,
}


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 6), (2, 5, 4, 3)])
def test_merges(name: str, shape: tuple[int, ...]) -> None:
    check(MERGES[name](), array(*shape), array(*shape)[::-1] * 2)


def test_concatenation() -> None:
    check(L.Concatenate(), array(2, 6), array(2, 4))
    check(L.Concatenate(axis=1), array(2, 5, 6), array(2, 4, 6))
    check(L.Concatenate(), array(2, 5, 4, 3), array(2, 5, 4, 2))
    layer, before, after = called(L.Concatenate(), array(2, 5, 4, 3), array(2, 5, 4, 3))
    assert again(layer, before) is None
    np.testing.assert_array_equal(again(layer, before, orders=[CHANNELS_LAST]).values, after.values)


def test_embeddings() -> None:
    x = np.array([[0, 6, 2], [1, 1, 1]], np.int32)
    check(L.Embedding(7, 3), x, axes=("batch", "time"))


@pytest.mark.parametrize("make", [L.LSTM, L.GRU, L.SimpleRNN])
@pytest.mark.parametrize("both", [True, False])
def test_recurrent_with_states(make: Any, both: bool) -> None:
    x, count = keras.Input((7, 4)), (2 if make is L.LSTM else 1) * (1 + both)
    states = [keras.Input((3,)) for _ in range(count)]
    layer = L.Bidirectional(make(3)) if both else make(3)
    model = keras.Model([x, *states], layer(x, initial_state=states))
    values = [array(2, 7, 4), *(array(2, 3) * (place + 1) for place in range(count))]
    agree(*heard(model, layer, *values))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given_key", [True, False])
def test_attention(bias: bool, given_key: bool) -> None:
    query, value, key = keras.Input((5, 6)), keras.Input((4, 8)), keras.Input((4, 7))
    wider = {} if ENGINE == "jax" else {"value_dim": 5}  # which fails where values are not as wide as keys
    layer = L.MultiHeadAttention(2, 3, use_bias=bias, output_shape=9, **wider)
    inputs = [query, value, key] if given_key else [query, value]
    model = keras.Model(inputs, layer(*inputs))
    values = [array(2, *one.shape[1:]) for one in inputs]
    agree(*heard(model, layer, *values))
    agree(*heard(model, layer, *(nv.AxisArray(one, AXES[3]) for one in values)))


def test_flattening() -> None:
    layer, before, after = called(L.Flatten(), array(2, 5, 4, 3))
    found = again(layer, before)
    np.testing.assert_array_equal(found.values, after.values)
    assert found.axes == after.axes == ("batch", "channel")


def test_axes_are_not_guessed() -> None:
    layer, before, after = called(L.Softmax(), array(2, 5, 4, 3))
    assert again(layer, before) is None
    found = again(layer, before, orders=[CHANNELS_LAST])
    np.testing.assert_allclose(found.values, after.values, rtol=1e-5)
    layer, before, after = called(L.BatchNormalization(axis=1), array(2, 4, 4, 4))
    assert again(layer, before) is None
    np.testing.assert_allclose(again(layer, before, orders=[CHANNELS_LAST]).values, after.values, rtol=1e-5)


@pytest.mark.parametrize(
    "make", [lambda: L.Cropping2D(1), lambda: L.Reshape((4, 15)), lambda: L.Permute((2, 1, 3))]
)
def test_what_is_not_known_is_not_computed(make: Any) -> None:
    layer, before, _ = called(make(), array(2, 5, 4, 3))
    assert again(layer, before) is None


small = st.integers(1, 3)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_convolutions(data: st.DataObject) -> None:
    way = data.draw(st.sampled_from(["Conv", "DepthwiseConv", "SeparableConv", "Transpose"]))
    rank = data.draw(st.integers(1, 2 if way in ("DepthwiseConv", "SeparableConv") else 3))
    size = tuple(data.draw(st.integers(1, 4)) for _ in range(rank))
    # TensorFlow's depthwise convolutions take one stride for all axes, and none of them strides with dilation.
    stride = (data.draw(small),) * rank
    dilation = data.draw(small) if set(stride) == {1} and way != "Transpose" else 1
    options: dict[str, Any] = {
        "strides": stride,
        "padding": data.draw(st.sampled_from(["same", "valid"])),
        "dilation_rate": dilation,
        "use_bias": data.draw(st.booleans()),
    }
    lengths = [data.draw(st.integers(4, 9)) for _ in range(rank)]
    reach = [(one - 1) * dilation + 1 for one in size]
    assume(options["padding"] == "same" or all(n >= far for n, far in zip(lengths, reach, strict=True)))
    if way == "DepthwiseConv":
        layer = getattr(L, f"DepthwiseConv{rank}D")(size, depth_multiplier=data.draw(small), **options)
    elif way == "Transpose":
        layer = getattr(L, f"Conv{rank}DTranspose")(3, size, **options)
    else:
        layer = getattr(L, f"{way}{rank}D")(3, size, **options)
    check(layer, array(2, *lengths, 4), axes=("batch", *"zyx"[3 - rank :], "channel"))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_pools(data: st.DataObject) -> None:
    rank, way = data.draw(small), data.draw(st.sampled_from(["Max", "Average"]))
    size = tuple(data.draw(st.integers(1, 4)) for _ in range(rank))
    stride = tuple(data.draw(small) for _ in range(rank))
    layer = getattr(L, f"{way}Pooling{rank}D")(
        size, stride, padding=data.draw(st.sampled_from(["same", "valid"]))
    )
    lengths = [data.draw(st.integers(4, 9)) for _ in range(rank)]
    check(layer, array(2, *lengths, 4), axes=("batch", *"zyx"[3 - rank :], "channel"))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([L.LSTM, L.GRU, L.SimpleRNN]), small, small, st.booleans(), st.booleans(), st.booleans()
)
def test_random_recurrent(make: Any, features: int, units: int, bias: bool, whole: bool, both: bool) -> None:
    layer = make(units, use_bias=bias, return_sequences=whole)
    check(L.Bidirectional(layer) if both else layer, array(3, 4, features))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(
    "size", [2, (2, 4)], ids=str
)  # TensorFlow has a table of cubic shares, exact at these
def test_upsampling(interpolation: str, size: Any) -> None:
    check(L.UpSampling2D(size, interpolation=interpolation), array(2, 5, 6, 3))


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resizing(interpolation: str, antialias: bool) -> None:
    check(L.Resizing(4, 9, interpolation=interpolation, antialias=antialias), array(2, 8, 6, 3))
