"""Views made by hand, for tests that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netviz_core import FeatureMapGrid, Heatmap, Histogram, KernelGrid
from netviz_core.attributions.attention import AttentionMaps
from netviz_core.attributions.top_losses import LossRow, TopLosses
from netviz_core.comparing.telling.view import Comparison
from netviz_core.graphs.parts import GraphEdge, GraphGroup, GraphNode
from netviz_core.graphs.view import Graph
from netviz_core.measures.similarity_view import SimilarityMatrix
from netviz_core.views.histogram import histogram_of
from netviz_core.views.history import HistoryHeatmap, HistoryHistogram
from netviz_core.views.measures import LayerMeasures
from netviz_core.views.overlays import Overlays
from netviz_core.views.scales import signed_limits, value_limits
from netviz_core.words.arrays import count_nonfinite

from ..comparisons import comparison, pair

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


def in_colour(pictures: Array) -> Array:
    return np.stack([pictures] * 3, axis=-1)


def overlays_view(
    images: Array | None,
    heat: Array | None,
    captions: Any = None,
    title: str = "conv2 · Grad-CAM · 3",
) -> Overlays:
    shown = images if images is not None else heat
    count = 0 if shown is None else len(shown)
    captions = captions if captions is not None else [f"{index} / 3\n2.31 / 0.10" for index in range(count)]
    return Overlays(title, images, heat, tuple(captions), "Grad-CAM")


def losses_view(
    losses: Array, text: str = "a film that begins well", images: Array | None = None
) -> TopLosses:
    rows = tuple(
        LossRow(7 * index, float(loss), "cat", "dog", None if index % 2 else 0.25, text)
        for index, loss in enumerate(losses)
    )
    captions = tuple(f"cat / dog\n{row.loss:.2f}" for row in rows)
    confusions = (("dog", "cat", 12), ("a very long name of a class that is rare", "cat", 1))
    title = f"prediction / actual / loss / probability · the {len(rows)} worst of 90"
    return TopLosses(title, images, None, captions, "Grad-CAM", rows, 90, confusions if rows else ())


def attention_view(weights: Array, tile_label: str = "head") -> AttentionMaps:
    counts = count_nonfinite(weights)
    return AttentionMaps(
        "attention · attn",
        weights,
        value_limits(weights),
        "attention",
        tile_label,
        *counts,
        weights[None],
        "attn",
        0,
    )


def history_view(values: Array, steps: Any = None, layers: Any = None) -> HistoryHeatmap:
    rows, columns = values.shape
    return HistoryHeatmap(
        "std of activation",
        values,
        tuple(layers or (f"encoder.blocks.{row}.conv" for row in range(rows))),
        np.arange(columns) * 50 if steps is None else np.asarray(steps),
        value_limits(values),
        "std of activation",
    )


def similarity_view(values: Array, keys_a: Any = None, keys_b: Any = None) -> SimilarityMatrix:
    rows, columns = values.shape
    return SimilarityMatrix(
        f"linear CKA · {rows} × {columns} layers, 640 samples",
        values,
        tuple(keys_a or (f"encoder.blocks.{row}.conv" for row in range(rows))),
        tuple(keys_b or (f"stages/{column}/conv" for column in range(columns))),
        640,
        0,
        (),
        (),
    )


def measures_view(values: Array, measures: Any = None) -> LayerMeasures:
    rows, columns = values.shape
    return LayerMeasures(
        f"statistics of {rows} layers",
        tuple(f"blocks.{row}.conv" for row in range(rows)),
        tuple(measures or (f"measure{column}" for column in range(columns))),
        values.astype(np.float64),
        (False,) * rows,
    )


def history_histogram_view(counts: Array, edges: Any = None, steps: Any = None) -> HistoryHistogram:
    bins, columns = counts.shape
    return HistoryHistogram(
        "conv1 · activation",
        counts,
        np.sinh(np.arange(-(bins // 2), bins - bins // 2 + 1)) if edges is None else np.asarray(edges, float),
        np.arange(columns) * 50 if steps is None else np.asarray(steps),
        "activation",
    )


def graph_view(
    links: Sequence[tuple[str, str]],
    groups: Sequence[str] = (),
    kind: str = "conv2d",
    title: str = "Net · graph",
) -> Graph:
    """A graph of nodes named by their path, in the order in which they first stand in `links`."""
    names = list(dict.fromkeys(name for link in links for name in link))
    known = sorted(groups, key=len)

    def around(path: str) -> str:
        return next((group for group in reversed(known) if path.startswith(f"{group}.")), "")

    shape, axes = (2, 16, 8, 8), ("batch", "channel", "y", "x")
    nodes = tuple(GraphNode(name, name, kind, f"{kind} 3×3", around(name), "", shape, axes) for name in names)
    edges = tuple(GraphEdge(*link, shape, axes, number) for number, link in enumerate(links))
    return Graph(title, nodes, edges, tuple(GraphGroup(group, "Block", around(group)) for group in known))


def comparison_view(errors: Array, first: int = 0) -> Comparison:
    """Pairs with these errors, of any sign, which differ from that of number `first` on."""
    sizes = np.abs(errors.astype(np.float64))
    return comparison(
        *(
            pair(
                f"layer{number}",
                error=error,
                given=given,
                status="differs" if number == first else "propagates",
            )
            for number, (error, given) in enumerate(
                zip(sizes.tolist(), np.roll(sizes, 1).tolist(), strict=True)
            )
        )
    )
