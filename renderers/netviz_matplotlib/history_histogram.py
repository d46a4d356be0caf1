"""One layer's histogram over time, the colourful dimension: one column for each look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from netviz_core.views.history import HistoryHistogram

from .colours import ColourScale
from .inches import height_of
from .steps import draw_columns, nearest_column
from .style import Style
from .text import PLAIN, number, say_empty

Array = np.ndarray[Any, Any]

_WIDTH, _HEIGHT = 4.6, 2.8
_BETWEEN_TICKS = 0.2
_NEXT_TO_NOTHING = 0.05


@dataclass(frozen=True, eq=False)
class Frame:
    """What one or several of these histograms have in common.

    Parameters
    ----------
    nearest : float
        Bins closer to zero than this are drawn as one.
    edges : numpy.ndarray
        Of the bins of all; bins are drawn equally high, which shows small and large numbers alike.
    top : int
        The largest count.
    """

    nearest: float
    edges: Array
    top: int

    @classmethod
    def around(cls, views: Sequence[HistoryHistogram]) -> Frame:
        """The frame that holds all of `views`."""
        nearest = min(map(_nearest, views))
        edges, counts = zip(*(_joined(view, nearest) for view in views), strict=True)
        top = max(int(part.max(initial=0)) for part in counts)
        return cls(nearest, np.unique(np.concatenate(edges)), top)

    def places(self, values: Any) -> Array:
        """Where numbers lie on the y axis: counted in bins from the lowest."""
        return np.interp(values, self.edges, np.arange(len(self.edges)))

    def ticks(self, least_distance: float) -> Array:
        """Round numbers, among them zero and powers of ten first, at least so many bins apart."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        smallest = float(np.abs(self.edges[self.edges != 0]).min())
        powers = range(floor(log10(max(abs(low), abs(high)))), floor(log10(smallest)) - 1, -1)
        sizes = [float(f"{digit}e{power}") for digit in (1, 5, 2) for power in powers]
        chosen: list[float] = []
        for value in (0.0, *(sign * size for size in sizes for sign in (1, -1))):
            others = np.abs(self.places(chosen) - self.places(value))
            if low <= value <= high and (others >= least_distance).all():
                chosen.append(value)
        return np.array(sorted(chosen or (low, high)))


def size(view: HistoryHistogram) -> tuple[float, float]:
    """Width and height in inches."""
    return _WIDTH, _HEIGHT


def scale(view: HistoryHistogram, style: Style, frame: Frame | None = None) -> ColourScale | None:
    """The colours, of the logarithm of one and the count; ticks say the count itself."""
    top = (frame or Frame.around([view])).top
    if not top:
        return None
    counts = [0, *(10**power for power in range(len(str(top))))]
    ticks = tuple((float(np.log1p(count)), f"{count:,}") for count in counts)
    return ColourScale(0.0, float(np.log1p(top)), style.colormap("viridis"), ticks)


def label(view: HistoryHistogram) -> str:
    """What the colour bar is a scale of."""
    return "count"


def draw(ax: Axes, view: HistoryHistogram, style: Style, frame: Frame | None = None) -> None:
    """Draw steps across and numbers up, every bin as high as any other."""
    frame = frame or Frame.around([view])
    colours = scale(view, style, frame)
    ax.set_ylabel(view.value_label, **PLAIN)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no finite values")
        return
    edges, counts = _joined(view, frame.nearest)
    draw_columns(ax, view.steps, frame.places(edges), colours.rgba(np.log1p(counts)))
    bins = len(frame.edges) - 1
    ax.set_ylim(0, bins)
    ax.set_facecolor(colours.colormap(0.0))
    ticks = frame.ticks(_BETWEEN_TICKS * bins / height_of(ax))
    ax.set_yticks(frame.places(ticks), [number(tick) for tick in ticks])
    ax.format_coord = partial(_describe, view, frame)  # type: ignore[method-assign]


def _nearest(view: HistoryHistogram) -> float:
    """How close to zero bins must lie to hold next to nothing but zeros, at any step."""
    ends = np.abs(view.edges)
    outer = np.maximum(ends[:-1], ends[1:])
    around_zero = (view.edges[:-1] <= 0) & (view.edges[1:] >= 0)
    order = np.argsort(np.where(around_zero, 0.0, outer), kind="stable")
    held = np.where(around_zero[:, np.newaxis], 0, view.counts)[order].cumsum(axis=0, dtype=np.int64)
    known = held[:, held[-1] > 0]
    if not known.size:
        return 0.0
    few = int((known <= _NEXT_TO_NOTHING * known[-1]).sum(axis=0).min())
    return float(outer[order][few - 1]) if few else 0.0


def _joined(view: HistoryHistogram, nearest: float) -> tuple[Array, Array]:
    """The edges and counts of a view, all bins closer to zero than `nearest` made one."""
    kept = np.abs(view.edges) >= nearest
    kept[[0, -1]] = True
    counts = np.add.reduceat(view.counts, np.flatnonzero(kept)[:-1], axis=0, dtype=np.int64)
    return view.edges[kept], counts


def _describe(view: HistoryHistogram, frame: Frame, x: float, y: float) -> str:
    """What lies under the cursor."""
    edges, counts = _joined(view, frame.nearest)
    column = nearest_column(view.steps, x)
    row = int(np.searchsorted(frame.places(edges), y, side="right")) - 1
    if column is None or not 0 <= row < len(counts):
        return ""
    place = f"step {view.steps[column]}, {number(edges[row])} to {number(edges[row + 1])}"
    return f"{place}: {counts[row, column]:,}"
