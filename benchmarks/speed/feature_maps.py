"""How long it takes to draw many feature maps: beside an empty figure of that size, and with one ``imshow`` for each.

All are drawn to pixels; netviz with title, colour bar and tile numbers. The PNG of a notebook is measured beside the
encoding of its own pixels.
"""

from __future__ import annotations

import io
import math

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

import netviz_core as nv
from netviz_matplotlib import MatplotlibRenderer

from .turns import Case, Ways


def to_pixels(quick: bool) -> Ways:
    view = _view(quick)
    figure = view.plot().figure
    size = tuple(figure.get_size_inches())
    plt.close(figure)
    return {
        "netviz": lambda: _draw(view),
        "empty figure": lambda: _draw_nothing(size),
        "one imshow each": lambda: _draw_one_by_one(view.tiles),
    }


def as_png(quick: bool) -> Ways:
    view, png = _view(quick), MatplotlibRenderer().png
    picture = PIL.Image.open(io.BytesIO(png(view)))
    picture.load()
    return {"netviz": lambda: png(view), "encoding": lambda: picture.save(io.BytesIO(), "png")}


def _view(quick: bool) -> nv.FeatureMapGrid:
    maps = np.random.default_rng(0).random((16 if quick else 512, 28, 28), np.float32)
    return nv.FeatureMapGrid("conv: feature maps", maps, (0.0, 1.0), "activation", "channel", 0, 0)


def _draw(view: nv.FeatureMapGrid) -> None:
    figure = view.plot().figure
    figure.canvas.draw()
    plt.close(figure)


def _draw_nothing(size: tuple[float, ...]) -> None:
    figure = plt.figure(figsize=size)
    figure.add_subplot()
    figure.canvas.draw()
    plt.close(figure)


def _draw_one_by_one(maps: np.ndarray) -> None:
    columns = math.ceil(math.sqrt(len(maps)))
    rows = math.ceil(len(maps) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 10), squeeze=False)
    for ax, values in zip(axes.flat, maps, strict=False):
        ax.imshow(values)
        ax.axis("off")
    figure.canvas.draw()
    plt.close(figure)


CASES = [
    Case("512 feature maps of 28 × 28, to pixels", to_pixels),
    Case("512 feature maps of 28 × 28, as a PNG", as_png),
]
