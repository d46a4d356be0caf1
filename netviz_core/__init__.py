"""The same figures and diagnoses for every neural network, whatever framework it was written in.

Importing this package loads NumPy and nothing heavier. Frameworks and plotting libraries are
found when a model or a figure needs them.
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__
from .arrays import Activation, AxisArray, images
from .capture import Capture, capture, recording
from .errors import (
    AmbiguousKeyError,
    AxisError,
    BackendConflictError,
    BackendLoadError,
    CaptureError,
    CaptureTooLargeError,
    FileFormatError,
    InputError,
    LayerNotFoundError,
    NetvizError,
    UnknownModelError,
    UnsupportedError,
)
from .network import Network, wrap
from .plugins import (
    get_backend,
    get_renderer,
    list_backends,
    list_renderers,
    refresh_backends,
    refresh_renderers,
    register_backend,
    register_renderer,
)
from .recorder import Coverage

if TYPE_CHECKING:
    from .comparing.compared import compare
    from .data_flow import graph
    from .files import load_capture
    from .layer_summary import Summary, summary
    from .transfer import WeightTransfer, copy_weights
    from .views.attention import AttentionMaps, attention
    from .views.cam import CamOverlay, cam
    from .views.comparison import Comparison
    from .views.graph import Graph
    from .views.health import Health, health
    from .views.heatmap import Heatmap, heatmap
    from .views.histogram import Histogram, HistogramRows, histogram, histograms
    from .views.side_by_side import SideBySide, side_by_side
    from .views.similarity import SimilarityMatrix, similarity
    from .views.statistics import Statistics, statistics
    from .views.tiles import FeatureMapGrid, KernelGrid, feature_maps, kernels
    from .views.top_losses import TopLosses, top_losses

__all__ = [
    "Activation",
    "AmbiguousKeyError",
    "AttentionMaps",
    "AxisArray",
    "AxisError",
    "BackendConflictError",
    "BackendLoadError",
    "CamOverlay",
    "Capture",
    "CaptureError",
    "CaptureTooLargeError",
    "Comparison",
    "Coverage",
    "FeatureMapGrid",
    "FileFormatError",
    "Graph",
    "Health",
    "Heatmap",
    "Histogram",
    "HistogramRows",
    "InputError",
    "KernelGrid",
    "LayerNotFoundError",
    "NetvizError",
    "Network",
    "SideBySide",
    "SimilarityMatrix",
    "Statistics",
    "Summary",
    "TopLosses",
    "UnknownModelError",
    "UnsupportedError",
    "WeightTransfer",
    "__version__",
    "attention",
    "cam",
    "capture",
    "compare",
    "copy_weights",
    "feature_maps",
    "get_backend",
    "get_renderer",
    "graph",
    "health",
    "heatmap",
    "histogram",
    "histograms",
    "images",
    "kernels",
    "list_backends",
    "list_renderers",
    "load_capture",
    "recording",
    "refresh_backends",
    "refresh_renderers",
    "register_backend",
    "register_renderer",
    "side_by_side",
    "similarity",
    "statistics",
    "summary",
    "top_losses",
    "wrap",
]

# `capture` cannot be among them: its module has the same name, and would take its place.
_IMPORTED_WHEN_USED = {
    "load_capture": "netviz_core.files",
    "copy_weights": "netviz_core.transfer",
    "WeightTransfer": "netviz_core.transfer",
    "AttentionMaps": "netviz_core.views.attention",
    "attention": "netviz_core.views.attention",
    "CamOverlay": "netviz_core.views.cam",
    "cam": "netviz_core.views.cam",
    "Comparison": "netviz_core.views.comparison",
    "compare": "netviz_core.comparing.compared",
    "Graph": "netviz_core.views.graph",
    "graph": "netviz_core.data_flow",
    "Summary": "netviz_core.layer_summary",
    "summary": "netviz_core.layer_summary",
    "Health": "netviz_core.views.health",
    "health": "netviz_core.views.health",
    "Heatmap": "netviz_core.views.heatmap",
    "heatmap": "netviz_core.views.heatmap",
    "Histogram": "netviz_core.views.histogram",
    "HistogramRows": "netviz_core.views.histogram",
    "histogram": "netviz_core.views.histogram",
    "histograms": "netviz_core.views.histogram",
    "SideBySide": "netviz_core.views.side_by_side",
    "side_by_side": "netviz_core.views.side_by_side",
    "SimilarityMatrix": "netviz_core.views.similarity",
    "similarity": "netviz_core.views.similarity",
    "Statistics": "netviz_core.views.statistics",
    "statistics": "netviz_core.views.statistics",
    "FeatureMapGrid": "netviz_core.views.tiles",
    "KernelGrid": "netviz_core.views.tiles",
    "feature_maps": "netviz_core.views.tiles",
    "kernels": "netviz_core.views.tiles",
    "TopLosses": "netviz_core.views.top_losses",
    "top_losses": "netviz_core.views.top_losses",
}


def __getattr__(name: str) -> Any:
    if name not in _IMPORTED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_IMPORTED_WHEN_USED[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
