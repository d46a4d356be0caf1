"""How long it takes to draw many feature maps: beside an empty figure of that size, and with one ``imshow`` for each.

    python benchmarks/feature_map_grid.py

All are drawn to pixels in turns, in one run; netviz with title, colour bar and tile numbers. The PNG of a notebook is
measured beside the encoding of its own pixels.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from turns import in_turns

from netviz_core import FeatureMapGrid
from netviz_matplotlib import MatplotlibRenderer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=int, default=512)
    parser.add_argument("--size", type=int, default=28, help="height and width of each map")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()

    maps = np.random.default_rng(0).random((options.maps, options.size, options.size), np.float32)
    view = FeatureMapGrid("conv: feature maps", maps, (0.0, 1.0), "activation", "channel", 0, 0)
    figure = view.plot().figure
    size = tuple(figure.get_size_inches())
    plt.close(figure)
    png = MatplotlibRenderer().png
    picture = PIL.Image.open(io.BytesIO(png(view)))
    picture.load()

    told = f"{options.maps} feature maps of {options.size} × {options.size}"
    ways: dict[str, Callable[[], object]] = {
        "netviz": lambda: draw_with_netviz(view),
        "empty figure": lambda: draw_nothing(size),
    }
    in_turns(f"{told}, to pixels, {size[0]:.1f} × {size[1]:.1f} inches", ways, options.rounds)
    ways = {"netviz": lambda: png(view), "encoding": lambda: picture.save(io.BytesIO(), "png")}
    in_turns(f"{told}, as a PNG of {picture.width} × {picture.height} pixels", ways, options.rounds)
    ours = float(np.median([seconds(lambda: draw_with_netviz(view)) for _ in range(5)]))
    for name, ticks in (("one imshow for each map", True), ("one imshow for each map, axes hidden", False)):
        theirs = seconds(lambda ticks=ticks: draw_one_by_one(maps, ticks=ticks))
        print(f"{name:40}{theirs:8.3f} s   {theirs / ours:6.0f} times as long as netviz")


def draw_with_netviz(view: FeatureMapGrid) -> None:
    figure = view.plot().figure
    figure.canvas.draw()
    plt.close(figure)


def draw_nothing(size: tuple[float, ...]) -> None:
    figure = plt.figure(figsize=size)
    figure.add_subplot()
    figure.canvas.draw()
    plt.close(figure)


def draw_one_by_one(maps: np.ndarray, *, ticks: bool) -> None:
    columns = math.ceil(math.sqrt(len(maps)))
    rows = math.ceil(len(maps) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 10), squeeze=False)
    for ax, values in zip(axes.flat, maps, strict=False):
        ax.imshow(values)
        if not ticks:
            ax.axis("off")
    figure.canvas.draw()
    plt.close(figure)


def seconds(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
