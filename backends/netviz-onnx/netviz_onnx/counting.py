"""What counts as parameters: weights, but not what a model was given along."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from netviz_core.backend_api import ParameterForm

from .layers import OnnxLayer

_STATISTICS = ("running_mean", "running_variance")
_COUNTED_BY = frozenset(("tf2onnx", "keras"))
"""Exporters from a framework that counts the statistics of norms among the parameters."""


def parameters_of(layer: OnnxLayer) -> Iterator[ParameterForm]:
    """The weights of a layer; running statistics only where the framework that it comes from counts them."""
    counts_statistics = layer.held.native.producer_name in _COUNTED_BY
    for name, weight in layer.weights.items():
        if counts_statistics or name not in _STATISTICS:
            size = math.prod(weight.shape)
            yield ParameterForm(
                weight.identity, size, size * np.dtype(weight.dtype).itemsize, weight.trainable
            )
