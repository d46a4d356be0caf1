"""The names that Keras has for a model's outputs."""

from __future__ import annotations

from typing import Any

import keras

from netviz_core.backend_api import leaves

from .graph import graph_of


def output_names(model: Any) -> dict[str, str]:
    """The parts of what a functional model returns, by the names under which Keras takes their targets and losses."""
    graph = graph_of(model)
    if graph is None or not isinstance(graph.output, (list, tuple)):
        return {}  # those of a mapping are called as Keras calls them
    parts = [leaf for leaf, _ in leaves(graph.output, lambda part: isinstance(part, keras.KerasTensor))]
    names = list(graph.output_names)
    return dict(zip(names, parts, strict=True)) if len(names) == len(parts) else {}
