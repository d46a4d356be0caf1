"""Parameters and multiply-accumulates are those of the network that was exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest
import torch
from networks import lively
from onnx import helper
from small import model
from torch import nn

import netviz_core as nv
from netviz_onnx import running


class Dense(nn.Module):
    """What each layer made is joined to all before, as in a DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 4 * n, 4, 3, padding=1, bias=False) for n in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.cat([x, norm(layer(x)).relu()], 1)
        return x


class Squeezed(nn.Module):
    """Channels weighed by what they have, as in an EfficientNet; its gate is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.deep = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 16, 3, stride=2, groups=8)
        self.down, self.up, self.pool = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.deep(self.wide(x)))
        for _ in range(2):
            x = x * self.up(self.down(self.pool(x)).relu()).sigmoid()
        return x


class Mixing(nn.Module):
    """Dense layers over places and over channels in turn, as in a Mixer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 8, 4, stride=4), nn.LayerNorm(8)
        self.places = nn.Sequential(nn.Linear(16, 12), nn.GELU(), nn.Linear(12, 16))
        self.channels, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.places(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return self.head(self.channels(x).mean(1))


def deep_recurrent() -> nn.Module:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.rnn = nn.Embedding(20, 6), nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, 20)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(self.table(tokens))[0])

    return Deep()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "joined": (Dense, lambda: torch.randn(2, 3, 16, 16)),
    "squeezed": (Squeezed, lambda: torch.randn(2, 3, 16, 16)),
    "mixing": (Mixing, lambda: torch.randn(2, 3, 16, 16)),
    "recurrent": (deep_recurrent, lambda: torch.randint(0, 20, (2, 7))),
    "volumes": (
        lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.PReLU(4), nn.ConvTranspose3d(4, 2, 2, stride=2)),
        lambda: torch.randn(2, 2, 5, 6, 7),
    ),
    "signals": (
        lambda: nn.Sequential(nn.Conv1d(3, 6, 5, dilation=2), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(72, 4)),
        lambda: torch.randn(2, 3, 20),
    ),
}  # fmt: skip
"""By name: what makes the network, and what makes an input."""


@pytest.mark.parametrize("is_newer", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_those_of_the_source(name: str, is_newer: bool, export: Any) -> None:
    make, example = NETWORKS[name]
    torch.manual_seed(0)
    module, x = lively(make()), example()
    exported = nv.summary(export(module, x, opset=18 if is_newer else 17), x.numpy())
    source = nv.summary(module, x)
    assert exported.total_parameters == source.total_parameters
    assert exported.multiply_accumulates == source.multiply_accumulates


def test_what_runs_is_small_however_large_the_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 2 GB no graph can hold, one with functions neither."""
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    body = helper.make_function(
        "own", "Act", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], imports[:1]
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Act", ["m"], ["y"], domain="own"),
    ]
    w = torch.randn(512, 1024).numpy()
    native = model(nodes, {"x": ["n", 512]}, ["y"], {"w": w}, functions=[body], opset_imports=imports)
    sizes, made = [], running._made
    monkeypatch.setattr(
        running,
        "_made",
        lambda held, part: sizes.append((held.model.ByteSize(), part.ByteSize())) or made(held, part),
    )
    captured = nv.capture(native, torch.ones(2, 512).numpy())
    assert captured["Relu"].shape == (2, 1024)
    assert sizes
    assert all(max(pair) < 10_000 for pair in sizes)
    nv.wrap(native)["MatMul"].weights["kernel"].assign(w.T * 0)
    assert not nv.capture(native, torch.ones(2, 512).numpy())["Relu"].values.any()


def test_a_stored_weight_of_any_dtype_that_was_changed_counts_in_the_next_pass() -> None:
    table = torch.arange(4000, dtype=torch.int64).reshape(1000, 4).numpy()
    nodes = [helper.make_node("Gather", ["w", "x"], ["y"])]
    native = model(nodes, {"x": ["n"]}, ["y"], {"w": table}, dtype=onnx.TensorProto.INT64)
    first = nv.capture(native, torch.tensor([1]).numpy())[""].values
    native.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(table + 1, "w"))
    assert (nv.capture(native, torch.tensor([1]).numpy())[""].values == first + 1).all()
