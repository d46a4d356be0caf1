"""Which views this renderer draws, and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netviz_core.renderer_api import (
    AttentionMaps,
    Catalogue,
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
    Panel,
    SimilarityMatrix,
    TileGrid,
    TopLosses,
    View,
    shared_strengths,
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
from .parts.inches import BARE, LEFT, RIGHT
from .parts.style import Style


@dataclass(frozen=True, kw_only=True)
class AxesPanel(Panel):
    """How one kind of view is drawn into one Axes.

    Parameters
    ----------
    size, options
        See `netviz_core.renderer_api.Panel`; the size is that of the Axes.
    draw : callable
        Draws everything but title and colour bar; of an Axes, a view and a style.
    scale : callable
        Gives the colours that a colour bar should explain, or None; of a view and a style.
    label : callable
        Gives the colour bar's label.
    around : float
        Inches above and below the Axes, for a title of one line and what stands below.
    frame : callable, optional
        Gives what several views share when they are drawn side by side, such as their axes;
        `scale` and `draw` then take it as ``frame=``.
    beside : float
        Inches on both sides of the Axes; the figure's layout then finds what is really needed.
    """

    scale: Callable[..., ColourScale | None]
    label: Callable[[Any], str]
    around: float
    frame: Callable[[Sequence[Any]], Any] | None = None
    beside: float = LEFT + RIGHT


def _panel(module: Any, around: float, options: str = "", **special: Any) -> AxesPanel:
    """The panel of a module that draws one kind of view."""
    own = {"scale": module.scale, "label": module.label, "around": around}
    return AxesPanel(module.size, module.draw, tuple(options.split()), **own, **special)


_PANELS = {
    AttentionMaps: _panel(attention, 0.85, "cmap limits colorbar"),
    TileGrid: _panel(tiles, 0.65, "cmap limits colorbar", frame=shared_strengths),
    Heatmap: _panel(heatmap, 0.85, "cmap limits colorbar"),
    HistogramRows: _panel(histogram_rows, 0.85, "cmap colorbar"),
    Histogram: _panel(histogram, 1.2, frame=Frame.around),
    HistogramPair: _panel(histogram_pair, 1.2),
    Comparison: _panel(comparison, 1.2),
    Graph: _panel(graph, 0.55, "colorbar", beside=BARE),
    TopLosses: _panel(top_losses, 0.65, "cmap colorbar"),
    Overlays: _panel(overlays, 0.65, "cmap colorbar"),
    LayerMeasures: _panel(measures, 0.85, "cmap"),
    SimilarityMatrix: _panel(similarity, 0.85, "cmap colorbar"),
    HistoryHeatmap: _panel(history_heatmap, 0.85, "cmap limits colorbar"),
    HistoryHistogram: _panel(history_histogram, 0.85, "cmap colorbar", frame=history_histogram.Frame.around),
}

CATALOGUE = Catalogue(Style, _PANELS)


def panels_for(views: Sequence[View]) -> list[AxesPanel]:
    """How to draw views side by side: in one frame, if they are of one kind that has frames."""
    panels = [CATALOGUE.panel_for(view) for view in views]
    frame_around = panels[0].frame
    if frame_around is None or any(panel is not panels[0] for panel in panels):
        return panels
    frame = frame_around(views)
    draw, scale = partial(panels[0].draw, frame=frame), partial(panels[0].scale, frame=frame)
    return [replace(panels[0], draw=draw, scale=scale)] * len(panels)
