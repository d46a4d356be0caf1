"""Which views this renderer draws, and with what."""

from __future__ import annotations

from netviz_core.renderer_api import (
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
)

from .panels import comparison, graph, histograms, matrices, overlays, tiles
from .parts.style import Style

_COLOURS = ("cmap", "colorbar")
_PANELS = {
    TileGrid: Panel(tiles.size, tiles.draw, (*_COLOURS, "limits")),
    Heatmap: Panel(matrices.heatmap_size, matrices.draw_heatmap, (*_COLOURS, "limits")),
    HistogramRows: Panel(histograms.rows_size, histograms.draw_rows, _COLOURS),
    Histogram: Panel(histograms.size, histograms.draw_histogram),
    HistogramPair: Panel(histograms.size, histograms.draw_pair, ("colorbar",)),
    Comparison: Panel(comparison.size, comparison.draw, ("colorbar",)),
    Graph: Panel(graph.size, graph.draw, ("colorbar",)),
    Overlays: Panel(overlays.size, overlays.draw, _COLOURS),
    LayerMeasures: Panel(matrices.measures_size, matrices.draw_measures, ("cmap",)),
    SimilarityMatrix: Panel(matrices.similarity_size, matrices.draw_similarity, _COLOURS),
    HistoryHeatmap: Panel(matrices.history_size, matrices.draw_history, (*_COLOURS, "limits")),
    HistoryHistogram: Panel(histograms.history_size, histograms.draw_history, _COLOURS),
}

CATALOGUE = Catalogue(Style, _PANELS, of_colours=_COLOURS)
