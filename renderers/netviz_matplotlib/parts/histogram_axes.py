"""The axes in which histograms are drawn, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import Histogram

from .text import PLAIN
from .ticks import fit_ticks
from .units import axis_exponent, axis_label, in_unit

Array = np.ndarray[Any, Any]


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


def draw_axes(ax: Axes, view: Histogram, frame: Frame) -> None:
    """Give an Axes the limits and labels of a frame."""
    ax.set_xlim(frame.low, frame.high)
    ax.set_ylim(0, frame.top)
    ax.set_xlabel(axis_label(view.value_label, frame.exponent), **PLAIN)
    ax.set_ylabel("density" if frame.density else "count")
    ax.tick_params(labelsize="small")
    fit_ticks(ax.xaxis)
    fit_ticks(ax.yaxis, integer=not frame.density)
    ax.spines[["top", "right"]].set_visible(False)
