"""Kernels and feature maps: a whole grid of them as one image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from netviz_core.renderer_api import TileGrid

from ..parts.colours import ColourScale, nonfinite_entries, scale_for
from ..parts.inches import width_of
from ..parts.mosaic import MosaicLayout, mosaic
from ..parts.mosaic_axes import label_tiles, show_mosaic
from ..parts.style import Style
from ..parts.text import add_footer, say_empty

_LONGEST_SIDE = 5.0
_MOST_ELONGATED = 4.0
# Grey cannot be taken for a value near zero, which the diverging colours show as white.
_BEHIND_SIGNED = "0.75"


def size(view: TileGrid) -> tuple[float, float]:
    """Width and height in inches: larger for more tiles, in the picture's own proportions."""
    if view.tiles.size == 0:
        return 2.4, 2.4
    layout = layout_of(view)
    high, wide = layout.shape
    if not _keeps_aspect(layout):
        other = min(0.6 + 0.2 * (layout.rows if wide > high else layout.columns), _LONGEST_SIDE)
        return (_LONGEST_SIDE, other) if wide > high else (other, _LONGEST_SIDE)
    longest = min(1.7 + 0.5 * max(view.grid_shape), _LONGEST_SIDE)
    return longest * min(1, wide / high), longest * min(1, high / wide)


def scale(view: TileGrid, style: Style) -> ColourScale | None:
    """The colours; grey stands for red, green and blue alike."""
    if view.tiles.size == 0:
        return None
    if view.is_rgb:
        return ColourScale(*view.limits, matplotlib.colormaps["gray"])
    return scale_for(view.limits, style)


def label(view: TileGrid) -> str:
    """What the colour bar is a scale of."""
    return f"{view.value_label} (red, green, blue)" if view.is_rgb else view.value_label


def draw(
    ax: Axes,
    view: TileGrid,
    style: Style,
    colours: ColourScale | None = None,
    notes: Sequence[tuple[Any, str]] = (),
) -> None:
    """Draw all tiles as one image, in other colours than theirs if such are given, and `notes` below."""
    colours = colours or scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, f"no {view.tile_label} to show")
        return
    layout = layout_of(view)
    picture = mosaic(view.tiles, layout, colours.rgb_rgba if view.is_rgb else colours.rgba)
    show_mosaic(ax, picture, layout, _keeps_aspect(layout), partial(_describe, view, layout))
    if view.limits[0] < 0 and not view.is_rgb:
        ax.set_facecolor(_BEHIND_SIGNED)
    label_tiles(ax, view.tile_label, layout)
    add_footer(ax, [*notes, *nonfinite_entries(view.tiles)], width_of(ax))


def layout_of(view: TileGrid) -> MosaicLayout:
    """Where the tiles lie."""
    count, height, width = view.tiles.shape[:3]
    return MosaicLayout.of(count, height, width, view.grid_shape)


def _keeps_aspect(layout: MosaicLayout) -> bool:
    """Whether values can be square; a picture much longer than wide would be a mere line."""
    high, wide = layout.shape
    return 1 / _MOST_ELONGATED <= high / wide <= _MOST_ELONGATED


def _describe(view: TileGrid, layout: MosaicLayout, x: float, y: float) -> str:
    """What lies under the cursor."""
    found = layout.locate(y, x)
    if found is None:
        return ""
    tile, tile_y, tile_x = found
    values = view.tiles[tile, tile_y, tile_x]
    shown = ", ".join(f"{value:.4g}" for value in values.reshape(-1))
    return f"{view.tile_label} {tile}, y={tile_y}, x={tile_x}: {shown}"
