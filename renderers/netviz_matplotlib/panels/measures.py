"""Layers by measures: one row for each layer, one column for each measure, each on a scale of its own."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from netviz_core.renderer_api import LayerMeasures

from ..parts.colours import ColourScale
from ..parts.cursor import tell_under_cursor
from ..parts.row_labels import label_rows, labels_width
from ..parts.style import Style
from ..parts.text import PLAIN, say_empty

_CELL_WIDTH = 0.85
_ROW_HEIGHT, _LEAST_HEIGHT, _MOST_HEIGHT = 0.2, 1.0, 9.0
_MOST_ROWS_WITH_NUMBERS = 60
_COLOURS = "Blues"
_MARK = "#b2182b"


def size(view: LayerMeasures) -> tuple[float, float]:
    """Width and height in inches; wider for long names, which take some of it."""
    height = min(max(_ROW_HEIGHT * len(view.layers), _LEAST_HEIGHT), _MOST_HEIGHT)
    return _CELL_WIDTH * len(view.measures) + labels_width(view.layers), height


def scale(view: LayerMeasures, style: Style) -> ColourScale | None:
    """None: the numbers stand in the cells."""
    return None


def label(view: LayerMeasures) -> str:
    """There is no colour bar to be labelled."""
    return ""


def draw(ax: Axes, view: LayerMeasures, style: Style) -> None:
    """Draw layers down and measures across."""
    rows, columns = view.values.shape
    if not rows:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no layer")
        return
    colours = style.colormap(_COLOURS)(0.75 * np.nan_to_num(view.shares))
    colours[np.isnan(view.shares)] = 0.0
    image = ax.imshow(
        colours, aspect="auto", extent=(-0.5, columns - 0.5, rows - 0.5, -0.5), interpolation="nearest"
    )
    image.set_mouseover(False)
    tell_under_cursor(ax, partial(_describe, view))
    ax.grid(False)
    ax.set_xticks(range(columns), view.measures, **PLAIN)
    ax.tick_params(axis="x", labelsize="x-small", length=0, bottom=False, labelbottom=False, labeltop=True)
    label_rows(ax, [path or "output" for path in view.layers])
    for row in np.flatnonzero(view.marked):
        frame = Rectangle((-0.5, row - 0.5), columns, 1, fill=False, edgecolor=_MARK, linewidth=1.2, zorder=3)
        ax.add_patch(frame)
    if rows <= _MOST_ROWS_WITH_NUMBERS:
        _write_numbers(ax, view)


def _write_numbers(ax: Axes, view: LayerMeasures) -> None:
    shares = view.shares
    for row, column in np.argwhere(~np.isnan(view.values)):
        shown = view.values[row, column]
        ax.text(
            column,
            row,
            "0" if shown == 0 else f"{shown:.3g}",
            ha="center",
            va="center",
            fontsize="xx-small",
            color="white" if shares[row, column] > 0.75 else "0.15",
        )


def _describe(view: LayerMeasures, x: float, y: float) -> str:
    """What lies under the cursor."""
    row, column = round(y), round(x)
    rows, columns = view.values.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return ""
    return f"{view.layers[row] or 'output'}, {view.measures[column]}: {view.values[row, column]:.4g}"
