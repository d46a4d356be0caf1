"""Random networks with one fault in a random place: found there, and never a clean bill of health.

``NETVIZ_FAULTS=1000 pytest tests/torch/comparing/test_random.py`` plants more of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import netviz_core as nv

from .faulty import (
    CHANNELS,
    IMAGES,
    SEQUENCES,
    AlwaysDrops,
    BrainPrecision,
    FlippedKernel,
    NormOverRows,
    StillTraining,
    conv,
    copied,
    norm,
    other_gates,
    pooling,
    settled,
    with_weight,
)

FAULTS = int(os.environ.get("NETVIZ_FAULTS", "100"))
WIDTH = 12


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        return x + (y[0] if isinstance(y, tuple) else y)


class Recurrent(nn.Module):
    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


ON_MAPS: dict[str, Callable[[], nn.Module]] = {
    "conv": conv,
    "wide": lambda: nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2),
    "grouped": lambda: conv(groups=2),
    "depthwise": lambda: conv(groups=CHANNELS),
    "norm": norm,
    "group norm": lambda: nn.GroupNorm(2, CHANNELS),
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "leaky": lambda: nn.LeakyReLU(0.1),
    "silu": nn.SiLU,
    "pool": pooling,
    "dropout": nn.Dropout,
    "identity": nn.Identity,
}
ON_STEPS: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: nn.Linear(WIDTH, WIDTH),
    "norm": lambda: nn.LayerNorm(WIDTH),
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "lstm": lambda: Recurrent(nn.LSTM(WIDTH, WIDTH, batch_first=True)),
    "gru": lambda: Recurrent(nn.GRU(WIDTH, WIDTH, batch_first=True)),
    "encoder": lambda: nn.TransformerEncoderLayer(WIDTH, 3, 24, batch_first=True),
    "dropout": nn.Dropout,
    "identity": nn.Identity,
}


@st.composite
def networks(draw, layers: dict[str, Callable[[], nn.Module]]) -> nn.Sequential:
    """Layers one after another, some of them within residual connections or another sequence."""
    parts = []
    for name in draw(st.lists(st.sampled_from(sorted(layers)), min_size=2, max_size=12)):
        part = layers[name]()
        around = draw(st.sampled_from(["nothing", "nothing", "residual", "sequence"]))
        if around == "residual":
            part = Residual(part)
        elif around == "sequence":
            part = nn.Sequential(part, layers[draw(st.sampled_from(sorted(layers)))]())
        parts.append(part)
    return nn.Sequential(*parts)


def like(layer: nn.Module, other: nn.Module) -> nn.Module:
    other.load_state_dict(layer.state_dict())
    return other.eval()


def faults_of(layer: nn.Module) -> dict[str, Callable[[], nn.Module]]:
    """What may be put in a layer's place."""
    found: dict[str, Callable[[], nn.Module]] = {}
    match layer:
        case nn.Conv2d():
            size = {"kernel_size": layer.kernel_size, "padding": layer.padding, "groups": layer.groups}
            channels = layer.in_channels, layer.out_channels
            found = {
                "reflect": lambda: like(layer, nn.Conv2d(*channels, **size, padding_mode="reflect")),
                "transposed": lambda: with_weight(copied(layer), lambda w: w.transpose(2, 3)),
                "no bias": lambda: with_weight(copied(layer), torch.zeros_like, "bias"),
            }
            if layer.groups == 1:
                found["flipped"] = lambda: like(layer, FlippedKernel(*channels, **size))
            if layer.groups == 1 and layer.padding == (1, 1):
                found["bfloat16"] = lambda: like(layer, BrainPrecision(*channels, **size))
        case nn.BatchNorm2d():
            found = {
                "epsilon": lambda: like(layer, norm(1e-2)),
                "training": lambda: like(layer, StillTraining(CHANNELS)),
                "axis": lambda: like(layer, NormOverRows(CHANNELS)),
            }
        case nn.GroupNorm():
            found = {
                "epsilon": lambda: like(layer, nn.GroupNorm(2, CHANNELS, 0.1)),
                "groups": lambda: like(layer, nn.GroupNorm(4, CHANNELS)),
            }
        case nn.LayerNorm():
            found = {"epsilon": lambda: like(layer, nn.LayerNorm(WIDTH, 0.1))}
        case nn.AvgPool2d():
            found = {
                "count": lambda: pooling(count_include_pad=False),
                "maximum": lambda: nn.MaxPool2d(3, 1, 1),
            }
        case nn.Linear():
            found = {"no bias": lambda: with_weight(copied(layer), torch.zeros_like, "bias")}
            if layer.in_features == layer.out_features:
                found["transposed"] = lambda: with_weight(copied(layer), lambda w: w.T)
        case nn.LSTM():
            found = {"gates": lambda: other_gates(copied(layer), (0, 2, 1, 3))}
        case nn.GRU():
            found = {"gates": lambda: other_gates(copied(layer), (1, 0, 2))}
        case nn.Dropout() | nn.Identity():
            found = {"drops": lambda: AlwaysDrops(0.5), "relu": nn.ReLU}
        case nn.ReLU() | nn.GELU() | nn.SiLU() | nn.Tanh() | nn.LeakyReLU():
            found = {"elu": nn.ELU, "slope": lambda: nn.LeakyReLU(0.3), "nothing": nn.Identity}
    if isinstance(layer, (nn.Conv2d, nn.Linear, nn.LayerNorm, nn.BatchNorm2d, nn.GroupNorm)):
        found["corrupted"] = lambda: with_weight(copied(layer), _with_one_more)
    return found


