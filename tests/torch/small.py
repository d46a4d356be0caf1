"""Small PyTorch networks for the tests."""

from __future__ import annotations

import torch
from torch import nn


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 5),
    )


X = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8)
