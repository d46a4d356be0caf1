"""A mapping is followed, or it is told why not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import netviz_core as nv

X = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))


class Adapted(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base, self.down = base, nn.Linear(8, 2, bias=False)
        self.up = nn.Linear(2, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x))


def models() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    a = nn.Sequential(Adapted(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))
    b = copy.deepcopy(a)
    b[0] = b[0].base
    return a, b


def told(mapping) -> list[str]:
    return [
        cause.text for cause in nv.compare(*models(), X, mapping=mapping).causes if cause.name == "mapping"
    ]


def test_what_holds_layers_is_a_pair_with_what_holds_none_if_it_is_named():
    found = nv.compare(*models(), X, mapping={"0": "0"})
    pair = found.pairs[0]
    assert (pair.path_a, pair.path_b, pair.evidence) == ("0", "0", ("given",))
    assert not any(cause.name == "mapping" for cause in found.causes)


def test_what_holds_layers_on_both_sides_is_compared_layer_by_layer():
    a, _ = models()
    found = nv.compare(a, copy.deepcopy(a), X, mapping={"0": "0"})
    (text,) = (cause.text for cause in found.causes if cause.name == "mapping")
    assert "a's '0' holds other layers, which are compared one by one" in text


@pytest.mark.parametrize("mapping", [{"0.base": "0"}, {"2": "2"}, {"*": "*"}, None])
def test_what_is_followed_is_not_told(mapping):
    if mapping == {"*": "*"}:
        a, _ = models()
        assert not [
            c for c in nv.compare(a, copy.deepcopy(a), X, mapping=mapping).causes if c.name == "mapping"
        ]
    else:
        assert told(mapping) == []