def _with_one_more(weight: torch.Tensor) -> torch.Tensor:
    weight.view(-1)[weight.numel() // 2] += 1
    return weight


def places(model: nn.Module) -> list[tuple[str, str]]:
    """Where a fault can be planted, and which."""
    return [
        (path, name)
        for path, layer in model.named_modules()
        # An attention does not call what it holds, and an encoder calls functions in the place of some.
        if "self_attn" not in path
        for name in faults_of(layer)
    ]


def returned(model: nn.Module, path: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a layer and the whole model return, with the same random numbers each time."""
    seen = []
    handle = model.get_submodule(path).register_forward_hook(lambda module, x, y: seen.append(y))
    torch.manual_seed(0)
    with torch.no_grad():
        whole = model(x)
    handle.remove()
    return (seen[-1][0] if isinstance(seen[-1], tuple) else seen[-1]), whole


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    size = ((a.square().mean() + b.square().mean()) / 2).sqrt()
    return float(((a - b).abs() / (size + b.abs() + 1e-20)).max())


@st.composite
def pairs(draw) -> tuple[nn.Module, nn.Module, str, str, torch.Tensor]:
    """Two networks that are equal but for one layer, its path, what is wrong with it, and an input."""
    layers, x, start = draw(
        st.sampled_from(
            [
                (ON_MAPS, IMAGES, nn.Conv2d(3, CHANNELS, 3, padding=1)),
                (ON_STEPS, SEQUENCES, nn.Linear(WIDTH, WIDTH)),
            ]
        )
    )
    right = settled(nn.Sequential(copied(start), draw(networks(layers))), draw(st.integers(0, 99)))
    path, name = draw(st.sampled_from(places(right)))
    wrong = copied(right)
    parent, _, own = path.rpartition(".")
    setattr(wrong.get_submodule(parent), own, faults_of(right.get_submodule(path))[name]().eval())
    return (right, wrong, path, name, x)


def test_a_random_fault_is_found_at_its_place() -> None:
    outcomes: list[str] = []

    @settings(max_examples=FAULTS, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(pairs(), st.booleans())
    def look(planted: tuple[nn.Module, nn.Module, str, str, torch.Tensor], turned: bool) -> None:
        right, wrong, path, name, x = planted
        (ours, out), (theirs, other) = (returned(model, path, x) for model in (right, wrong))
        # What has no effect, or next to none, is no fault on this input.
        if apart(ours, theirs) < 1e-3 or apart(out, other) < 1e-4:
            return
        found = nv.compare(wrong, right, x) if turned else nv.compare(right, wrong, x)
        assert found.first_divergence is not None, f"a clean bill of health with {name} at {path} of {right}"
        where = found.first_divergence.path_a, found.first_divergence.path_b
        outcomes.append("" if where == (path, path) else f"{name} at {path}, found at {where}: {right}")

    look()
    missed = [outcome for outcome in outcomes if outcome]
    assert len(outcomes) > FAULTS / 2
    assert len(missed) <= len(outcomes) / 100, missed[:3]
