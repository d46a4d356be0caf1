"""Axes are named after what lies along them. Every length here is one of a kind, so it tells which is which."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models


class Apply(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def axes_after(x: torch.Tensor, *modules: nn.Module | object) -> dict[str, int]:
    """Names and lengths of the axes of the last of some modules or functions."""
    layers = [module if isinstance(module, nn.Module) else Apply(module) for module in modules]
    last = str(len(layers) - 1)
    return nv.capture(nn.Sequential(*layers), x, last)[last].sizes


PICTURES = torch.randn(2, 3, 16, 20)
CONV = nn.Conv2d(3, 5, 3, padding=1)
CHANNELS_FIRST = {"batch": 2, "channel": 5, "y": 16, "x": 20}


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        ([], CHANNELS_FIRST),
        ([torch.relu], CHANNELS_FIRST),
        ([F.relu_, lambda x: x * 2 + 1, torch.sigmoid], CHANNELS_FIRST),
        ([nn.BatchNorm2d(5), nn.GroupNorm(1, 5), nn.Dropout(), nn.Identity()], CHANNELS_FIRST),
        ([lambda x: x + torch.ones(5, 1, 1)], CHANNELS_FIRST),
        ([lambda x: torch.ones(2, 5, 1, 1) + x], CHANNELS_FIRST),
        ([nn.MaxPool2d(2)], CHANNELS_FIRST | {"y": 8, "x": 10}),
        ([nn.AdaptiveAvgPool2d((7, 9))], CHANNELS_FIRST | {"y": 7, "x": 9}),
        ([nn.ZeroPad2d(1)], CHANNELS_FIRST | {"y": 18, "x": 22}),
        ([nn.ConvTranspose2d(5, 6, 2, stride=2)], {"batch": 2, "channel": 6, "y": 32, "x": 40}),
        ([lambda x: torch.cat([x, x], 1)], CHANNELS_FIRST | {"channel": 10}),
        ([lambda x: x[:, 1:4]], CHANNELS_FIRST | {"channel": 3}),
        ([lambda x: x.permute(0, 2, 3, 1)], CHANNELS_FIRST),
        ([lambda x: x.permute(0, 2, 3, 1), nn.LayerNorm(5), nn.Linear(5, 7)], CHANNELS_FIRST | {"channel": 7}),
        ([lambda x: x.movedim(1, -1).contiguous() * 2], CHANNELS_FIRST),
        ([lambda x: x.transpose(2, 3)], CHANNELS_FIRST),
        ([lambda x: x.mean((2, 3))], {"batch": 2, "channel": 5}),
        ([lambda x: x.mean((-2, -1), keepdim=True)], CHANNELS_FIRST | {"y": 1, "x": 1}),
        ([lambda x: x.amax(1)], {"batch": 2, "y": 16, "x": 20}),
        ([nn.AdaptiveAvgPool2d(1), lambda x: x.squeeze(-1).squeeze(-1)], {"batch": 2, "channel": 5}),
        ([nn.Flatten()], {"batch": 2, "channel": 1600}),
        ([lambda x: x.flatten(1)], {"batch": 2, "channel": 1600}),
        ([nn.Flatten(), nn.Linear(1600, 4), nn.ReLU()], {"batch": 2, "channel": 4}),
        ([lambda x: x.flatten(2).transpose(1, 2)], {"batch": 2, "axis1": 320, "channel": 5}),
        ([lambda x: x.flatten(2).transpose(1, 2), nn.Linear(5, 6)], {"batch": 2, "axis1": 320, "channel": 6}),
        ([lambda x: x.to(memory_format=torch.channels_last), nn.ReLU()], CHANNELS_FIRST),
    ],
)  # fmt: skip
def test_what_becomes_of_an_image(functions, expected):
    sizes = axes_after(PICTURES, CONV, *functions)
    assert sizes == expected
    if {"y", "x"} <= sizes.keys():
        assert list(sizes) in (["batch", "channel", "y", "x"], ["batch", "y", "x"])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.view(2, 20, 16, 5),
        lambda x: x.reshape(2, 16, 5, 20),
        lambda x: x.reshape(10, 16, 20),
        lambda x: torch.einsum("bcyx->xycb", x),
        lambda x: x.unfold(2, 4, 4),
        lambda x: x.transpose_(1, 3),
        lambda x: x.unsqueeze_(0),
        lambda x: x.resize_(20, 16, 5, 2),
        lambda x: x.set_(torch.zeros(20, 16, 5, 2)),
        lambda x: x.flatten().view(20, 16, 5, 2),
        lambda x: torch.fft.fft2(x).real.permute(3, 2, 1, 0).reshape(16, 20, 2, 5),
    ],
)
def test_what_is_scrambled_is_not_given_names_that_do_not_fit(function):
    """An axis may only bear a name that its length confirms."""
    named = {"batch": 2, "channel": 5, "y": 16, "x": 20}
    for name, size in axes_after(PICTURES, CONV, function).items():
        assert name.startswith("axis") or (name == "batch" and size != 2) or named[name] == size


@pytest.mark.parametrize(
    ("layer", "x", "leaf", "expected"),
    [
        (nn.Conv1d(3, 5, 3), torch.randn(2, 3, 9), "", {"batch": 2, "channel": 5, "x": 7}),
        (nn.Conv3d(3, 5, 1), torch.randn(2, 3, 7, 8, 9), "", {"batch": 2, "channel": 5, "z": 7, "y": 8, "x": 9}),
        (nn.Linear(3, 5), torch.randn(2, 3), "", {"batch": 2, "channel": 5}),
        (nn.Linear(3, 5), torch.randn(2, 7, 3), "", {"batch": 2, "axis1": 7, "channel": 5}),
        (nn.Embedding(9, 5), torch.zeros(2, 7, dtype=torch.long), "", {"batch": 2, "axis1": 7, "channel": 5}),
        (nn.LSTM(3, 5, batch_first=True), torch.randn(2, 7, 3), "#0", {"batch": 2, "time": 7, "channel": 5}),
        (nn.LSTM(3, 5), torch.randn(7, 2, 3), "#0", {"batch": 2, "time": 7, "channel": 5}),
        (nn.LSTM(3, 5, 4), torch.randn(7, 2, 3), "#1.0", {"axis0": 4, "batch": 2, "channel": 5}),
        (nn.GRU(3, 5, bidirectional=True), torch.randn(7, 2, 3), "#0", {"batch": 2, "time": 7, "channel": 10}),
        (nn.RNNCell(3, 5), torch.randn(2, 3), "", {"batch": 2, "channel": 5}),
        (nn.PReLU(), torch.randn(2, 3, 4, 5), "", {"batch": 2, "axis1": 3, "axis2": 4, "axis3": 5}),
        (nn.Identity(), torch.randn(2), "", {"batch": 2}),
        (nn.Flatten(), torch.randn(2, 3, 4), "", {"batch": 2, "channel": 12}),
    ],
)  # fmt: skip
def test_axes_from_the_layer_that_made_the_tensor(layer, x, leaf, expected):
    sizes = nv.capture(layer, x)[leaf or ""].sizes
    assert sizes == expected
    assert list(sizes) == list(expected)


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention(batch_first):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 3, batch_first=batch_first)

        def forward(self, x):
            return self.attention(x, x, x, average_attn_weights=False)

    x = torch.randn(2, 7, 6) if batch_first else torch.randn(7, 2, 6)
    captured = nv.capture(Model(), x)
    assert captured["attention#0"].sizes == {"batch": 2, "time": 7, "channel": 6}
    assert captured["attention#1"].axes == ("batch", "head", "query", "key")


class Sequences(nn.Module):
    """Features or tokens, and a layer that says of itself which of their axes are samples."""

    def __init__(self, embedding: nn.Module, layer: nn.Module) -> None:
        super().__init__()
        self.embedding, self.layer, self.head = embedding, layer, nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.layer(self.embedding(x))
        return self.head(made[0] if isinstance(made, tuple) else made)


LAYERS = {
    "recurrent": lambda **options: nn.LSTM(8, 8, **options),
    "attention": lambda **options: nn.TransformerEncoderLayer(8, 2, 16, **options),
}


@pytest.mark.parametrize("steps", [4, 7])
@pytest.mark.parametrize("is_tokens", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_steps_that_come_first_are_not_called_batch(layer, is_tokens, steps):
    """However many there are; whether a model transposes its input before such a layer is not known before it runs."""
    x = torch.randint(0, 9, (steps, 4)) if is_tokens else torch.rand(steps, 4, 6)
    for batch_first, leading in ((False, ("axis0", "axis1")), (True, ("batch", "axis1"))):
        embedding = nn.Embedding(9, 8) if is_tokens else nn.Linear(6, 8)
        model = Sequences(embedding, LAYERS[layer](batch_first=batch_first)).eval()
        given = x.transpose(0, 1) if batch_first else x
        with nv.recording(model) as recorded:
            model(given)
        captured = nv.capture(model, given)
        assert captured["embedding"].axes == (*leading, "channel")
        assert batch_first or recorded["embedding"].axes == (*leading, "channel")
    assert captured[""].axes[0] == recorded[""].axes[0] == "batch"


@pytest.mark.parametrize("layer", LAYERS)
def test_behind_a_layer_that_takes_steps_first_all_is_known(layer):
    model = Sequences(nn.Linear(6, 8), LAYERS[layer]()).eval()
    assert nv.capture(model, torch.rand(4, 4, 6))[""].axes == ("batch", "time", "channel")


def test_the_users_own_names():
    model = nn.Sequential(nn.Identity(), nn.Conv2d(3, 5, 1))
    names = {"0": ("batch", "y", "x", "channel")}
    captured = nv.capture(model, torch.randn(2, 3, 16, 20), axes=names)
    assert captured["0"].sizes == {"batch": 2, "y": 3, "x": 16, "channel": 20}
    assert captured["1"].sizes == {"batch": 2, "channel": 5, "y": 16, "x": 20}


def test_an_axis_array_brings_its_names():
    pictures = nv.images(np.zeros((2, 16, 20, 3), np.float32))
    assert nv.capture(nn.ReLU(), pictures)[""].sizes == {"batch": 2, "channel": 3, "y": 16, "x": 20}


@pytest.mark.parametrize(
    ("build", "height", "width"), [("swin_t", 64, 192), ("swin_v2_t", 64, 192), ("convnext_tiny", 64, 192)]
)
def test_channels_last_networks_are_never_labelled_channels_first(build, height, width):
    """A picture three times as wide as high stays so, whatever its channels do."""
    torch.manual_seed(0)
    captured = nv.capture(getattr(models, build)(weights=None), torch.randn(2, 3, height, width))
    images = [captured[key] for key in captured if {"y", "x"} <= set(captured[key].axes)]
    assert len(images) > 100
    for image in images:
        sizes = image.sizes
        assert image.axes == ("batch", "channel", "y", "x")
        assert sizes["batch"] == 2
        assert sizes["x"] == 3 * sizes["y"] or sizes["x"] == sizes["y"] == 1
    channels = {sizes["channel"] for sizes in (image.sizes for image in images)}
    assert channels <= {3, 96, 192, 288, 384, 576, 768, 1152, 1536, 2304, 3072, 4 * 96, 4 * 192, 4 * 384}


def test_a_vision_transformer():
    model = models.VisionTransformer(32, 8, 2, 3, 12, 24)
    captured = nv.capture(model, torch.randn(2, 3, 32, 32))
    assert captured["conv_proj"].sizes == {"batch": 2, "channel": 12, "y": 4, "x": 4}
    for layer in (
        "encoder.layers.encoder_layer_0.mlp.0",
        "encoder.layers.encoder_layer_1.ln_1",
        "encoder.ln",
    ):
        axes = captured[layer].axes
        assert (axes[0], axes[-1]) == ("batch", "channel")
        assert captured[layer].shape[:2] == (2, 17)
        assert axes[1] in ("time", "axis1")
    assert captured["encoder.layers.encoder_layer_0.self_attention#0"].sizes == {
        "batch": 2, "time": 17, "channel": 12,
    }  # fmt: skip
    assert captured["heads.head"].axes == ("batch", "channel")


@pytest.mark.parametrize("size", [(4, 4), (4, 1), (1, 4), (1, 1)])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("merge", "axes"),
    [
        (lambda x: x.flatten(2), ("batch", "channel", "axis2")),
        (lambda x: torch.flatten(x, start_dim=2).mT, ("batch", "axis1", "channel")),
        (lambda x: x.view(len(x), 8, -1), ("batch", "channel", "axis2")),
        (lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1, 8), ("batch", "axis1", "channel")),
        (lambda x: x.flatten(0, 1), ("axis0", "y", "x")),
        (lambda x: x.flatten(1), ("batch", "channel")),
    ],
)
def test_a_merged_axis_is_called_the_same_however_long_it_is(merge, axes, size, batch):
    class Merging(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.merged = nn.Conv2d(3, 8, 3, padding=1), nn.Identity()

        def forward(self, x):
            return self.merged(merge(self.conv(x)))

    assert nv.capture(Merging().eval(), torch.rand(batch, 3, *size), "merged")["merged"].axes == axes
