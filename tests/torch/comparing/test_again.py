"""A model that does not return the same again: by chance, or in its last digits."""

from __future__ import annotations

import copy

import torch
from torch import nn

import netviz_core as nv

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


class Jitters(nn.Module):
    """Adds up in another order each time, as several threads may."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        CALLS.append(len(CALLS) + 1)
        return x * (1 + 1e-6 * torch.sin(CALLS[-1] * torch.arange(x.numel()).reshape(x.shape)))


CALLS: list[int] = []


class Drops(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.2, training=True)


def found_with(odd: nn.Module) -> nv.Comparison:
    torch.manual_seed(0)
    a = nn.Sequential(nn.Linear(8, 8), nn.Identity(), nn.Linear(8, 8)).eval()
    b = copy.deepcopy(a)
    b[1] = odd
    return nv.compare(a, b.eval(), X, tolerance=1e-7)


def test_what_differs_in_its_last_digits_is_not_called_random() -> None:
    (again,) = (cause for cause in found_with(Jitters()).causes if "again" in cause.text)
    assert again.name == "rounding"
    assert "to the last digit" in again.text
    assert "switch off what is random" not in again.text


def test_what_is_random_is_called_so() -> None:
    (again,) = (cause for cause in found_with(Drops()).causes if "again" in cause.text)
    assert again.name == "not deterministic"
