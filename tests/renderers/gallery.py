"""Every kind of figure, of any size: what there is to look at, and to be checked.

    python -m tests.renderers.gallery FOLDER [--kind KIND ...] [--counts 1 12 60] [--formats png svg pdf]

Writes every picture into the folder, and says of each what is wrong with its texts: tick labels that are the same,
texts that overlap, lie outside the figure or are too faint to be read.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from netviz_core import side_by_side
from netviz_core.attributions.top_losses import LossRow
from netviz_core.views.histogram import HistogramRows
from netviz_core.views.measures import LayerMeasures

from ..comparisons import comparison, pair, weights_apart, with_outputs
from .handmade import (
    attention_view,
    feature_map_grid,
    graph_view,
    heatmap_view,
    histogram_view,
    history_histogram_view,
    history_view,
    in_colour,
    kernel_grid,
    losses_view,
    normal,
    overlays_view,
    similarity_view,
)
from .looks import faults

COUNTS = (1, 12, 60, 300, 2048)
NAMES = {
    "short": "conv{}",
    "long": "backbone.encoder.stages.{}.residual_branch.depthwise_convolution.pointwise",
}
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "column": {"figsize": (3.3, 2.6)},
    "panel": {"figsize": (2.3, 2.0)},
    "dark": {"dark": True},
}
_MANY = 300


def kernels_of(count: int, names: str) -> Any:
    outs, ins = max(count // 8, 1), min(count, 8)
    view = kernel_grid(
        normal(outs * ins, 3, 3), f"{names.format(7)} · conv2d · {outs:,} out × {ins} in, 3 × 3"
    )
    return replace(view, axes=(("out", outs), ("in", ins)), tile_label="out × in")


def volumes_of(count: int, names: str) -> Any:
    view = kernel_grid(
        normal(count * 6, 3, 3), f"{names.format(7)} · conv3d · {count:,} out × 2 in, 3 × 3 × 3"
    )
    return replace(view, axes=(("out", count), ("in", 2), ("z", 3)), tile_label="out × in × z")


def maps_of(count: int, names: str) -> Any:
    maps = np.abs(normal(count, 12, 12)) * np.linspace(0.2, 1, 12)
    return feature_map_grid(maps, f"{names.format(7)}: {count:,} channels, 12 × 12")


def heads_of(count: int, names: str) -> Any:
    weights = np.random.default_rng(0).dirichlet(np.ones(16), (count, 16)).astype(np.float32)
    return replace(attention_view(weights), title=f"attention · {names.format(7)}")


def tokens_of(count: int, names: str) -> Any:
    count = min(count, 600)
    weights = np.random.default_rng(0).dirichlet(np.ones(count), (1, count)).astype(np.float32)
    return replace(
        attention_view(weights, "mean of heads"), title=f"attention · {names.format(7)} · mean of heads"
    )


def rows_of(count: int, names: str) -> HistogramRows:
    counts = np.stack(
        [np.histogram(normal(400, seed=n) * 0.03, 50, (-0.1, 0.1))[0] for n in range(min(count, 64))]
    )
    counts, none = counts[np.arange(count) % len(counts)], np.zeros(count, int)
    labels = tuple(names.format(number) for number in range(count))
    return HistogramRows(
        f"{count:,} kernels", labels, counts, np.linspace(-0.1, 0.1, 51), none, none, none, "kernel"
    )


def history_of(count: int, names: str) -> Any:
    layers = [names.format(number) for number in range(count)]
    return history_view(np.abs(normal(count, 40)).cumsum(axis=1), None, layers)


def steps_of(count: int, names: str) -> Any:
    edges = np.sinh(np.linspace(-4, 4, 25))
    counts = np.stack([np.histogram(normal(500, seed=n % 50), edges)[0] for n in range(count)], axis=1)
    return replace(history_histogram_view(counts, edges), title=f"{names.format(7)} · activation")


def measures_of(count: int, names: str) -> LayerMeasures:
    measures = "mean", "std", "minimum", "maximum", "zero fraction"
    return LayerMeasures(
        f"statistics of {count:,} layers",
        tuple(names.format(number) for number in range(count)),
        measures,
        normal(count, 5) * 10.0 ** np.arange(-2, 3),
        tuple(number == 3 for number in range(count)),
    )


def similar_of(count: int, names: str) -> Any:
    count = min(count, _MANY)
    keys = [names.format(number) for number in range(count)]
    return similarity_view(np.random.default_rng(0).random((count, count)), keys, keys)


def compared_of(count: int, names: str) -> Any:
    errors = 10.0 ** np.linspace(-8, 0, count)
    statuses = ("agrees", "propagates", "differs", "compensated")
    pairs = [
        pair(names.format(n), error=float(error), given=float(error) / 3, status=statuses[n % 4 if n else 0])
        for n, error in enumerate(errors)
    ]
    return comparison(*pairs)


def chain_of(count: int, names: str) -> Any:
    kinds = ("conv2d", "batch_norm", "activation", "pool", "dense")
    ends = [names.format(number) for number in range(count + 1)]
    view = graph_view(list(pairwise(ends)), title="Net · graph")
    nodes = tuple(replace(node, kind=kinds[n % 5], label=kinds[n % 5]) for n, node in enumerate(view.nodes))
    return replace(view, nodes=nodes)


def blocks_of(count: int, names: str, rankdir: str = "TB") -> Any:
    """Blocks with a way around their layers, in containers within each other."""
    links, before, groups = [], "input", ["stages"]
    for number in range(max(count // 4, 1)):
        block = f"stages.{names.format(number)}"
        links += pairwise((before, *(f"{block}.{part}" for part in ("conv", "norm", "add"))))
        links.append((before, f"{block}.add"))
        before, groups = f"{block}.add", [*groups, block]
    return replace(graph_view([*links, (before, "output")], groups), rankdir=rankdir)


def class_names(names: str) -> list[str]:
    if names == NAMES["short"]:
        return ["cat", "dog", "bird"]
    return [f"a long name of a class, number {number}, of a kind" for number in (600, 601, 602)]


def pictures_of(count: int, names: str) -> Any:
    known = class_names(names)
    images = in_colour(np.random.default_rng(0).random((count, 16, 16)))
    heat = np.random.default_rng(1).random((count, 16, 16))
    captions = [
        f"{known[n % 3]} / {known[(n + 1) % 3]}\n{2.5 - n / count:.2f} / 0.{n % 10}1" for n in range(count)
    ]
    title = f"prediction / actual / loss / probability · the {count:,} worst of 9,000"
    return overlays_view(images, heat, captions, title)


def losses_of(count: int, names: str) -> Any:
    view, known = losses_view(np.linspace(3, 1, count)), class_names(names)
    rows = tuple(
        LossRow(7 * n, row.loss, known[n % 3], known[(n + 1) % 3], 0.25, "a film that begins well " * (n % 4))
        for n, row in enumerate(view.rows)
    )
    return replace(view, rows=rows, confusions=((known[0], known[1], 12), (known[1], known[2], 3)))


def histogram_of(count: int, names: str) -> Any:
    title = f"{names.format(7)} · dense · kernel {count:,} × 8"
    return histogram_view(normal(count * 8) * 0.03, title)


def pair_of(count: int, names: str) -> Any:
    values = normal(1, count * 8)
    return weights_apart(values, values[:, ::-1] * 1.1).weight_histograms()


def matrix_of(count: int, names: str) -> Any:
    rows, columns = min(count, 480), min(2 * count, 480)
    view = heatmap_view(
        normal(rows, columns), f"{names.format(7)} · dense · kernel {count:,} × {2 * count:,}"
    )
    return replace(view, shape=(count, 2 * count) if count > 240 else None)


def beside_of(count: int, names: str) -> Any:
    values = normal(count * 8)
    views = [
        histogram_view(values * scale, names.format(number)) for number, scale in enumerate((0.03, 0.09))
    ]
    return side_by_side(*views, titles=["untrained", "trained"])


def grids_of(count: int, names: str) -> Any:
    return side_by_side(
        maps_of(count, names), maps_of(count, names), titles=[names.format(1), names.format(2)]
    )


def apart_of(count: int, names: str) -> Any:
    maps = normal(1, count, 12, 12)
    return with_outputs(maps, maps + (np.arange(count) == 0)[:, None, None] / 9).feature_maps()


KINDS: Mapping[str, Callable[[int, str], Any]] = {
    "kernels": kernels_of,
    "volumes": volumes_of,
    "maps": maps_of,
    "heads": heads_of,
    "tokens": tokens_of,
    "histogram": histogram_of,
    "histogram pair": pair_of,
    "histogram rows": rows_of,
    "heatmap": matrix_of,
    "history": history_of,
    "history histogram": steps_of,
    "measures": measures_of,
    "similarity": similar_of,
    "comparison": compared_of,
    "graph": chain_of,
    "blocks": blocks_of,
    "blocks to the right": partial(blocks_of, rankdir="LR"),
    "pictures": pictures_of,
    "losses": losses_of,
    "histograms side by side": beside_of,
    "maps side by side": grids_of,
    "maps that differ": apart_of,
}


def shown(view: Any, look: str, inspect: Callable[[Any, Mapping[str, Any]], Any]) -> Any:
    """Let a view be drawn in a look; gives what `inspect` makes of the view and its options."""
    options = dict(LOOKS[look])
    with style.context("dark_background" if options.pop("dark", False) else []):
        return inspect(view, options)


def drawn(view: Any, options: Mapping[str, Any]) -> Figure:
    axes: Any = np.atleast_1d(view.plot(**options))
    figure: Figure = axes.flat[0].figure
    return figure


def checked(view: Any, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with a figure; it is closed again."""
    import matplotlib.pyplot as plt

    figure = drawn(view, options)
    try:
        return faults(figure)
    finally:
        plt.close(figure)


