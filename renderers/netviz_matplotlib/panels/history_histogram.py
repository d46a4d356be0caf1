"""One layer's histogram over time, the colourful dimension: one column for each look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import HistoryHistogram

from ..parts.colours import ColourScale, LogOfOneAnd
from ..parts.cursor import tell_under_cursor
from ..parts.inches import height_of
from ..parts.steps import draw_columns, nearest_column
from ..parts.style import Style
from ..parts.text import PLAIN, number, say_empty
from ..parts.ticks import round_ticks, tick_text

Array = np.ndarray[Any, Any]

_WIDTH, _HEIGHT = 4.6, 2.8
_BETWEEN_TICKS = 0.2


@dataclass(frozen=True, eq=False)
class Frame:
    """What one or several of these histograms have in common.

    Parameters
    ----------
    edges : numpy.ndarray
        Of the bins of all; bins are drawn equally high, which shows small and large numbers alike.
    top : float
        The largest share that a bin has of its column.
    most : int
        The most values of any column.
    """

    edges: Array
    top: float
    most: int

    @classmethod
    def around(cls, views: Sequence[HistoryHistogram]) -> Frame:
        """The frame that holds all of `views`."""
        edges = np.unique(np.concatenate([view.edges for view in views]))
        return cls(
            edges,
            max(float(_shares(view).max(initial=0)) for view in views),
            max(int(view.counts.sum(axis=0).max(initial=0)) for view in views),
        )

    def places(self, values: Any) -> Array:
        """Where numbers lie on the y axis: counted in bins from the lowest."""
        places: Array = np.interp(values, self.edges, np.arange(len(self.edges)))
        return places

    def ticks(self, apart: float) -> tuple[float, ...]:
        """Round numbers, so many bins apart."""
        smallest = float(np.abs(self.edges[self.edges != 0]).min())
        return round_ticks(float(self.edges[0]), float(self.edges[-1]), smallest, self.places, apart)


def size(view: HistoryHistogram) -> tuple[float, float]:
    """Width and height in inches."""
    return _WIDTH, _HEIGHT


def scale(view: HistoryHistogram, style: Style, frame: Frame | None = None) -> ColourScale | None:
    """The colours: of the logarithm of shares, so that few values show beside many; of the smallest one shows."""
    frame = frame or Frame.around([view])
    if not frame.top:
        return None
    return ColourScale(0.0, frame.top, style.colormap("viridis"), LogOfOneAnd(frame.most))


def label(view: HistoryHistogram) -> str:
    """What the colour bar is a scale of."""
    return "share of each step's values"


def draw(ax: Axes, view: HistoryHistogram, style: Style, frame: Frame | None = None) -> None:
    """Draw steps across and numbers up, every bin as high as any other."""
    frame = frame or Frame.around([view])
    colours = scale(view, style, frame)
    ax.set_ylabel(view.value_label, **PLAIN)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no finite values")
        return
    draw_columns(ax, view.steps, frame.places(view.edges), colours.rgba(_shares(view)))
    bins = len(frame.edges) - 1
    ax.set_ylim(0, bins)
    ax.set_facecolor(colours.colormap(0.0))
    ticks = frame.ticks(_BETWEEN_TICKS * bins / height_of(ax))
    ax.set_yticks(frame.places(ticks), [tick_text(tick) for tick in ticks])
    tell_under_cursor(ax, partial(_describe, view, frame))


def _shares(view: HistoryHistogram) -> Array:
    """Of each column, so that a step with fewer values looks like the others."""
    shares: Array = view.counts / np.maximum(view.counts.sum(axis=0, keepdims=True), 1)
    return shares


def _describe(view: HistoryHistogram, frame: Frame, x: float, y: float) -> str:
    """What lies under the cursor."""
    column = nearest_column(view.steps, x)
    row = int(np.searchsorted(frame.places(view.edges), y, side="right")) - 1
    if column is None or not 0 <= row < len(view.counts):
        return ""
    low, high = number(view.edges[row]), number(view.edges[row + 1])
    return f"step {view.steps[column]}, {low} to {high}: {view.counts[row, column]:,}"
