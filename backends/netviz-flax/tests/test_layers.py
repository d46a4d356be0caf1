"""Modules as layers: kinds, hyperparameters, weights, parameters."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from networks import Convolutional, Perceptron, Transformer
from torch import nn

import netviz_core as nv

R = nnx.Rngs(0)
RANDOM = np.random.default_rng(5)


def alone(module: nnx.Module) -> Any:
    return nv.wrap(nnx.Sequential(module))["layers.0"]


@pytest.mark.parametrize(
    ("module", "kind", "shape"),
    [
        (nnx.Linear(3, 4, rngs=R), "dense", (4, 3)),
        (nnx.Conv(4, 6, (5,), rngs=R), "conv1d", (6, 4, 5)),
        (nnx.Conv(4, 6, (3, 5), feature_group_count=2, rngs=R), "conv2d", (6, 2, 3, 5)),
        (nnx.Conv(4, 8, (3, 3), feature_group_count=4, rngs=R), "depthwise_conv2d", (8, 1, 3, 3)),
        (nnx.Conv(4, 6, (2, 3, 5), rngs=R), "conv3d", (6, 4, 2, 3, 5)),
        (nnx.ConvTranspose(4, 6, (3, 5), rngs=R), "conv2d_transpose", (6, 4, 3, 5)),
        (nnx.Embed(7, 3, rngs=R), "embedding", (7, 3)),
    ],
)
def test_kernels_have_our_axes(module: nnx.Module, kind: str, shape: tuple[int, ...]) -> None:
    layer = alone(module)
    assert layer.kind == kind
    assert layer.weights["kernel"].shape == shape
    new = RANDOM.normal(size=shape).astype("float32")
    layer.weights["kernel"].assign(new)
    np.testing.assert_array_equal(layer.weights["kernel"].numpy(), new)


@pytest.mark.parametrize("by_forward", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID", 1, ((0, 1), (2, 1))])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_is_that_of_pytorch(stride: int, padding: Any, by_forward: bool) -> None:
    """Its kernel and what is cut off, carried over, make the same numbers."""
    module = nnx.ConvTranspose(3, 4, (3, 2), stride, padding=padding, transpose_kernel=by_forward, rngs=R)
    module.bias.set_value(RANDOM.normal(size=4).astype("float32"))
    layer = alone(module)
    x = RANDOM.normal(size=(2, 5, 6, 3)).astype("float32")
    other = nn.ConvTranspose2d(3, 4, (3, 2), stride)
    nv.copy_weights(nnx.Sequential(module), nn.Sequential(other), {"layers.0": "0"})
    with torch.no_grad():
        whole = other(torch.from_numpy(np.moveaxis(x, -1, 1))).numpy()
    expected = np.broadcast_to(other.bias.detach().numpy()[:, None, None], (2, 4, 40, 40)).copy()
    expected[:, :, 10 : 10 + whole.shape[2], 10 : 10 + whole.shape[3]] = whole
    (top, bottom), (left, right) = layer.config["padding"]
    expected = expected[
        :, :, 10 + top : 10 + whole.shape[2] - bottom, 10 + left : 10 + whole.shape[3] - right
    ]
    np.testing.assert_allclose(np.moveaxis(module(x), -1, 1), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "kind", "config"),
    [
        (
            nnx.BatchNorm(4, momentum=0.9, epsilon=1e-3, rngs=R),
            "batch_norm",
            {"momentum": 0.1, "epsilon": 1e-3},
        ),
        (nnx.LayerNorm(4, rngs=R), "layer_norm", {"axis": -1, "epsilon": 1e-6}),
        (nnx.RMSNorm(4, rngs=R), "rms_norm", {"axis": -1}),
        (nnx.GroupNorm(4, num_groups=2, rngs=R), "group_norm", {"groups": 2}),
        (nnx.GroupNorm(4, num_groups=None, group_size=1, rngs=R), "instance_norm", {}),
        (nnx.InstanceNorm(4, rngs=R), "instance_norm", {}),
        (nnx.Dropout(0.3, rngs=R), "dropout", {"rate": 0.3}),
        (nnx.MultiHeadAttention(2, 4, rngs=R), "attention", {"heads": 2, "head_dim": 2}),
        (nnx.Conv(1, 1, (3,), padding="CAUSAL", rngs=R), "conv1d", {"padding": ((2, 0),), "stride": (1,)}),
        (nnx.Conv(1, 1, (2, 3), rngs=R), "conv2d", {"padding": ((0, 1), (1, 1))}),
        (nnx.RNN(nnx.GRUCell(3, 4, rngs=R), reverse=True), "gru", {"units": 4, "go_backwards": True}),
        (nnx.RNN(nnx.SimpleCell(3, 4, rngs=R)), "rnn", {"activation": "tanh"}),
    ],
)
def test_kinds_and_hyperparameters_are_in_our_words(
    module: nnx.Module, kind: str, config: dict[str, Any]
) -> None:
    layer = alone(module)
    assert layer.kind == kind
    assert {name: layer.config[name] for name in config} == config


class Sequence(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x)[0]


@pytest.mark.parametrize(
    ("cell", "make"), [(nnx.LSTMCell, nn.LSTM), (nnx.OptimizedLSTMCell, nn.LSTM), (nnx.GRUCell, nn.GRU)]
)
def test_gates_are_those_of_pytorch(cell: Any, make: Any) -> None:
    source, target = nnx.Sequential(nnx.RNN(cell(3, 4, rngs=R))), Sequence(make(3, 4, batch_first=True))
    layer = nv.wrap(source)["layers.0"]
    layer.weights["bias"].assign(RANDOM.normal(size=layer.weights["bias"].shape))
    own = nv.wrap(target)["layer"].weights
    own["recurrent_bias"].assign(np.zeros(own["recurrent_bias"].shape))
    for name, weight in layer.weights.items():
        own[name].assign(weight.numpy())
    x = RANDOM.normal(size=(2, 6, 3)).astype("float32")
    with torch.no_grad():
        np.testing.assert_allclose(source(x), target(torch.from_numpy(x)), atol=1e-5)


def test_a_bidirectional_layer_shows_both_directions() -> None:
    module = nnx.Bidirectional(*(nnx.RNN(nnx.GRUCell(3, 4, rngs=R)) for _ in range(2)))
    layer = alone(module)
    assert layer.kind == "gru"
    assert layer.weights["input_kernel_reverse"].shape == (3, 4, 3)


@pytest.mark.parametrize("make", [Convolutional, Perceptron, Transformer])
def test_parameters_are_counted_as_flax_counts_them(make: Any) -> None:
    model = make(nnx.Rngs(0))
    expected = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    summary = nv.summary(model)
    assert summary.total_parameters == expected
    assert next(iter(summary.rows)).path == ""


def test_layers_come_in_the_order_in_which_they_were_written() -> None:
    assert list(nv.wrap(Convolutional(nnx.Rngs(0))).layers) == ["", "conv1", "norm1", "conv2", "drop", "head"]


def test_a_model_known_by_its_shapes_alone_is_listed_and_says_that_it_has_no_values() -> None:
    model = nnx.eval_shape(lambda: Convolutional(nnx.Rngs(0)))
    weight = nv.wrap(model)["conv1"].weights["kernel"]
    assert weight.shape == (8, 3, 3, 3)
    with pytest.raises(nv.UnsupportedError, match="no values yet"):
        weight.numpy()
