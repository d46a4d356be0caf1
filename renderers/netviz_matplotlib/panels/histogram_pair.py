"""Two histograms over each other, in the same bins."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from netviz_core.renderer_api import Histogram, HistogramPair

from ..parts.histogram_axes import Frame, draw_axes
from ..parts.inches import width_below
from ..parts.style import Style
from ..parts.text import add_footer, number, say_empty

_FILLED, _LINE = ("C0", 0.5), "C1"


def size(view: HistogramPair) -> tuple[float, float]:
    """Width and height in inches."""
    return 4.6, 2.6


def scale(view: HistogramPair, style: Style) -> None:
    """The colours are explained below."""


def label(view: HistogramPair) -> str:
    """What the values are."""
    return view.a.value_label


def draw(ax: Axes, view: HistogramPair, style: Style) -> None:
    """Draw a's histogram filled and b's as a line over it."""
    frame = Frame.around([view.a, view.b])
    draw_axes(ax, view.a, frame)
    ax.stairs(frame.heights(view.a), frame.edges(view.a), fill=True, color=_FILLED)
    ax.stairs(frame.heights(view.b), frame.edges(view.b), color=_LINE, linewidth=1.3)
    if not (view.a.counts.any() or view.b.counts.any()):
        say_empty(ax, "no values within these bins")
    notes: list[tuple[Any, str]] = [
        (colour, f"{name}{_odd(histogram)}")
        for histogram, colour, name in zip((view.a, view.b), (_FILLED, _LINE), view.names, strict=True)
    ]
    add_footer(ax, [*notes, (None, f"differ by {number(view.max_abs_difference)} at most")], width_below(ax))


def _odd(histogram: Histogram) -> str:
    """How many values are not shown."""
    counted = (
        (histogram.nan_count, "NaN"),
        (histogram.inf_count, "infinite"),
        (histogram.outside_count, "beyond the edges"),
    )
    told = ", ".join(f"{count:,} {name}" for count, name in counted if count)
    return f" ({told})" if told else ""
