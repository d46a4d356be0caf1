"""How values are distributed: bars, their mean and their spread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import Histogram

from ..parts.histogram_axes import Frame, draw_axes
from ..parts.inches import width_below
from ..parts.style import Style
from ..parts.text import add_footer, number, say_empty
from ..parts.units import in_unit

Array = np.ndarray[Any, Any]

_BARS, _MEAN, _BAND = "C0", "C1", 0.25


def size(view: Histogram) -> tuple[float, float]:
    """Width and height in inches."""
    return 4.6, 2.6


def scale(view: Histogram, style: Style, frame: Frame | None = None) -> None:
    """Histograms have no colours to explain."""


def label(view: Histogram) -> str:
    """What the values are."""
    return view.value_label


def draw(ax: Axes, view: Histogram, style: Style, frame: Frame | None = None) -> None:
    """Draw a histogram in a frame that it may share with others."""
    frame = frame or Frame.around([view])
    draw_axes(ax, view, frame)
    if view.counts.any():
        ax.stairs(frame.heights(view), frame.edges(view), fill=True, color=_BARS)
    else:
        say_empty(ax, "no values within these bins" if math.isfinite(view.mean) else _why_empty(view))
    if math.isfinite(view.mean):
        mean, std = in_unit(view.mean, frame.exponent), in_unit(view.std, frame.exponent)
        ax.axvspan(mean - std, mean + std, color=_MEAN, alpha=_BAND, linewidth=0, zorder=0)
        ax.axvline(mean, color=_MEAN, linewidth=1.2)
    add_footer(ax, _notes(view), width_below(ax))


def _why_empty(view: Histogram) -> str:
    return "no finite values" if view.nan_count or view.inf_count else "no values"


def _notes(view: Histogram) -> list[tuple[Any, str]]:
    notes: list[tuple[Any, str]] = []
    if math.isfinite(view.mean):
        notes += [(_MEAN, f"mean {number(view.mean)}"), ((_MEAN, _BAND), f"std {number(view.std)}")]
        notes += [(None, f"min {number(view.minimum)}"), (None, f"max {number(view.maximum)}")]
    if view.nan_count:
        notes.append((None, f"{view.nan_count:,} NaN"))
    if view.inf_count:
        notes.append((None, f"{view.inf_count:,} infinite"))
    if view.outside_count:
        notes.append((None, f"{view.outside_count:,} beyond the edges"))
    return notes
