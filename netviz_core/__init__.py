"""The same figures and diagnoses for every neural network, whatever framework it was written in.

Importing this package loads nothing else of it: each public name brings its room when it is first used, and
frameworks and plotting libraries are found when a model or a figure needs them.
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .attributions.attention import AttentionMaps, attention
    from .attributions.cam import CamOverlay, cam
    from .attributions.top_losses import TopLosses, top_losses
    from .captures.capture import Capture, capture, recording
    from .captures.saved import load_capture
    from .comparing.compared import compare
    from .comparing.telling.view import Comparison
    from .graphs.data_flow import graph
    from .graphs.view import Graph
    from .measures.health import health
    from .measures.health_view import Health
    from .measures.similarity import similarity
    from .measures.similarity_view import SimilarityMatrix
    from .measures.statistics import Statistics, statistics
    from .models.network import Network, wrap
    from .models.transfer import WeightTransfer, copy_weights
    from .plugins import (
        get_backend,
        get_renderer,
        list_backends,
        list_renderers,
        refresh_backends,
        refresh_renderers,
        register_backend,
        register_renderer,
        set_default_renderer,
    )
    from .reports.report import Report, report
    from .summaries.summary import Summary, summary
    from .views.heatmap import Heatmap, heatmap
    from .views.histogram import Histogram, HistogramRows, histogram, histograms
    from .views.side_by_side import SideBySide, side_by_side
    from .views.tiles import FeatureMapGrid, KernelGrid, feature_maps, kernels
    from .words.arrays import Activation, AxisArray, images
    from .words.errors import (
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
    from .words.observations import Coverage

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
    "Report",
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
    "report",
    "set_default_renderer",
    "side_by_side",
    "similarity",
    "statistics",
    "summary",
    "top_losses",
    "wrap",
]

_HOMES = {
    "attributions.attention": "AttentionMaps attention",
    "attributions.cam": "CamOverlay cam",
    "attributions.top_losses": "TopLosses top_losses",
    "captures.capture": "Capture capture recording",
    "captures.saved": "load_capture",
    "comparing.compared": "compare",
    "comparing.telling.view": "Comparison",
    "graphs.data_flow": "graph",
    "graphs.view": "Graph",
    "measures.health": "health",
    "measures.health_view": "Health",
    "measures.similarity": "similarity",
    "measures.similarity_view": "SimilarityMatrix",
    "measures.statistics": "Statistics statistics",
    "models.network": "Network wrap",
    "models.transfer": "WeightTransfer copy_weights",
    "plugins": "get_backend get_renderer list_backends list_renderers refresh_backends refresh_renderers "
    "register_backend register_renderer set_default_renderer",
    "reports.report": "Report report",
    "summaries.summary": "Summary summary",
    "views.heatmap": "Heatmap heatmap",
    "views.histogram": "Histogram HistogramRows histogram histograms",
    "views.side_by_side": "SideBySide side_by_side",
    "views.tiles": "FeatureMapGrid KernelGrid feature_maps kernels",
    "words.arrays": "Activation AxisArray images",
    "words.errors": "AmbiguousKeyError AxisError BackendConflictError BackendLoadError CaptureError "
    "CaptureTooLargeError FileFormatError InputError LayerNotFoundError NetvizError "
    "UnknownModelError UnsupportedError",
    "words.observations": "Coverage",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
