"""Which views this renderer draws, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netviz_core.renderer_api import (
    Comparison,
    Graph,
    Heatmap,
    Histogram,
    HistogramPair,
    HistogramRows,
    HistoryHeatmap,
    HistoryHistogram,
    InputError,
    LayerMeasures,
    Overlays,
    SideBySide,
    SimilarityMatrix,
    TileGrid,
    UnsupportedError,
    View,
)

from .panels import comparison, graph, histograms, matrices, overlays, tiles
from .parts.place import Place
from .parts.style import Style


@dataclass(frozen=True)
class Panel:
    """How one kind of view is drawn.

    Parameters
    ----------
    size : callable
        Gives width and height, in inches, of the figure that suits a view.
    draw : callable
        Draws everything but the title; of a place and a view.
    options : frozenset of str
        Which of `ONLY_SOME` have an effect.
    """

    size: Callable[[Any], tuple[float, float]]
    draw: Callable[[Place, Any], None]
    options: frozenset[str]


ONLY_SOME = ("cmap", "limits", "colorbar")


def _panel(size: Any, draw: Any, options: str = "") -> Panel:
    return Panel(size, draw, frozenset(options.split()))


_PANELS: Mapping[type[View], Panel] = {
    TileGrid: _panel(tiles.size, tiles.draw, "cmap limits colorbar"),
    Heatmap: _panel(matrices.heatmap_size, matrices.draw_heatmap, "cmap limits colorbar"),
    HistogramRows: _panel(histograms.rows_size, histograms.draw_rows, "cmap colorbar"),
    Histogram: _panel(histograms.size, histograms.draw_histogram),
    HistogramPair: _panel(histograms.size, histograms.draw_pair, "colorbar"),
    Comparison: _panel(comparison.size, comparison.draw, "colorbar"),
    Graph: _panel(graph.size, graph.draw, "colorbar"),
    Overlays: _panel(overlays.size, overlays.draw, "cmap colorbar"),
    LayerMeasures: _panel(matrices.measures_size, matrices.draw_measures, "cmap"),
    SimilarityMatrix: _panel(matrices.similarity_size, matrices.draw_similarity, "cmap colorbar"),
    HistoryHeatmap: _panel(matrices.history_size, matrices.draw_history, "cmap limits colorbar"),
    HistoryHistogram: _panel(histograms.history_size, histograms.draw_history, "cmap colorbar"),
}


def panel_for(view: View, style: Style) -> Panel:
    """How to draw `view`.

    Raises
    ------
    UnsupportedError
        If it is of no kind known here.
    InputError
        If an option was given that has no effect on it.
    """
    panel = next((panel for kind, panel in _PANELS.items() if isinstance(view, kind)), None)
    if panel is None:
        known = ", ".join(kind.__name__ for kind in (*_PANELS, SideBySide))
        raise UnsupportedError(f"the plotly renderer cannot draw a {type(view).__name__}; it draws {known}")
    without = {"cmap", "colorbar"} if _has_own_colours(view) else set()
    for name in ONLY_SOME:
        if name in style.given and name not in panel.options - without:
            raise InputError(f"{name}= has no effect on this {type(view).__name__}; leave it out")
    return panel


def _has_own_colours(view: View) -> bool:
    return (isinstance(view, TileGrid) and view.is_rgb) or (isinstance(view, Overlays) and view.heat is None)
