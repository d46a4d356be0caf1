"""Which views this renderer draws, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netviz_core.renderer_api import (
    AttentionMaps,
    Comparison,
    Graph,
    Heatmap,
    Histogram,
    HistogramPair,
    HistogramRows,
    HistoryHeatmap,
    HistoryHistogram,
    LayerMeasures,
    Overlays,
    SideBySide,
    SimilarityMatrix,
    TileGrid,
    TopLosses,
    UnsupportedError,
    View,
)

from .panels import (
    attention,
    comparison,
    graph,
    heatmap,
    histogram,
    histogram_pair,
    histogram_rows,
    history_heatmap,
    history_histogram,
    measures,
    overlays,
    similarity,
    tiles,
    top_losses,
)
from .parts.colours import ColourScale
from .parts.histogram_axes import Frame


@dataclass(frozen=True)
class Panel:
    """How one kind of view is drawn into one Axes.

    Parameters
    ----------
    size : callable
        Gives width and height, in inches, of the Axes that suits a view.
    scale : callable
        Gives the colours that a colour bar should explain, or None; of a view and a style.
    label : callable
        Gives the colour bar's label.
    draw : callable
        Draws everything but title and colour bar; of an Axes, a view and a style.
    around : float
        Inches above and below the Axes, for a title of one line and what stands below.
    frame : callable, optional
        Gives what several views share when they are drawn side by side, such as their axes;
        `scale` and `draw` then take it as ``frame=``.
    """

    size: Callable[[Any], tuple[float, float]]
    scale: Callable[..., ColourScale | None]
    label: Callable[[Any], str]
    draw: Callable[..., None]
    around: float
    frame: Callable[[Sequence[Any]], Any] | None = None


def _panel(module: Any, around: float, frame: Callable[[Sequence[Any]], Any] | None = None) -> Panel:
    """The panel of a module that draws one kind of view."""
    return Panel(module.size, module.scale, module.label, module.draw, around, frame)


_PANELS: Mapping[type[View], Panel] = {
    AttentionMaps: _panel(attention, around=0.85),
    TileGrid: _panel(tiles, around=0.65),
    Heatmap: _panel(heatmap, around=0.85),
    HistogramRows: _panel(histogram_rows, around=0.85),
    Histogram: _panel(histogram, around=1.2, frame=Frame.around),
    HistogramPair: _panel(histogram_pair, around=1.2),
    Comparison: _panel(comparison, around=1.2),
    Graph: _panel(graph, around=0.85),
    TopLosses: _panel(top_losses, around=0.65),
    Overlays: _panel(overlays, around=0.65),
    LayerMeasures: _panel(measures, around=0.85),
    SimilarityMatrix: _panel(similarity, around=0.85),
    HistoryHeatmap: _panel(history_heatmap, around=0.85),
    HistoryHistogram: _panel(history_histogram, around=0.85, frame=history_histogram.Frame.around),
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


def panels_for(views: Sequence[View]) -> list[Panel]:
    """How to draw views side by side: in one frame, if they are of one kind that has frames."""
    panels = [panel_for(view) for view in views]
    frame_around = panels[0].frame
    if frame_around is None or any(panel is not panels[0] for panel in panels):
        return panels
    frame = frame_around(views)
    draw, scale = partial(panels[0].draw, frame=frame), partial(panels[0].scale, frame=frame)
    return [replace(panels[0], draw=draw, scale=scale)] * len(panels)
