"""What the histograms of all kernels of a ResNet-50 cost, from the model to pixels, beside a ``plt.hist`` for each."""

from __future__ import annotations

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from torch import nn

import netviz_core as nv

from .capture_torch import resnet
from .turns import Case, Ways

BINS = 50


def drawn(quick: bool) -> Ways:
    model = resnet(quick)
    return {
        "netviz": lambda: _drawn(nv.histograms(model, bins=BINS).plot().figure),
        "plt.hist": lambda: _drawn(_by_hand(model)),
    }


def _by_hand(model: nn.Module) -> plt.Figure:
    kernels = [m.weight for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    figure, axes = plt.subplots(-(-len(kernels) // 6), 6, figsize=(18, len(kernels) / 2), squeeze=False)
    for ax, kernel in zip(axes.flat, kernels, strict=False):
        ax.hist(kernel.detach().numpy().ravel(), BINS)
    return figure


def _drawn(figure: plt.Figure) -> None:
    figure.canvas.draw()
    plt.close(figure)


CASES = [
    Case("histograms of all kernels of ResNet-50, to pixels", drawn, {"plt.hist": 0.2}),
]
