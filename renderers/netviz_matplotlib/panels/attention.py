"""Attention weights: tiles that say what they are a map of."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import AttentionMaps, layout_of

from ..parts.colours import ColourScale
from ..parts.inches import height_of, width_of
from ..parts.mosaic_axes import some
from ..parts.style import Style
from ..parts.text import PLAIN
from ..parts.ticks import label_axis
from . import tiles

size = tiles.size


def scale(view: AttentionMaps, style: Style) -> ColourScale | None:
    """The colours, of the roots of weights: they sum to one, so that of many nearly all are small."""
    if view.tiles.size == 0:
        return None
    low = max(view.limits[0], 0.0)
    return ColourScale(low, view.limits[1], style.colormap("viridis"), np.sqrt)


def label(view: AttentionMaps) -> str:
    """What the colour bar is a scale of, and of which heads where that is not beside the tiles."""
    whole = len(view.tiles) == 1 and view.tile_label != "head"
    return f"{view.value_label} ({view.tile_label})" if whole else view.value_label


def _sample(view: AttentionMaps) -> list[tuple[None, str]]:
    count = len(view.weights)
    return [(None, f"sample {view.sample} of {count:,}")] if count > 1 else []


def draw(ax: Axes, view: AttentionMaps, style: Style) -> None:
    """Draw a tile for each head, queries down and keys across."""
    if len(view.tiles) != 1:
        tiles.draw(ax, view, style, scale(view, style), [(None, "queries down, keys across"), *_sample(view)])
        return
    tiles.draw(ax, view, style, scale(view, style), _sample(view))
    _, queries, keys = view.tiles.shape
    layout = layout_of(view)
    high, wide = layout.tile
    label_axis(ax.yaxis, {(n + 0.5) * high / queries: str(n) for n in some(queries, height_of(ax) / 0.22)})
    label_axis(ax.xaxis, {(n + 0.5) * wide / keys: str(n) for n in some(keys, width_of(ax) / 0.4)})
    ax.set_ylabel("query", **PLAIN)
    ax.set_xlabel("key", **PLAIN)
