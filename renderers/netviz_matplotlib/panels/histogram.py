"""How values are distributed: bars, their mean and their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import Histogram

from ..parts.inches import width_of
from ..parts.style import Style
from ..parts.text import PLAIN, add_footer, number, say_empty
from ..parts.units import axis_exponent, axis_label, in_unit

Array = np.ndarray[Any, Any]

_BARS, _MEAN, _BAND = "C0", "C1", 0.25


@dataclass(frozen=True)
class Frame:
    """The axes that one or several histograms are drawn in.

    Parameters
    ----------
    low, high : float
        Of the x axis, divided by ten to the power of `exponent`.
    top : float
        Of the y axis.
    exponent : int
    density : bool
        Whether heights are densities, so that bins of different widths compare.
    """

    low: float
    high: float
    top: float
    exponent: int
    density: bool

    @classmethod
    def around(cls, views: Sequence[Histogram]) -> Frame:
        """The frame that holds all of `views`."""
        low, high = min(float(v.edges[0]) for v in views), max(float(v.edges[-1]) for v in views)
        exponent = axis_exponent(low, high)
        density = any(not np.array_equal(view.edges, views[0].edges) for view in views)
        low, high = in_unit(low, exponent), in_unit(high, exponent)
        margin = 0.02 * (high - low)
        frame = cls(low - margin, high + margin, 1.0, exponent, density)
        top = max(float(frame.heights(view).max(initial=0)) for view in views)
        return replace(frame, top=1.06 * top or 1.0)

    def edges(self, view: Histogram) -> Array:
        """The edges of the bins, in the unit of the x axis."""
        edges: Array = in_unit(view.edges, self.exponent)
        return edges

    def heights(self, view: Histogram) -> Array:
        """The heights of the bars: counts, or densities."""
        if not self.density:
            return view.counts
        # A bin that is a mere point on this axis has no density to speak of.
        widths = np.maximum(np.diff(self.edges(view)), 1e-6 * (self.high - self.low))
        heights: Array = view.counts / (max(int(view.counts.sum()), 1) * widths)
        return heights


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
    add_footer(ax, _notes(view), width_of(ax))


def draw_axes(ax: Axes, view: Histogram, frame: Frame) -> None:
    """Give an Axes the limits and labels of a frame."""
    ax.set_xlim(frame.low, frame.high)
    ax.set_ylim(0, frame.top)
    ax.set_xlabel(axis_label(view.value_label, frame.exponent), **PLAIN)
    ax.set_ylabel("density" if frame.density else "count")
    ax.tick_params(labelsize="small")
    ax.locator_params(axis="x", nbins=5 if width_of(ax) < 2.5 else 8)
    ax.spines[["top", "right"]].set_visible(False)


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
