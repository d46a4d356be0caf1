"""Memory that nobody wrote holds any bits: signalling NaN, too, of which NumPy warns in most that it does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

QUIET, SIGNALLING, INFINITE = 0x7FC00000, 0x7F800001, 0x7F800000
X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Odd(nn.Module):
    """Returns what it is given, where every seventh value is made of other bits."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return written(x.clone(), self.bits)


def written(values: torch.Tensor, bits: int) -> torch.Tensor:
    values.view(torch.int32).reshape(-1)[::7] = bits
    return values


def network(odd: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), odd, nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(288, 4)
    )


def with_odd_weight(bits: int) -> nn.Module:
    model = network(nn.Identity())
    written(model[2].weight.data, bits)
    return model


CALLS: dict[str, Callable[[int], Any]] = {
    "statistics": lambda bits: nv.statistics(network(Odd(bits)), [X], progress=False),
    "statistics of many": lambda bits: nv.statistics(
        network(Odd(bits)), [X.repeat(9, 1, 1, 1)], progress=False
    ),
    "health": lambda bits: nv.health(network(Odd(bits)), X),
    "health with gradients": lambda bits: nv.health(
        with_odd_weight(bits), X, targets=torch.tensor([0, 1, 2]), loss="cross_entropy"
    ),
    "feature maps": lambda bits: nv.feature_maps(network(Odd(bits)), "1", X).plot(),
    "kernels": lambda bits: nv.kernels(with_odd_weight(bits), "2").plot(),
    "histogram": lambda bits: nv.histogram(with_odd_weight(bits), "2").plot(),
    "histograms": lambda bits: nv.histograms(with_odd_weight(bits)).plot(),
    "similarity": lambda bits: nv.similarity(
        network(nn.Identity()), network(Odd(bits)), X.repeat(2, 1, 1, 1)
    ),
    "top losses": lambda bits: nv.top_losses(
        with_odd_weight(bits), 2, [(X, torch.tensor([0, 1, 2]))], loss="cross_entropy"
    ),
    "comparison": lambda bits: str(nv.compare(network(nn.Identity()), network(Odd(bits)), X, progress=False)),
    "comparison of weights": lambda bits: str(
        nv.compare(network(nn.Identity()), with_odd_weight(bits), X, progress=False)
    ),
}


@pytest.mark.parametrize("bits", [QUIET, SIGNALLING, INFINITE])
@pytest.mark.parametrize("call", CALLS)
def test_odd_bits_are_told_and_nothing_warns(call: str, bits: int) -> None:
    CALLS[call](bits)


@pytest.mark.parametrize("bits", [QUIET, SIGNALLING])
@pytest.mark.parametrize("repeats", [1, 9])
def test_every_nan_is_counted_whatever_its_bits(bits: int, repeats: int) -> None:
    x = X.repeat(repeats, 1, 1, 1)
    found = nv.statistics(network(Odd(bits)), [x], layers=["1"], progress=False)["1"]
    assert found.nan_count == int(np.isnan(nv.capture(network(Odd(bits)), x)["1"].values).sum())
    assert found.nan_count == -(-8 * 64 * 3 * repeats // 7)
