"""Activations and pools that are functions, before a dense layer: what one side does otherwise is named, and made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

Function = Callable[[torch.Tensor], torch.Tensor]


def nothing(x: torch.Tensor) -> torch.Tensor:
    return x


def mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3))


def largest(x: torch.Tensor) -> torch.Tensor:
    return x.amax((2, 3))


def adaptive(x: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def averages(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 4).flatten(1)


def maxima(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 4).flatten(1)


def maxima_of_three(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 3, 3).flatten(1)


def averages_of_three(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 3, 3).flatten(1)


def leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.1)


class Net(nn.Module):
    def __init__(self, act: Function, pool: Function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.act, self.pool = act, pool
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.fc = nn.LazyLinear(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        return self.fc(self.pool(self.act(self.norm2(self.conv2(x)))))


CASES = {
    "no relu before a mean": ((F.relu, mean), (nothing, mean), "activation", "mean along y and x of relu"),
    "no relu before an adaptive pool": ((F.relu, adaptive), (nothing, adaptive), "activation", "of relu"),
    "no relu before averages": ((nothing, averages), (F.relu, averages), "activation", "flattened, of relu"),
    "another activation": ((F.gelu, mean), (F.silu, mean), "activation", "gelu (exact)"),
    "another slope": ((leaky, mean), (F.relu, mean), "slope", "negative slope 0.1"),
    "largest instead of mean": ((F.relu, mean), (F.relu, largest), "pooling", "b the maximum along y and x"),
    "maxima instead of averages": ((F.relu, averages), (F.relu, maxima), "pooling", "b the maximum of 4 × 4"),
    "of three": ((F.gelu, maxima_of_three), (F.gelu, averages_of_three), "pooling", "b the average of 3 × 3"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("count", [1, 4])
def test_what_is_pooled_behind_an_activation_is_told(kind: str, count: int) -> None:
    (one, other, name, words), x = CASES[kind], torch.randn(count, 3, 8, 8)
    a, b = Net(*one).eval(), Net(*other).eval()
    with torch.no_grad():
        a(x), b(x)
    b.load_state_dict(a.state_dict())
    (fault,) = nv.compare(a, b, x).faults
    (cause,) = fault.causes
    assert (cause.name, cause.confirmed) == (name, True), cause.text
    assert words in cause.text
    assert "norm2" in cause.text
