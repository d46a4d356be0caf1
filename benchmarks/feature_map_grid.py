"""How long it takes to draw many feature maps: as netviz does, and with one ``imshow`` for each.

    python benchmarks/feature_map_grid.py

Both are drawn to pixels in the same run, netviz with title, colour bar and tile numbers.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from netviz_core import FeatureMapGrid


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=int, default=512)
    parser.add_argument("--size", type=int, default=28, help="height and width of each map")
    parser.add_argument("--repeat", type=int, default=5, help="runs of netviz, of which the median counts")
    options = parser.parse_args()

    maps = np.random.default_rng(0).random((options.maps, options.size, options.size), np.float32)
    view = FeatureMapGrid("conv: feature maps", maps, (0.0, 1.0), "activation", "channel", 0, 0)
    draw_with_netviz(view)  # fonts are found once for each process, whoever draws first

    ours = float(np.median([seconds(lambda: draw_with_netviz(view)) for _ in range(options.repeat)]))
    bare = seconds(lambda: draw_one_by_one(maps, ticks=False))
    plain = seconds(lambda: draw_one_by_one(maps, ticks=True))
    print(f"{options.maps} feature maps of {options.size} × {options.size}, to pixels")
    print(f"netviz, one image                      {ours:8.3f} s")
    print(f"one imshow for each map                {plain:8.3f} s   {plain / ours:6.0f} times as long")
    print(f"one imshow for each map, axes hidden   {bare:8.3f} s   {bare / ours:6.0f} times as long")


def draw_with_netviz(view: FeatureMapGrid) -> None:
    figure = view.plot().figure
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