def cases(
    kinds: list[str] | None = None, counts: tuple[int, ...] = COUNTS, looks: tuple[str, ...] = tuple(LOOKS)
) -> Iterator[tuple[str, int, str, str]]:
    """Every kind, count, name and look."""
    for kind in kinds or KINDS:
        for count in counts:
            for name in NAMES:
                for look in looks:
                    yield kind, count, name, look


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", nargs="+", choices=KINDS)
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS)
    parser.add_argument("--looks", nargs="+", choices=LOOKS, default=tuple(LOOKS))
    parser.add_argument("--formats", nargs="*", default=["png", "svg", "pdf"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found: Counter[str] = Counter()
    for kind, count, name, look in cases(options.kind, tuple(options.counts), tuple(options.looks)):
        view = KINDS[kind](count, NAMES[name])
        called = f"{kind.replace(' ', '-')}_{count}_{name}_{look}"
        wrong = shown(view, look, checked)
        found["figures"] += 1
        found["with faults"] += bool(wrong)
        for told in wrong[:3]:
            print(f"{called}: {told}", flush=True)
        for suffix in options.formats:
            path = options.folder / f"{called}.{suffix}"
            shown(view, look, lambda view, style, path=path: view.save(path, **style))
    print(", ".join(f"{number:,} {what}" for what, number in found.items()))
    return bool(found["with faults"])


if __name__ == "__main__":
    sys.exit(main())
