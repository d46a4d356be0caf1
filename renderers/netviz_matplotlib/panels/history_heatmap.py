"""Layers by time: one row for each layer, one column for each look."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import HistoryHeatmap

from ..parts.colours import ColourScale, clipped_entries, nonfinite_entries, scale_for
from ..parts.cursor import tell_under_cursor
from ..parts.inches import width_below
from ..parts.row_labels import label_rows, labels_width
from ..parts.steps import draw_columns, nearest_column
from ..parts.style import Style
from ..parts.text import add_footer, say_empty

_WIDTH = 4.6
_ROW_HEIGHT, _LEAST_HEIGHT, _MOST_HEIGHT = 0.2, 1.2, 7.0


def size(view: HistoryHeatmap) -> tuple[float, float]:
    """Width and height in inches; wider for long names, which take some of it."""
    height = min(max(_ROW_HEIGHT * len(view.layers), _LEAST_HEIGHT), _MOST_HEIGHT)
    return _WIDTH + 0.6 * labels_width(view.layers), height


def scale(view: HistoryHeatmap, style: Style) -> ColourScale | None:
    """The colours."""
    return scale_for(view.limits, style) if view.values.size else None


def label(view: HistoryHeatmap) -> str:
    """What the values are."""
    return view.value_label


def draw(ax: Axes, view: HistoryHeatmap, style: Style) -> None:
    """Draw layers down and steps across."""
    colours = scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "nothing was seen")
        return
    rows = len(view.layers)
    draw_columns(ax, view.steps, np.arange(rows + 1) - 0.5, colours.rgba(view.values))
    ax.set_ylim(rows - 0.5, -0.5)
    label_rows(ax, [path or "output" for path in view.layers])
    tell_under_cursor(ax, partial(_describe, view))
    odd = [*clipped_entries(view.values, style.limits), *nonfinite_entries(view.values)]
    add_footer(ax, odd, width_below(ax))


def _describe(view: HistoryHeatmap, x: float, y: float) -> str:
    """What lies under the cursor."""
    row, column = round(y), nearest_column(view.steps, x)
    if column is None or not 0 <= row < len(view.layers):
        return ""
    return f"{view.layers[row] or 'output'}, step {view.steps[column]}: {view.values[row, column]:.4g}"
