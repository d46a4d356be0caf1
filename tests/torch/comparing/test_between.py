"""What is done between layers: told by what both sides make of the same earlier values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

from .faulty import copied, numbers, settled

FEATURES, STEPS = 16, 6


def only_fault(a: nn.Module, b: nn.Module, *shape: int) -> Any:
    x = numbers(*shape)
    found = nv.compare(a, b, (x, x.to(next(b.parameters()).dtype)))
    assert len(found.faults) == 1, found
    (cause,) = found.faults[0].causes
    return cause


class Residual(nn.Module):
    """Two blocks with residuals of their own, and how the first one is made."""

    def __init__(self, join: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.start = nn.Linear(FEATURES, FEATURES)
        self.norms = nn.ModuleList(nn.LayerNorm(FEATURES) for _ in range(3))
        self.layers = nn.ModuleList(nn.Linear(FEATURES, FEATURES) for _ in range(2))
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.start(x)
        normed = self.norms[0](x)
        x = self.join(x, self.layers[0](normed), normed)
        x = x + self.layers[1](self.norms[1](x))
        end: torch.Tensor = self.norms[2](x)
        return end


JOINS: dict[str, tuple[Callable[..., torch.Tensor], str, str]] = {
    "scaled": (lambda x, y, normed: x + 0.5 * y, "scale", "0.5 × what 'layers.0' returned"),
    "subtracted": (lambda x, y, normed: x - y, "scale", "b what 'start' returned − what 'layers.0' returned"),
    "odd factor": (lambda x, y, normed: x + 0.3333 * y, "scale", "0.333"),
    "halved in power": (lambda x, y, normed: (x + y) / 2**0.5, "scale", "0.7071 × what 'layers.0' returned"),
    "missing": (lambda x, y, normed: y, "addition", "b what 'layers.0' returned"),
    "missing branch": (lambda x, y, normed: x, "addition", "b what 'start' returned"),
    "of another place": (lambda x, y, normed: normed + y, "order of layers", "'norms.0' returned"),
    "gated": (lambda x, y, normed: x + y + normed, "addition", "'norms.0' returned"),
}


@pytest.mark.parametrize("kind", JOINS)
def test_a_residual(kind: str) -> None:
    """What the second block hands on of it is no fault of its own."""
    join, name, words = JOINS[kind]
    a = settled(Residual(lambda x, y, normed: x + y))
    b = copied(a)
    b.join = join
    cause = only_fault(a, b, 8, FEATURES)
    assert (cause.name, cause.confirmed) == (name, True), cause.text
    assert words in cause.text


def test_a_residual_in_narrow_floats() -> None:
    a = settled(Residual(lambda x, y, normed: x + y))
    b = copied(a)
    b.join = lambda x, y, normed: x + 0.5 * y
    b = b.bfloat16()
    cause = only_fault(a, b, 8, FEATURES)
    assert (cause.name, cause.confirmed) == ("scale", True), cause.text
    assert "0.5 × what 'layers.0' returned" in cause.text


class Gated(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(FEATURES, 24), nn.Linear(FEATURES, 24)
        self.down = nn.Linear(24, FEATURES)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down: torch.Tensor = self.down(self.function(self.gate(x)) * self.up(x))
        return down


@pytest.mark.parametrize(
    "other", [torch.nn.Identity(), F.gelu, torch.sigmoid], ids=["none", "gelu", "sigmoid"]
)
def test_the_function_of_a_gate(other: Callable[[torch.Tensor], torch.Tensor]) -> None:
    a = settled(Gated(F.silu))
    b = copied(a)
    b.function = other
    cause = only_fault(a, b, 8, FEATURES)
    assert (cause.name, cause.confirmed) == ("activation", True), cause.text
    assert "silu of what 'gate' returned, times what 'up' returned" in cause.text


class Reduces(nn.Module):
    def __init__(self, reduce: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(3, FEATURES, 3), nn.Linear(FEATURES, 4)
        self.reduce = reduce

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        head: torch.Tensor = self.head(self.reduce(self.conv(x)))
        return head


@pytest.mark.parametrize(
    ("other", "name", "words"),
    [
        (lambda x: x.amax(-1), "pooling", "the maximum along"),
        (lambda x: x.sum(-1), "pooling", "the sum along"),
        (lambda x: x[..., -1], "pooling", "the last place along"),
    ],
    ids=["maximum", "sum", "last"],
)
def test_what_is_read_along_an_axis(
    other: Callable[[torch.Tensor], torch.Tensor], name: str, words: str
) -> None:
    a = settled(Reduces(lambda x: x.mean(-1)))
    b = copied(a)
    b.reduce = other
    cause = only_fault(a, b, 4, 3, 12)
    assert (cause.name, cause.confirmed) == (name, True), cause.text
    assert "the mean along" in cause.text
    assert words in cause.text


def test_the_first_place_for_the_last() -> None:
    a = settled(Reduces(lambda x: x[..., -1]))
    b = copied(a)
    b.reduce = lambda x: x[..., 0]
    cause = only_fault(a, b, 4, 3, 12)
    assert (cause.name, cause.confirmed) == ("order", True), cause.text
    assert "first place" in cause.text
    assert "last place" in cause.text


@dataclass
class Mix:
    """An attention with settings of its own."""

    heads: int = 4
    kept: int = 4
    scale: float | None = None
    causal: bool = False
    axis: int = -1
    pairs: str = ""
    base: float = 1e4
    tiled: bool = False

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        size = q.shape[-1] // self.heads
        q, k, v = (part.unflatten(-1, (-1, size)).transpose(1, 2) for part in (q, k, v))
        if self.pairs:
            q, k = (self._turned(part) for part in (q, k))
        count = self.heads // k.shape[1]
        k, v = (p.repeat(1, count, 1, 1) if self.tiled else p.repeat_interleave(count, 1) for p in (k, v))
        scores = q @ k.mT * (size**-0.5 if self.scale is None else self.scale)
        if self.causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), float("-inf"))
        return (scores.softmax(self.axis) @ v).transpose(1, 2).flatten(2)

    def _turned(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        angles = torch.arange(x.shape[-2])[:, None] * self.base ** (-torch.arange(0, size, 2) / size)
        if self.pairs == "half":
            one, other = x.chunk(2, -1)
        else:
            one, other = x[..., ::2], x[..., 1::2]
        turned = one * angles.cos() - other * angles.sin(), other * angles.cos() + one * angles.sin()
        turned = turned[0].to(x.dtype), turned[1].to(x.dtype)
        return torch.cat(turned, -1) if self.pairs == "half" else torch.stack(turned, -1).flatten(-2)


class Attends(nn.Module):
    def __init__(self, mix: Mix) -> None:
        super().__init__()
        self.q, self.o = nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, FEATURES)
        kept = FEATURES * mix.kept // mix.heads
        self.k, self.v = nn.Linear(FEATURES, kept), nn.Linear(FEATURES, kept)
        self.mix = mix

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.o(self.mix(self.q(x), self.k(x), self.v(x)))
        return mixed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ({}, {"scale": 1.0}, "scale"),
        ({}, {"causal": True}, "mask"),
        ({}, {"axis": -2}, "axis"),
        ({"kept": 4}, {"heads": 2, "kept": 2}, "heads"),
        ({"kept": 2}, {"kept": 2, "tiled": True}, "heads"),
        ({"pairs": "half"}, {"pairs": "interleaved"}, "rotary"),
        ({"pairs": "half"}, {"pairs": "half", "base": 5e5}, "rotary"),
        ({"pairs": "half"}, {}, "rotary"),
    ],
    ids=["scale", "mask", "axis", "heads", "tiled", "pairs", "base", "no positions"],
)
def test_attention_of_ones_own(
    one: dict[str, Any], other: dict[str, Any], name: str, dtype: torch.dtype
) -> None:
    a = settled(Attends(Mix(**one)))
    with torch.no_grad():
        for parameter in a.parameters():
            parameter.mul_(2)  # so that it matters what is looked at
    b = copied(a)
    b.mix = Mix(**other)
    cause = only_fault(a, b.to(dtype), 4, STEPS, FEATURES)
    assert (cause.name, cause.confirmed) == (name, True), cause.text


def test_groups() -> None:
    """Their kernels are of other shapes, so that the layers are no pair."""
    a, b = (
        settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=groups), nn.Conv2d(8, 4, 3)))
        for groups in (1, 2)
    )
    for place in (0, 2):
        b[place].load_state_dict(a[place].state_dict())
    found = nv.compare(a, b, numbers(2, 3, 12, 12))
    assert "groups" in [cause.name for cause in found.faults[0].causes], found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda kernel: kernel.flip(2, 3), "flipped kernel"),
        (lambda kernel: kernel.mT, "transposed kernel"),
        (lambda kernel: kernel[[2, 0, 3, 1, 5, 4, 7, 6]], "row order"),
    ],
    ids=["flipped", "transposed", "rows"],
)
def test_weights_that_were_changed_and_rounded(
    change: Callable[[torch.Tensor], torch.Tensor], name: str, dtype: torch.dtype
) -> None:
    a = settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3, bias=False), nn.ReLU()))
    b = copied(a)
    with torch.no_grad():
        b[0].weight.copy_(change(a[0].weight))
    cause = only_fault(a, b.to(dtype), 2, 3, 10, 10)
    assert (cause.name, cause.confirmed) == (name, True), cause.text


@pytest.mark.parametrize("wrong", ["q", "k"])
@pytest.mark.parametrize("kept", [2, 4])
def test_queries_alone_in_a_wrong_order_for_another_rotary_embedding(wrong: str, kept: int) -> None:
    a = settled(Attends(Mix(pairs="half", kept=kept)))
    b = copied(a)
    b.mix = Mix(pairs="interleaved", kept=kept)
    size = FEATURES // b.mix.heads
    within = torch.arange(size).reshape(2, -1).T.flatten()
    with torch.no_grad():
        for layer in (b.q, b.k):
            order = torch.cat([within + start for start in range(0, layer.out_features, size)])
            layer.weight.copy_(layer.weight[order])
            layer.bias.copy_(layer.bias[order])
    x = numbers(4, STEPS, FEATURES)
    assert nv.compare(a, b, x).agrees
    layer = getattr(b, wrong)
    with torch.no_grad():
        order = torch.randperm(layer.out_features, generator=torch.Generator().manual_seed(0))
        layer.weight.copy_(layer.weight[order])
        layer.bias.copy_(layer.bias[order])
    found = nv.compare(a, b, x)
    assert [fault.path_b for fault in found.faults] == [wrong], found
    right = next(pair for pair in found.pairs if pair.path_b == "qk".replace(wrong, ""))
    assert right.status == "compensated"
    assert found.faults[0].causes[0].name == "row order"


@pytest.mark.parametrize("name", ["offset", "order of subtraction"])
def test_what_is_added_for_each_channel_and_what_is_taken_from_what(name: str) -> None:
    added = torch.linspace(-1, 2, FEATURES)
    ours, theirs = (
        (lambda x, y, normed: (x * y).sin() + added, lambda x, y, normed: (x * y).sin())
        if name == "offset"
        else (lambda x, y, normed: x - y, lambda x, y, normed: y - x)
    )
    a = settled(Residual(ours))
    b = copied(a)
    b.join = theirs
    cause = only_fault(a, b, 4, STEPS, FEATURES)
    assert (cause.name, cause.confirmed) == (name, True), cause.text
    assert ("channel by channel, 1; 0.8; 0.6; …, as a bias is" in cause.text) == (name == "offset")
