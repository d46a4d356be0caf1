"""Training steps across: columns at their true places, however unevenly training was looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from netviz_core.renderer_api import column_edges

from .text import PLAIN
from .ticks import fit_ticks

Array = np.ndarray[Any, Any]


def draw_columns(ax: Axes, steps: Array, row_edges: Array, colours: Array) -> None:
    """Draw a picture whose columns are steps.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    steps : numpy.ndarray
        Increasing. Each column reaches half the way to its neighbours.
    row_edges : numpy.ndarray
        Of one more than there are rows, increasing, from the first row to the last.
    colours : numpy.ndarray
        ``(rows, columns, 4)``, uint8.
    """
    edges = column_edges(steps)
    # Unlike a mesh it is one image, so that thousands of looks are drawn at once.
    image = ax.pcolorfast(edges, row_edges, colours)
    image.set_mouseover(False)
    ax.set_xlim(edges[0], edges[-1])
    if len(steps) == 1:
        ax.xaxis.set_major_locator(FixedLocator(steps.tolist()))
    else:
        fit_ticks(ax.xaxis, integer=True)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.minorticks_off()
    ax.set_xlabel("step", **PLAIN)
    ax.grid(False)
    ax.tick_params(labelsize="small")


def nearest_column(steps: Array, x: float) -> int | None:
    """The column at a place of the axis; nothing beyond the first and last."""
    column = int(np.searchsorted(column_edges(steps), x, side="right")) - 1
    return column if 0 <= column < len(steps) else None
