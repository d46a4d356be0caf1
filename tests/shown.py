"""One of every object that netviz shows in a notebook, small, with layers of any name: no framework is needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import netviz_core as nv
from netviz_core.attributions.places import Grid
from netviz_core.measures.health_view import Thresholds
from netviz_core.measures.layer_statistics import LayerStatistics
from netviz_core.measures.similarity_view import LayerRemark
from netviz_core.measures.training import HISTORY_DETAIL, TrainingHistory
from netviz_core.models.described import RememberedLayer
from netviz_core.models.network import Network
from netviz_core.models.parts import parts_of
from netviz_core.testing import example_model
from netviz_core.testing.reference import Conv2d, Dense, Model
from netviz_core.words.arrays import Scores

from .comparisons import comparison, difference, pair
from .renderers import handmade

X = np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype("float32")


@cache
def model(name: str = "conv1", seed: int = 0) -> Model:
    """Two layers, the first of this name."""
    example_model()  # whose backend is registered with it
    random = np.random.default_rng(seed)
    first = Conv2d(kernel=random.normal(size=(4, 1, 3, 3)), bias=np.zeros(4))
    return Model(**{name: first, "dense1": Dense(kernel=random.normal(size=(10, 144)), bias=np.zeros(10))})


def network(name: str = "conv1") -> Network:
    return nv.wrap(model(name))


def history(name: str = "conv1") -> TrainingHistory:
    made = TrainingHistory([name, "dense1"])
    for step in range(0, 250, 50):
        values = X[0, 0] * (1 + step)
        seen = LayerStatistics.of(np.where(step == 200, np.nan, values), detail=HISTORY_DETAIL)
        made.add(
            step,
            {
                ("activation", name, ""): seen,
                ("weight", "dense1", "kernel"): LayerStatistics.of(values, detail=HISTORY_DETAIL),
            },
        )
    return made


def compared(name: str = "conv1") -> nv.Comparison:
    other = model(name, 1)
    return nv.compare(model(name), other, X, progress=False)


def told(name: str) -> nv.Comparison:
    """A comparison in which everything is called so."""
    return comparison(
        pair(name),
        pair(name, error=0.5, status="differs", note=name, weights={name: difference(0.5)}),
        title=name,
        unmatched_a=(name,),
        reasons={f"a:{name}": name},
    )


def squares(*shape: int) -> Any:
    return np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)


SHOWN: dict[str, Callable[[str], Any]] = {
    "Network": network,
    "Layers": lambda name: network(name).layers,
    "ReadyLayer": lambda name: network(name)[name],
    "Weights": lambda name: network(name)[name].weights,
    "Weight": lambda name: network(name)[name].weights["kernel"],
    "RememberedLayer": lambda name: RememberedLayer(network(name)[name]),
    "StoredLayer": lambda name: list(nv.wrap({f"{name}.weight": squares(4, 1, 3, 3)}).layers.values())[-1],
    "Part": lambda name: parts_of(network(name)[name])[0],
    "Capture": lambda name: nv.capture(model(name), X),
    "Activation": lambda name: nv.capture(model(name), X)[name],
    "AxisArray": lambda name: nv.images(squares(2, 4, 4, 3)),
    "Scores": lambda name: Scores(squares(2, 3), ("batch", "channel"), "softmax"),
    "CoverageByPath": lambda name: nv.capture(model(name), X).coverage,
    "Coverage": lambda name: nv.Coverage("not_observed", f"{name} did not run"),
    "Statistics": lambda name: nv.statistics(model(name), X, progress=False),
    "LayerStatistics": lambda name: nv.statistics(model(name), X, progress=False)[name],
    "ChannelStatistics": lambda name: nv.statistics(model(name), X, progress=False)[name].channels,
    "TrainingHistory": history,
    "Report": lambda name: nv.report(model(name), X, progress=False),
    "ReportSection": lambda name: nv.report(model(name), X, progress=False).sections[1],
    "Summary": lambda name: nv.summary(model(name), X),
    "SummaryRow": lambda name: nv.summary(model(name), X)[name],
    "WeightTransfer": lambda name: nv.copy_weights(model(name, 1), model(name, 2), progress=False),
    "Health": lambda name: nv.health(model(name), np.where(X > 2, np.nan, X), progress=False),
    "HealthRow": lambda name: nv.health(model(name), X, progress=False).rows[0],
    "Comparison": compared,
    "LayerPair": lambda name: told(name).pairs[1],
    "Fault": lambda name: told(name).faults[0],
    "Cause": lambda name: told(name).causes[0],
    "Difference": lambda name: difference(0.5),
    "DivergenceMaps": lambda name: compared(name).feature_maps(),
    "HistogramPair": lambda name: compared(name).weight_histograms(),
    "KernelGrid": lambda name: nv.kernels(model(name), name),
    "FeatureMapGrid": lambda name: nv.feature_maps(model(name), name, X),
    "Heatmap": lambda name: nv.heatmap(model(name), "dense1"),
    "Histogram": lambda name: nv.histogram(model(name), name),
    "HistogramRows": lambda name: nv.histograms(model(name)),
    "SideBySide": lambda name: nv.side_by_side(*[nv.kernels(model(name), name)] * 2),
    "LayerMeasures": lambda name: nv.statistics(model(name), X, progress=False).heatmap(),
    "Graph": lambda name: handmade.graph_view([("input", name), (name, "output")], title=name),
    "GraphNode": lambda name: handmade.graph_view([("input", name)]).nodes[1],
    "GraphEdge": lambda name: handmade.graph_view([("input", name)]).edges[0],
    "GraphGroup": lambda name: handmade.graph_view([("input", f"{name}.a")], [name]).groups[0],
    "SimilarityMatrix": lambda name: handmade.similarity_view(squares(2, 2), [name, "b"], [name, "b"]),
    "LayerRemark": lambda name: LayerRemark("a", name, name),
    "AttentionMaps": lambda name: handmade.attention_view(squares(2, 3, 3)),
    "Overlays": lambda name: handmade.overlays_view(handmade.in_colour(squares(1, 4, 4)), None, [name], name),
    "CamOverlay": lambda name: nv.cam(model(name), X[:1], name),
    "TopLosses": lambda name: handmade.losses_view(np.array([3.0, 1.0]), name),
    "LossRow": lambda name: handmade.losses_view(np.array([3.0]), name).rows[0],
    "HistoryHeatmap": lambda name: history(name).heatmap(),
    "HistoryHistogram": lambda name: history(name).histogram("dense1", "weight"),
    "Grid": lambda name: Grid(np.arange(4).reshape(2, 2)),
    "Thresholds": lambda name: Thresholds(),
    "Form": lambda name: nv.summary(model(name), X).inputs[0],
    "MeasureLine": lambda name: nv.health(model(name), X, progress=False).lines()[0],
    "Statuses": lambda name: nv.list_backends(),
    "PluginStatus": lambda name: next(iter(nv.list_backends().values())),
}
"""By the name of the class, what makes one of it for a layer of some name."""
