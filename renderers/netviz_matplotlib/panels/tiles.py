"""Kernels and feature maps: a whole grid of them as one image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import PER_INCH, MosaicLayout, TileGrid, TilePlan, mosaic, pixels_of

from ..parts.colours import ColourScale, clipped_entries, nonfinite_entries, scale_for
from ..parts.inches import height_of, width_below, width_of
from ..parts.mosaic_axes import label_axes, label_tiles, show_mosaic
from ..parts.style import Style
from ..parts.text import add_footer, say_empty

Array = np.ndarray[Any, Any]

_LONGEST_SIDE, _LARGEST_SIDE = 5.0, 10.4
_MOST_SHRUNK = 2
_SPARE = 12
"""Pixels, for what is around a grid may be a little larger than was thought."""
_MOST_ELONGATED = 4.0
# Grey cannot be taken for a value near zero, which the diverging colours show as white.
_BEHIND_SIGNED = "0.75"


def size(view: TileGrid) -> tuple[float, float]:
    """Width and height in inches: larger for more tiles, in the picture's own proportions."""
    if view.tiles.size == 0:
        return 2.4, 2.4
    plan = TilePlan.of(view, _longest(view), _longest(view))
    layout, longest = plan.layout, _longest(plan.view)
    high, wide = layout.shape
    if not _keeps_aspect(layout):
        other = min(0.6 + 0.2 * (layout.rows if wide > high else layout.columns), longest)
        return (longest, other) if wide > high else (other, longest)
    return longest * min(1, wide / high), longest * min(1, high / wide)


def _longest(view: TileGrid) -> float:
    """Inches of the longer side: a pixel for each value where a page can have them."""
    needed = (max(pixels_of(view)) + _SPARE) / PER_INCH
    usual = min(1.7 + 0.5 * max(view.grid_shape), _LONGEST_SIDE)
    can_shrink = min(view.tiles.shape[1:3]) > 8
    if needed <= _LARGEST_SIDE or (can_shrink and needed <= _MOST_SHRUNK * _LARGEST_SIDE):
        return min(max(usual, needed), _LARGEST_SIDE)
    return _LONGEST_SIDE


def scale(view: TileGrid, style: Style, frame: Array | None = None) -> ColourScale | None:
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
    frame: Array | None = None,
) -> None:
    """Draw all tiles as one image, in other colours than theirs if such are given, and `notes` below.

    Where there is no room for all, the strongest are drawn, by what `frame` has of each.
    """
    colours = colours or scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, f"no {view.tile_label} to show")
        return
    plan = TilePlan.of(view, width_of(ax), height_of(ax), frame)
    layout = plan.layout
    picture = mosaic(plan.view.tiles, layout, colours.rgb_rgba if view.is_rgb else colours.rgba)
    show_mosaic(ax, picture, layout, _keeps_aspect(layout), partial(_describe, plan))
    if view.limits[0] < 0 and not view.is_rgb:
        ax.set_facecolor(_BEHIND_SIGNED)
    if len(plan.entries) > 1:
        label_axes(ax, plan)
    elif plan.is_whole:
        label_tiles(ax, view.tile_label, layout)
    else:
        ax.set(xticks=[], yticks=[])
    told = [(None, note) for note in (plan.note, _shrunk(layout)) if note]
    odd = [*clipped_entries(view.tiles, style.limits), *nonfinite_entries(view.tiles)]
    add_footer(ax, [*notes, *told, *odd], width_below(ax))


def _shrunk(layout: MosaicLayout) -> str:
    return f"mean of {layout.shrink} × {layout.shrink} values" if layout.shrink > 1 else ""


def _keeps_aspect(layout: MosaicLayout) -> bool:
    """Whether values can be square; a picture much longer than wide would be a mere line."""
    high, wide = layout.shape
    return 1 / _MOST_ELONGATED <= high / wide <= _MOST_ELONGATED


def _describe(plan: TilePlan, x: float, y: float) -> str:
    """What lies under the cursor."""
    found = plan.layout.locate(y, x)
    if found is None:
        return ""
    tile, tile_y, tile_x = found
    values = plan.view.tiles[tile, tile_y, tile_x]
    shown = ", ".join(f"{value:.4g}" for value in values.reshape(-1))
    return f"{plan.number(tile)}, y={tile_y}, x={tile_x}: {shown}"
