"""What statistics over a data set cost beside the bare loop over it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

import netviz_core as nv

from ..torchvision_models import models
from .capture_torch import forward, pictures, resnet
from .turns import Case, Ways

BATCHES = 3


def small(quick: bool) -> Ways:
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    return _ways(model.eval(), torch.randn(16, 3, 32, 32))


def convolutions(quick: bool) -> Ways:
    return _ways(resnet(quick), pictures(8, quick), lambda layer: layer.kind == "conv2d")


def modules(quick: bool) -> Ways:
    return _ways(resnet(quick), pictures(8, quick))


def vgg(quick: bool) -> Ways:
    return _ways((models.vgg11() if quick else models.vgg16()).eval(), pictures(4, quick))


def encoder(quick: bool) -> Ways:
    layer = nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
    model = nn.TransformerEncoder(layer, 2 if quick else 6, enable_nested_tensor=False)
    return _ways(model.eval(), torch.randn(16, 8 if quick else 128, 512))


def _ways(model: nn.Module, x: torch.Tensor, layers: str | Callable[..., bool] = "*") -> Ways:
    def bare() -> None:
        for _ in range(BATCHES):
            forward(model, x)

    return {
        "netviz": lambda: nv.statistics(model, (x for _ in range(BATCHES)), layers, progress=False),
        "bare loop": bare,
    }


CASES = [
    Case("statistics, a small CNN, batch 16", small, {"bare loop": 2.0}),
    Case("statistics, convolutions of ResNet-50, batch 8", convolutions, {"bare loop": 1.3}),
    Case("statistics, all modules of ResNet-50, batch 8", modules, {"bare loop": 1.8}),
    Case("statistics, all modules of VGG16, batch 4", vgg),
    Case("statistics, all modules of a transformer encoder, batch 16", encoder),
]
