"""The door for authors of renderers: the views, and all that drawing them needs of netviz.

What is behind this door, behind `netviz_core.backend_api`, in ``netviz_core.__all__`` and in `netviz_core.testing`
is kept from one minor version to the next, or deprecated for one first. Anything else may change without notice.

The contract is the protocol `Renderer`. A view is complete before a renderer sees it: a frozen dataclass of NumPy
arrays and words, whose fields its docstring describes. A renderer never sees a model.
"""

from .attributions.attention import AttentionMaps
from .attributions.cam import CamOverlay
from .attributions.top_losses import LossRow, TopLosses
from .comparing.telling.findings import LayerPair
from .comparing.telling.view import Comparison
from .comparing.telling.view_details import HistogramPair
from .comparing.telling.wording import meaning_of, side_words
from .graphs.export import are_named, sizes
from .graphs.folding import foldings
from .graphs.layout import BETWEEN_LANES, Layout, lay_out, rows_of
from .graphs.parts import GraphEdge, GraphGroup, GraphNode
from .graphs.view import Graph
from .measures.similarity_view import SimilarityMatrix
from .views.base import View
from .views.catalogue import Catalogue, Panel
from .views.heatmap import Heatmap
from .views.histogram import Histogram, HistogramRows
from .views.history import HistoryHeatmap, HistoryHistogram, column_edges
from .views.looks import Look, within
from .views.measures import LayerMeasures, MeasureLine
from .views.mosaic import MosaicLayout, mosaic
from .views.overlays import Overlays
from .views.scales import NAN_COLOUR, NEGATIVE_INFINITY_COLOUR, POSITIVE_INFINITY_COLOUR, Limits
from .views.side_by_side import SideBySide
from .views.tile_plan import PER_INCH, TilePlan, layout_of, pixels_of, shared_strengths
from .views.tiles import FeatureMapGrid, KernelGrid, TileGrid, squarest_grid
from .words.arrays import SPATIAL_AXES, AxisArray, as_float64
from .words.errors import FileFormatError, InputError, NetvizError, UnsupportedError, nearest
from .words.given import shown
from .words.protocols import Renderer, ViewLike
from .words.short_names import short_names
from .words.text_tables import printable
from .words.whole_files import as_path, replace_file

__all__ = [
    "BETWEEN_LANES",
    "NAN_COLOUR",
    "NEGATIVE_INFINITY_COLOUR",
    "PER_INCH",
    "POSITIVE_INFINITY_COLOUR",
    "SPATIAL_AXES",
    "AttentionMaps",
    "AxisArray",
    "CamOverlay",
    "Catalogue",
    "Comparison",
    "FeatureMapGrid",
    "FileFormatError",
    "Graph",
    "GraphEdge",
    "GraphGroup",
    "GraphNode",
    "Heatmap",
    "Histogram",
    "HistogramPair",
    "HistogramRows",
    "HistoryHeatmap",
    "HistoryHistogram",
    "InputError",
    "KernelGrid",
    "LayerMeasures",
    "LayerPair",
    "Layout",
    "Limits",
    "Look",
    "LossRow",
    "MeasureLine",
    "MosaicLayout",
    "NetvizError",
    "Overlays",
    "Panel",
    "Renderer",
    "SideBySide",
    "SimilarityMatrix",
    "TileGrid",
    "TilePlan",
    "TopLosses",
    "UnsupportedError",
    "View",
    "ViewLike",
    "are_named",
    "as_float64",
    "as_path",
    "column_edges",
    "foldings",
    "lay_out",
    "layout_of",
    "meaning_of",
    "mosaic",
    "nearest",
    "pixels_of",
    "printable",
    "replace_file",
    "rows_of",
    "shared_strengths",
    "short_names",
    "shown",
    "side_words",
    "sizes",
    "squarest_grid",
    "within",
]
