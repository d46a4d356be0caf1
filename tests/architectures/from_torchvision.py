"""The smallest network of every family of torchvision, with random weights and the smallest pictures that it takes."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.torchvision_models import models

from .recipe import Architecture

SIDES = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "efficientnet_v2_s": 32,
    "googlenet": 32,
    "inception_v3": 75,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_x_400mf": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "resnext50_32x4d": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 32,
    "swin_v2_t": 32,
    "vgg11_bn": 32,
    "vit_b_16": 224,
    "wide_resnet50_2": 32,
}
DEEP = {"googlenet", "inception_v3"}
"""Of these the constructor asks whether weights are to be initialised slowly."""


def _network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"init_weights": False} if name in DEEP else {}
    return models.get_model(name, weights=None, num_classes=5, **options).eval()


def _pictures(side: int, count: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


IMAGE = [
    Architecture(f"torchvision {name}", partial(_network, name), partial(_pictures, side))
    for name, side in SIDES.items()
]
