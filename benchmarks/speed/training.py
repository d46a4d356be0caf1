"""What watching a training costs: as many steps as lie between two looks by default, bare and watched.

A look makes statistics of every layer's activations, weights and gradients; between looks nothing is done.
"""

from __future__ import annotations

import torch
from torch import nn

import netviz_torch

from ..torchvision_models import models
from .turns import Case, Ways

EVERY = 50


def resnet18(quick: bool) -> Ways:
    return _ways(models.resnet18(num_classes=10), torch.randn(16, 3, 64, 64), quick)


def transformer(quick: bool) -> Ways:
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    model = nn.Sequential(
        nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), _LastToken(), nn.Linear(128, 10)
    )
    return _ways(model, torch.randn(16, 64, 128), quick)


class _LastToken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, -1]


def _ways(model: nn.Module, x: torch.Tensor, quick: bool) -> Ways:
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    targets = torch.randint(0, 10, (len(x),))
    steps = 2 if quick else EVERY

    def train() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), targets).backward()
            optimizer.step()

    def watched() -> None:
        with netviz_torch.watch_training(model, optimizer, every=EVERY):
            train()

    return {"netviz": watched, "bare steps": train}


CASES = [
    Case(f"{EVERY} steps of a ResNet-18, one of them looked at", resnet18, {"bare steps": 1.03}),
    Case(f"{EVERY} steps of a small transformer, one of them looked at", transformer, {"bare steps": 1.03}),
]
