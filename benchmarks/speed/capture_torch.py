"""What a capture of every layer costs beside the bare forward pass, and beside hooks written by hand.

The hooks clone what each module returns: the least that keeps values right. netviz does all it always does:
modes, state, axes, coverage.
"""

from __future__ import annotations

import torch
from torch import nn

import netviz_core as nv

from ..torchvision_models import models
from .turns import Case, Ways


def resnet50(quick: bool) -> Ways:
    return _ways(resnet(quick), pictures(4, quick))


def resnet18(quick: bool) -> Ways:
    return _ways(models.resnet18().eval(), torch.randn(1, 3, 64, 64))


def resnet(quick: bool) -> nn.Module:
    """A ResNet-50, or something small like it."""
    return (models.resnet18() if quick else models.resnet50()).eval()


def pictures(count: int, quick: bool) -> torch.Tensor:
    """As ImageNet's, or small ones."""
    side = 32 if quick else 224
    return torch.randn(count, 3, side, side)


def _ways(model: nn.Module, x: torch.Tensor) -> Ways:
    return {
        "netviz": lambda: nv.capture(model, x),
        "bare pass": lambda: forward(model, x),
        "hooks": lambda: by_hand(model, x),
    }


def forward(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A pass, as everybody makes one."""
    with torch.no_grad():
        return model(x)


def by_hand(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each module returns, as tutorials get it."""
    captured: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(
            lambda module, args, output, path=path: captured.update({path: output.detach().clone()})
        )
        for path, module in model.named_modules()
    ]
    forward(model, x)
    for handle in handles:
        handle.remove()
    return captured


CASES = [
    Case("capture, all modules of ResNet-50, batch 4", resnet50, {"bare pass": 1.20}),
    Case("capture, all modules of ResNet-18, 64 × 64, batch 1", resnet18, {"hooks": 1.25}),
]
