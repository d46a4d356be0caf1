"""Which views this renderer draws, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from netviz_core.errors import UnsupportedError
from netviz_core.views.base import View
from netviz_core.views.heatmap import Heatmap
from netviz_core.views.histogram import Histogram, HistogramRows
from netviz_core.views.side_by_side import SideBySide
from netviz_core.views.tiles import TileGrid

from . import heatmap, histogram, histogram_rows, tiles
from .colours import ColourScale
from .style import Style


@dataclass(frozen=True)
class Panel:
    """How one kind of view is drawn into one Axes.

    Parameters
    ----------
    size : callable
        Gives width and height, in inches, of the Axes that suits a view.
    scale : callable
        Gives the colours that a colour bar should explain, or None.
    label : callable
        Gives the colour bar's label.
    draw : callable
        Draws everything but title and colour bar.
    around : float
        Inches above and below the Axes, for a title of one line and what stands below.
    """

    size: Callable[[Any], tuple[float, float]]
    scale: Callable[[Any, Style], ColourScale | None]
    label: Callable[[Any], str]
    draw: Callable[[Axes, Any, Style], None]
    around: float


_PANELS: Mapping[type[View], Panel] = {
    TileGrid: Panel(tiles.size, tiles.scale, tiles.label, tiles.draw, around=0.65),
    Heatmap: Panel(heatmap.size, heatmap.scale, heatmap.label, heatmap.draw, around=0.85),
    HistogramRows: Panel(
        histogram_rows.size, histogram_rows.scale, histogram_rows.label, histogram_rows.draw, around=0.85
    ),
    Histogram: Panel(histogram.size, histogram.scale, histogram.label, histogram.draw, around=1.2),
}


def panel_for(view: View) -> Panel:
    """How to draw `view`.

    Raises
    ------
    UnsupportedError
        If it is of no kind known here.
    """
    for kind, panel in _PANELS.items():
        if isinstance(view, kind):
            return panel
    known = ", ".join(kind.__name__ for kind in (*_PANELS, SideBySide))
    raise UnsupportedError(f"the matplotlib renderer cannot draw a {type(view).__name__}; it draws {known}")
