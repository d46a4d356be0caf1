"""PyTorch's modules in netviz' words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

from ..small import X, small_cnn


class MyConv(nn.Conv2d):
    """A user's own subclass."""


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(3, 2))
        self.register_buffer("offset", torch.zeros(2))

    def forward(self, x):
        return x * self.factor.sum() + self.offset.sum()


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Conv1d(1, 2, 3), "conv1d"),
        (nn.Conv2d(1, 2, 3), "conv2d"),
        (MyConv(1, 2, 3), "conv2d"),
        (nn.Conv3d(1, 2, 3), "conv3d"),
        (nn.Conv1d(2, 4, 3, groups=2), "depthwise_conv1d"),
        (nn.Conv2d(4, 4, 3, groups=4), "depthwise_conv2d"),
        (nn.Conv2d(4, 4, 3, groups=2), "conv2d"),
        (nn.ConvTranspose2d(1, 2, 3), "conv2d_transpose"),
        (nn.Linear(2, 3), "dense"),
        (nn.Embedding(5, 2), "embedding"),
        (nn.BatchNorm1d(2), "batch_norm"),
        (nn.SyncBatchNorm(2), "batch_norm"),
        (nn.LayerNorm(2), "layer_norm"),
        (nn.GroupNorm(1, 2), "group_norm"),
        (nn.InstanceNorm2d(2), "instance_norm"),
        (nn.RMSNorm(2), "rms_norm"),
        (nn.LSTM(2, 3), "lstm"),
        (nn.GRU(2, 3), "gru"),
        (nn.RNN(2, 3), "rnn"),
        (nn.MultiheadAttention(4, 2), "attention"),
        (nn.GELU(), "activation"),
        (nn.Softmax(-1), "activation"),
        (nn.AdaptiveAvgPool2d(1), "pool"),
        (nn.Dropout2d(), "dropout"),
        (nn.Flatten(), "reshape"),
        (nn.Identity(), "other"),
        (nn.Sequential(), "container"),
        (nn.TransformerEncoderLayer(4, 2), "container"),
        (Scale(), "other"),
    ],
)
def test_kind(module, kind):
    assert nv.wrap(module)[""].kind == kind


def test_layers_come_under_pytorchs_own_names():
    model = nn.ModuleDict({"a": small_cnn(), "b": nn.Linear(2, 2)})
    assert list(nv.wrap(model).layers) == [name for name, _ in model.named_modules()]


def test_a_layer_in_several_places_comes_once():
    shared = nn.Linear(2, 2)
    assert list(nv.wrap(nn.Sequential(shared, nn.ReLU(), shared)).layers) == ["", "0", "1"]


def test_weights_have_canonical_names_axes_and_values():
    model = small_cnn()
    weights = nv.wrap(model)["0"].weights
    assert {name: weight.axes for name, weight in weights.items()} == {
        "kernel": ("out", "in", "y", "x"),
        "bias": ("out",),
    }
    np.testing.assert_array_equal(weights["kernel"].numpy(), model[0].weight.detach().numpy())
    assert weights["kernel"].shape == (4, 1, 3, 3)
    assert weights["kernel"].native_name == "weight"
    norm = nv.wrap(model)["1"].weights
    assert list(norm) == ["scale", "bias", "running_mean", "running_variance"]
    assert [weight.trainable for weight in norm.values()] == [True, True, False, False]


def test_a_transposed_convolution_is_out_by_in():
    layer = nn.ConvTranspose2d(4, 6, 3, groups=2)
    kernel = nv.wrap(layer)[""].weights["kernel"]
    assert kernel.axes == ("out", "in", "y", "x")
    assert kernel.shape == (6, 2, 3, 3)
    native = layer.weight.detach().numpy()
    for out in range(6):
        group, within = divmod(out, 3)
        np.testing.assert_array_equal(kernel.numpy()[out], native[group * 2 : group * 2 + 2, within])


def test_recurrent_weights_are_taken_apart_by_gate():
    layer = nn.LSTM(3, 5, num_layers=2, bidirectional=True)
    weights = nv.wrap(layer)[""].weights
    assert weights["input_kernel"].axes == ("gate", "out", "in")
    assert weights["input_kernel"].shape == (4, 5, 3)
    np.testing.assert_array_equal(
        weights["recurrent_kernel_l1_reverse"].numpy()[2], layer.weight_hh_l1_reverse.detach().numpy()[10:15]
    )


def test_attention_is_taken_apart_by_head():
    layer = nn.MultiheadAttention(8, 2)
    weights = nv.wrap(layer)[""].weights
    np.testing.assert_array_equal(
        weights["key_kernel"].numpy()[1], layer.in_proj_weight.detach().numpy()[12:16]
    )
    assert weights["value_bias"].shape == (2, 4)


def test_a_custom_layer_keeps_its_own_names():
    weights = nv.wrap(Scale())[""].weights
    assert {name: weight.axes for name, weight in weights.items()} == {
        "factor": ("axis0", "axis1"),
        "offset": ("axis0",),
    }


def test_numpy_is_a_copy_of_its_own():
    model = nn.Linear(2, 2)
    weight = nv.wrap(model)[""].weights["kernel"]
    before = weight.numpy()
    with torch.no_grad():
        model.weight.zero_()
    assert before.any()
    assert not weight.numpy().any()
    before[:] = 3
    assert not model.weight.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn])
def test_narrow_floats_widen_and_doubles_stay(dtype):
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(layer.weight.detach().to(dtype), requires_grad=False)
    weight = nv.wrap(layer)[""].weights["kernel"]
    assert weight.numpy().dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert weight.dtype == str(dtype).removeprefix("torch.")
    np.testing.assert_array_equal(weight.numpy(), layer.weight.to(weight_dtype(dtype)).numpy())


def weight_dtype(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


def test_config_speaks_one_vocabulary():
    conv = nv.wrap(nn.Conv2d(2, 4, 3, stride=2, padding=1, dilation=2))[""].config
    assert conv["stride"] == (2, 2)
    assert conv["padding"] == ((1, 1), (1, 1))
    assert conv["dilation"] == (2, 2)
    assert nv.wrap(nn.BatchNorm2d(3, eps=1e-3))[""].config["epsilon"] == 1e-3
    assert nv.wrap(nn.LeakyReLU(0.3))[""].config == {"negative_slope": 0.3, "activation": "leaky_relu"}
    assert nv.wrap(nn.Dropout(0.3))[""].config["rate"] == 0.3


def test_a_model_without_values_is_listed_but_not_run():
    with torch.device("meta"):
        model = small_cnn()
    assert nv.wrap(model)["0"].weights["kernel"].shape == (4, 1, 3, 3)
    with pytest.raises(nv.UnsupportedError, match="to_empty"):
        nv.kernels(model, "0")
    with pytest.raises(nv.UnsupportedError, match="meta device"):
        nv.capture(model, X)
    lazy = nn.Sequential(nn.LazyLinear(3))
    assert dict(nv.wrap(lazy)["0"].weights) == {}
    with pytest.raises(nv.UnsupportedError, match="not initialised"):
        nv.capture(lazy, X)
