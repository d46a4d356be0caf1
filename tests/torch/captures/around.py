"""A model around one layer, which returns what a test wants, and to whose output a test does what it wants."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import netviz_core as nv

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Around(nn.Module):
    """A linear layer called ``layer``, whose output a function does something to."""

    def __init__(self, after: Callable[[torch.Tensor], object], layer: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4) if layer is None else layer
        self.after = after

    def forward(self, x):
        self.after(self.layer(x))
        return x * 1


class Returns(nn.Module):
    """A layer that returns whatever a function makes of its input."""

    def __init__(self, make: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def returned_by(make: Callable[[torch.Tensor], object]) -> nv.Capture:
    return nv.capture(Around(lambda output: None, Returns(make)), X, "layer")
