"""Views made by hand, for tests that need no model."""

from __future__ import annotations

from typing import Any

import numpy as np

from netviz_core import FeatureMapGrid, Heatmap, Histogram, KernelGrid
from netviz_core.arrays import count_nonfinite
from netviz_core.views.histogram import histogram_of
from netviz_core.views.scales import signed_limits, value_limits

Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def kernel_grid(tiles: Array, title: str = "conv1 · conv2d · 4 out × 1 in, 3 × 3") -> KernelGrid:
    counts = count_nonfinite(tiles)
    return KernelGrid(title, tiles, signed_limits(tiles), "kernel", "kernel", *counts)


def feature_map_grid(tiles: Array, title: str = "conv1: 4 channels, 6 × 6") -> FeatureMapGrid:
    counts = count_nonfinite(tiles)
    return FeatureMapGrid(title, tiles, value_limits(tiles), "activation", "channel", *counts)


def heatmap_view(values: Array, title: str = "dense1 · dense · kernel 10 × 144") -> Heatmap:
    counts = count_nonfinite(values)
    return Heatmap(title, values, "out", "in", signed_limits(values), *counts, "kernel")


def histogram_view(
    values: Array, title: str = "dense1 · dense · kernel 10 × 144", bins: Any = 50
) -> Histogram:
    return histogram_of(values, title, "kernel", bins)
