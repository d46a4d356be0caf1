"""Every row of the table of weights: a PyTorch and a Keras layer given the same canonical weights compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

L = keras.layers

SPATIAL = frozenset({"kernel_size", "stride", "padding", "dilation", "groups", "out_channels"})
TRANSPOSED = frozenset({"kernel_size", "stride", "padding", "dilation"})
DEPTHWISE = SPATIAL | {"depth_multiplier"}
NORM = frozenset({"epsilon"})
RECURRENT = frozenset({"units", "layers", "activation"})
GATED = RECURRENT | {"recurrent_activation"}


class Row(NamedTuple):
    """Two layers of one kind, the input of both (channels first), and what both say of themselves."""

    kind: str
    torch: Callable[[], nn.Module]
    keras: Callable[[], keras.Layer]
    shape: tuple[int, ...]
    said: frozenset[str] = frozenset()


def convolution(
    rank: int, torch_options: dict[str, Any], keras_options: dict[str, Any], size: int = 6
) -> Row:
    return Row(
        f"conv{rank}d",
        lambda: getattr(nn, f"Conv{rank}d")(4, 6, **torch_options),
        lambda: getattr(L, f"Conv{rank}D")(6, **keras_options),
        (2, 4, *(size, size + 1, size + 2)[:rank]),
        SPATIAL,
    )


def depthwise(
    rank: int, torch_options: dict[str, Any], keras_options: dict[str, Any], multiplier: int
) -> Row:
    return Row(
        f"depthwise_conv{rank}d",
        lambda: getattr(nn, f"Conv{rank}d")(4, 4 * multiplier, groups=4, **torch_options),
        lambda: getattr(L, f"DepthwiseConv{rank}D")(depth_multiplier=multiplier, **keras_options),
        (2, 4, *(7, 8)[:rank]),
        DEPTHWISE,
    )


def transposed(rank: int, torch_options: dict[str, Any], keras_options: dict[str, Any]) -> Row:
    return Row(
        f"conv{rank}d_transpose",
        lambda: getattr(nn, f"ConvTranspose{rank}d")(4, 3, **torch_options),
        lambda: getattr(L, f"Conv{rank}DTranspose")(3, **keras_options),
        (2, 4, *(3, 4, 5)[:rank]),
        TRANSPOSED,
    )


def recurrent(name: str, said: frozenset[str], layers: int = 1, both_ways: bool = False) -> Row:
    simple = name == "RNN"

    def in_keras() -> keras.Layer:
        if layers > 1:
            cell = L.SimpleRNNCell if simple else getattr(L, f"{name}Cell")
            return L.RNN([cell(5) for _ in range(layers)], return_sequences=True)
        layer = (L.SimpleRNN if simple else getattr(L, name))(5, return_sequences=True)
        return L.Bidirectional(layer) if both_ways else layer

    return Row(
        name.lower(),
        lambda: getattr(nn, name)(3, 5, layers, batch_first=True, bidirectional=both_ways),
        in_keras,
        (2, 4, 3),
        said,
    )


ROWS = {
    "dense": Row("dense", lambda: nn.Linear(4, 3), lambda: L.Dense(3), (2, 4), frozenset({"units"})),
    "dense without bias": Row(
        "dense", lambda: nn.Linear(4, 3, bias=False), lambda: L.Dense(3, use_bias=False), (2, 4)
    ),
    **{f"conv{rank}d": convolution(rank, {"kernel_size": 3}, {"kernel_size": 3}) for rank in (1, 2, 3)},
    **{
        f"conv{rank}d grouped": convolution(
            rank, {"kernel_size": 3, "groups": 2}, {"kernel_size": 3, "groups": 2}
        )
        for rank in (1, 2, 3)
    },
    **{
        f"conv{rank}d dilated": convolution(
            rank, {"kernel_size": 3, "dilation": 2}, {"kernel_size": 3, "dilation_rate": 2}
        )
        for rank in (1, 2, 3)
    },
    **{
        f"conv{rank}d strided": convolution(
            rank, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "strides": 2}
        )
        for rank in (1, 2, 3)
    },
    **{
        f"conv{rank}d same": convolution(
            rank, {"kernel_size": size, "padding": "same"}, {"kernel_size": size, "padding": "same"}
        )
        for rank, size in ((1, 4), (2, (3, 4)), (3, 3))
    },
    "conv2d of unequal sides": convolution(
        2, {"kernel_size": (2, 3), "stride": (1, 2)}, {"kernel_size": (2, 3), "strides": (1, 2)}
    ),
    "depthwise_conv1d": depthwise(1, {"kernel_size": 3}, {"kernel_size": 3}, 1),
    "depthwise_conv1d multiplied": depthwise(1, {"kernel_size": 3}, {"kernel_size": 3}, 2),
    "depthwise_conv2d": depthwise(2, {"kernel_size": (3, 2)}, {"kernel_size": (3, 2)}, 1),
    "depthwise_conv2d multiplied": depthwise(
        2, {"kernel_size": 3, "padding": 1}, {"kernel_size": 3, "padding": "same"}, 3
    ),
    "depthwise_conv2d strided": depthwise(
        2, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "strides": 2}, 2
    ),
    "depthwise_conv2d as a grouped convolution": Row(
        "depthwise_conv2d",
        lambda: nn.Conv2d(4, 8, 3, groups=4),
        lambda: L.Conv2D(8, 3, groups=4),
        (2, 4, 6, 7),
        DEPTHWISE,
    ),
    **{
        f"conv{rank}d_transpose": transposed(rank, {"kernel_size": 3}, {"kernel_size": 3})
        for rank in (1, 2, 3)
    },
    **{
        f"conv{rank}d_transpose strided": transposed(
            rank, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "strides": 2}
        )
        for rank in (1, 2, 3)
    },
    **{
        f"conv{rank}d_transpose same": transposed(
            rank,
            {"kernel_size": 4, "stride": 2, "padding": 1},
            {"kernel_size": 4, "strides": 2, "padding": "same"},
        )
        for rank in (1, 2, 3)
    },
    "conv2d_transpose with gaps": transposed(
        2, {"kernel_size": 2, "stride": 3, "output_padding": 1}, {"kernel_size": 2, "strides": 3}
    ),
    "conv2d_transpose cut on one side": transposed(
        2,
        {"kernel_size": 3, "stride": 2, "output_padding": 1},
        {"kernel_size": 3, "strides": 2, "output_padding": 1},
    ),
    "embedding": Row(
        "embedding",
        lambda: nn.Embedding(7, 3),
        lambda: L.Embedding(7, 3),
        (2, 5),
        frozenset({"tokens", "units"}),
    ),
    "batch_norm of vectors": Row(
        "batch_norm",
        lambda: nn.BatchNorm1d(4),
        lambda: L.BatchNormalization(epsilon=1e-5, momentum=0.9),
        (2, 4),
        NORM,
    ),
    "batch_norm": Row(
        "batch_norm",
        lambda: nn.BatchNorm2d(4, eps=1e-3, momentum=0.01),
        lambda: L.BatchNormalization(),
        (2, 4, 3, 5),
        NORM | {"momentum"},
    ),
    "batch_norm without scale": Row(
        "batch_norm",
        lambda: nn.BatchNorm3d(4, eps=1e-3, momentum=0.01, affine=False),
        lambda: L.BatchNormalization(center=False, scale=False),
        (2, 4, 3, 2, 2),
        NORM,
    ),
    "layer_norm": Row(
        "layer_norm", lambda: nn.LayerNorm(4, eps=1e-3), lambda: L.LayerNormalization(), (2, 4), NORM
    ),
    "group_norm": Row(
        "group_norm",
        lambda: nn.GroupNorm(2, 4, eps=1e-3),
        lambda: L.GroupNormalization(2),
        (2, 4, 3, 5),
        NORM | {"groups"},
    ),
    "instance_norm": Row(
        "instance_norm",
        lambda: nn.InstanceNorm2d(4, eps=1e-3, affine=True),
        lambda: L.GroupNormalization(-1),
        (2, 4, 3, 5),
        NORM,
    ),
    "instance_norm as a group norm": Row(
        "instance_norm",
        lambda: nn.GroupNorm(4, 4, eps=1e-3),
        lambda: L.GroupNormalization(4),
        (2, 4, 3, 5),
        NORM,
    ),
    "rms_norm": Row("rms_norm", lambda: nn.RMSNorm(4, eps=1e-6), lambda: L.RMSNormalization(), (2, 4), NORM),
    **{
        f"{name.lower()}{label}": recurrent(name, said, layers, both_ways)
        for name, said in (("LSTM", GATED), ("GRU", GATED | {"reset_after"}), ("RNN", RECURRENT))
        for label, layers, both_ways in (("", 1, False), (" stacked", 3, False), (" both ways", 1, True))
    },
}


def canonical(weights: Any, seed: int = 0) -> dict[str, np.ndarray]:
    """Values for each weight; a variance is positive."""
    random = np.random.default_rng(seed)
    values = {
        name: random.normal(0, 0.4, weight.shape).astype(np.float32) for name, weight in weights.items()
    }
    return {name: abs(array) + 0.3 if name == "running_variance" else array for name, array in values.items()}


def given_the_same(ours: Any, theirs: Any) -> None:
    """Assign the same to both, and find it in both; a second bias, which only PyTorch keeps, is zero."""
    values = canonical(theirs.weights)
    assert {name: weight.axes for name, weight in theirs.weights.items()} == {
        name: weight.axes for name, weight in ours.weights.items() if name in values
    }
    for name, weight in ours.weights.items():
        if name not in values:
            assert name.startswith("recurrent_bias")
            weight.assign(np.zeros(weight.shape))
    for name, array in values.items():
        for layer in (ours, theirs):
            layer.weights[name].assign(array)
            found = layer.weights[name].numpy()
            np.testing.assert_array_equal(found, array, err_msg=f"{layer.type_name} {name}", strict=True)


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def run_torch(layer: nn.Module, *inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output = layer.eval()(*map(torch.from_numpy, inputs))
    return (output[0] if isinstance(output, tuple) else output).numpy()


def run_keras(layer: keras.Layer, *inputs: np.ndarray, **named: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(layer(*inputs, **named, training=False)))


def built(layer: keras.Layer, *inputs: np.ndarray, **named: np.ndarray) -> keras.Layer:
    layer(*inputs, **named)
    return layer


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("name", ROWS)
def test_the_same_weights_compute_the_same(name):
    row = ROWS[name]
    x = np.random.default_rng(1).normal(size=row.shape).astype(np.float32)
    if row.kind == "embedding":
        x = np.random.default_rng(1).integers(0, 7, row.shape)
    images = row.kind.startswith(("conv", "depthwise")) or x.ndim > 3
    y = channels_last(x) if images else x
    in_torch, in_keras = row.torch(), built(row.keras(), y)
    ours, theirs = nv.wrap(in_torch)[""], nv.wrap(in_keras)[""]
    assert ours.kind == theirs.kind == row.kind
    given_the_same(ours, theirs)

    expected, found = run_torch(in_torch, x), run_keras(in_keras, y)
    np.testing.assert_allclose(channels_last(expected) if images else expected, found, atol=1e-5, rtol=1e-5)

    both = ours.config.keys() & theirs.config.keys()
    assert row.said <= both
    assert {key: ours.config[key] for key in both} == {key: theirs.config[key] for key in both}


@pytest.mark.parametrize("rank", [1, 2])
def test_separable_convolutions_are_two_convolutions(rank):
    x = np.random.default_rng(1).normal(size=(2, 4, *(6, 7)[:rank])).astype(np.float32)
    conv = getattr(nn, f"Conv{rank}d")
    in_torch = nn.Sequential(conv(4, 8, 3, groups=4, bias=False), conv(8, 5, 1))
    in_keras = built(getattr(L, f"SeparableConv{rank}D")(5, 3, depth_multiplier=2), channels_last(x))
    ours, theirs = nv.wrap(in_torch), nv.wrap(in_keras)[""]
    assert theirs.kind == f"separable_conv{rank}d"
    pairs = {
        "depthwise_kernel": ours["0"].weights["kernel"],
        "pointwise_kernel": ours["1"].weights["kernel"],
        "bias": ours["1"].weights["bias"],
    }
    for name, array in canonical(theirs.weights).items():
        assert theirs.weights[name].axes == pairs[name].axes
        theirs.weights[name].assign(array)
        pairs[name].assign(theirs.weights[name].numpy())
        np.testing.assert_array_equal(pairs[name].numpy(), array, strict=True)
    expected, found = run_torch(in_torch, x), run_keras(in_keras, channels_last(x))
    np.testing.assert_allclose(channels_last(expected), found, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "bias"),
    [((8, 8, 8), True), ((8, 8, 8), False), ((8, 6, 4), True)],
    ids=["packed", "plain", "separate"],
)
def test_attention(sizes, bias):
    random = np.random.default_rng(2)
    query, key, value = (
        random.normal(size=(2, steps, size)).astype(np.float32)
        for steps, size in zip((3, 5, 5), sizes, strict=True)
    )
    in_torch = nn.MultiheadAttention(8, 2, bias=bias, kdim=sizes[1], vdim=sizes[2], batch_first=True)
    assert (in_torch.in_proj_weight is None) == (len(set(sizes)) > 1)
    in_keras = built(L.MultiHeadAttention(2, 4, use_bias=bias), query, value, key=key)
    ours, theirs = nv.wrap(in_torch)[""], nv.wrap(in_keras)[""]
    assert len(theirs.weights) == (8 if bias else 4)
    assert ours.weights.keys() == theirs.weights.keys()
    given_the_same(ours, theirs)
    np.testing.assert_allclose(
        run_torch(in_torch, query, key, value),
        run_keras(in_keras, query, value, key=key),
        atol=1e-5,
        rtol=1e-5,
    )
    for name in ("heads", "head_dim", "rate"):
        assert ours.config[name] == theirs.config[name]


class GroupedQueryAttention(nn.Module):
    """What PyTorch users write: one projection for each part, and fewer heads for keys and values."""

    def __init__(self, heads: int, key_value_heads: int, size: int, features: int) -> None:
        super().__init__()
        self.size = size
        self.query = nn.Linear(features, heads * size)
        self.key = nn.Linear(features, key_value_heads * size)
        self.value = nn.Linear(features, key_value_heads * size)
        self.output = nn.Linear(heads * size, features)

    def forward(self, x):
        query, key, value = (
            project(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
        return self.output(mixed.transpose(1, 2).flatten(2))


def test_grouped_query_attention():
    x = np.random.default_rng(3).normal(size=(2, 5, 6)).astype(np.float32)
    in_torch, in_keras = GroupedQueryAttention(4, 2, 3, 6), built(L.GroupQueryAttention(3, 4, 2), x, x)
    ours, theirs = nv.wrap(in_torch), nv.wrap(in_keras)[""]
    assert theirs.weights["query_kernel"].shape == (4, 3, 6)
    assert theirs.weights["key_kernel"].shape == (2, 3, 6)
    assert {name: theirs.config[name] for name in ("heads", "key_value_heads", "head_dim")} == {
        "heads": 4,
        "key_value_heads": 2,
        "head_dim": 3,
    }
    for name, array in canonical(theirs.weights).items():
        theirs.weights[name].assign(array)
        path, _, part = name.partition("_")
        weight = ours[path].weights[part]
        weight.assign(array.reshape(weight.shape))
        np.testing.assert_array_equal(theirs.weights[name].numpy(), array, strict=True)
    np.testing.assert_allclose(run_torch(in_torch, x), run_keras(in_keras, x, x), atol=1e-5, rtol=1e-5)


def test_a_gated_attention_shows_its_gate():
    x = np.zeros((1, 3, 6), np.float32)
    weights = nv.wrap(built(L.MultiHeadAttention(2, 3, use_gate=True), x, x))[""].weights
    assert weights["gate_kernel"].axes == ("head", "head_dim", "in")
    assert weights["gate_kernel"].shape == (2, 3, 6)


ACTIVATIONS = {
    "relu": (nn.ReLU, L.ReLU),
    "relu6": (nn.ReLU6, lambda: L.ReLU(6)),
    "leaky": (lambda: nn.LeakyReLU(0.2), lambda: L.LeakyReLU(0.2)),
    "leaky by name": (lambda: nn.LeakyReLU(0.2), lambda: L.Activation("leaky_relu")),
    "elu": (lambda: nn.ELU(0.5), lambda: L.ELU(0.5)),
    "celu": (nn.CELU, lambda: L.Activation("celu")),
    "selu": (nn.SELU, lambda: L.Activation("selu")),
    "gelu": (nn.GELU, lambda: L.Activation("gelu")),
    "silu": (nn.SiLU, lambda: L.Activation("silu")),
    "hard_silu": (nn.Hardswish, lambda: L.Activation("hard_silu")),
    "sigmoid": (nn.Sigmoid, lambda: L.Activation("sigmoid")),
    "hard_sigmoid": (nn.Hardsigmoid, lambda: L.Activation("hard_sigmoid")),
    "log_sigmoid": (nn.LogSigmoid, lambda: L.Activation("log_sigmoid")),
    "tanh": (nn.Tanh, lambda: L.Activation("tanh")),
    "hard_tanh": (nn.Hardtanh, lambda: L.Activation("hard_tanh")),
    "tanh_shrink": (nn.Tanhshrink, lambda: L.Activation("tanh_shrink")),
    "hard_shrink": (nn.Hardshrink, lambda: L.Activation("hard_shrink")),
    "soft_shrink": (nn.Softshrink, lambda: L.Activation("soft_shrink")),
    "softplus": (nn.Softplus, lambda: L.Activation("softplus")),
    "softsign": (nn.Softsign, lambda: L.Activation("softsign")),
    "mish": (nn.Mish, lambda: L.Activation("mish")),
    "softmax": (lambda: nn.Softmax(dim=-1), L.Softmax),
    "log_softmax": (lambda: nn.LogSoftmax(dim=-1), lambda: L.Activation("log_softmax")),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_one_name_compute_the_same(name):
    ours, theirs = (make() for make in ACTIVATIONS[name])
    x = np.linspace(-4, 7, 12, dtype=np.float32).reshape(2, 6)
    np.testing.assert_allclose(run_torch(ours, x), run_keras(theirs, x), atol=1e-5)
    said, also = nv.wrap(ours)[""], nv.wrap(theirs)[""]
    assert said.kind == also.kind == "activation"
    assert said.config["activation"] == also.config["activation"]
    for key in said.config.keys() & also.config.keys():
        assert said.config[key] == also.config[key], key
    for key in {"negative_slope", "alpha", "approximate"} & said.config.keys():
        assert said.config[key] == also.config[key]


def test_an_inexact_gelu_says_so():
    x = keras.Input((3,))
    model = keras.Model(x, keras.ops.gelu(x, approximate=True))
    (theirs,) = (layer for layer in nv.wrap(model).layers.values() if layer.kind == "activation")
    ours = nv.wrap(nn.GELU("tanh"))[""]
    for name in ("activation", "approximate"):
        assert ours.config[name] == theirs.config[name]


def test_pools_and_dropouts_agree():
    pairs = [
        (nn.MaxPool2d(3, 2), L.MaxPooling2D(3, 2), {"kernel_size", "stride", "padding"}),
        (nn.AvgPool1d(2), L.AveragePooling1D(2), {"kernel_size", "stride", "padding"}),
        (nn.MaxPool3d(3, 1, 1), L.MaxPooling3D(3, 1, padding="same"), {"kernel_size", "stride", "padding"}),
        (nn.Dropout(0.3), L.Dropout(0.3), {"rate"}),
        (nn.Dropout2d(0.3), L.SpatialDropout2D(0.3), {"rate"}),
    ]
    for ours, theirs, said in pairs:
        left, right = nv.wrap(ours)[""], nv.wrap(theirs)[""]
        assert left.kind == right.kind
        assert {key: left.config[key] for key in said} == {key: right.config[key] for key in said}


class TorchDense(nn.Linear):
    pass


class TorchConvolution(nn.Conv2d):
    pass


class TorchMemory(nn.LSTM):
    pass


class KerasDense(L.Dense):
    pass


class KerasConvolution(L.Conv2D):
    pass


class KerasMemory(L.LSTM):
    pass


@pytest.mark.parametrize(
    ("kind", "in_torch", "in_keras", "shape"),
    [
        ("dense", lambda: TorchDense(4, 3), lambda: KerasDense(3), (2, 4)),
        ("conv2d", lambda: TorchConvolution(4, 3, 2), lambda: KerasConvolution(3, 2), (2, 5, 5, 4)),
        ("lstm", lambda: TorchMemory(4, 3), lambda: KerasMemory(3), (2, 5, 4)),
    ],
)
def test_users_subclasses_keep_their_kind(kind, in_torch, in_keras, shape):
    ours = nv.wrap(in_torch())[""]
    theirs = nv.wrap(built(in_keras(), np.zeros(shape, np.float32)))[""]
    assert ours.kind == theirs.kind == kind
    assert theirs.weights.keys() <= ours.weights.keys()
    given_the_same(ours, theirs)
