"""Which range of images a model takes, told from the layers by which it brings them to its own scale."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .kinds import keras_class
from .layers import walk
from .tensors import as_numpy
from .trace import trace

_SCALING = ("Rescaling", "Normalization")
_KEEPING = (
    "BaseImagePreprocessingLayer Resizing CenterCrop Cropping2D ZeroPadding2D Dropout GaussianNoise".split()
)
"""What may stand before them without changing the range, when it is not training."""
_LARGEST_NORMALISED = 1.5


def image_range(model: Any, inputs: Any) -> tuple[float, float] | None:
    """See `netviz_core.backend_api.SupportsImageRange`."""
    layers = {layer.path: layer.native for layer in walk(model)}
    if not any(keras_class(layer, _SCALING) for layer in layers.values()):
        return None
    images: set[Any] = set()
    for call in trace(model, inputs):
        given = {form.identity for form in call.inputs if len(form.shape) == 4}
        images = images or given
        layer = layers.get(call.path)
        if layer is None or not given & images or call.operation:
            continue
        if keras_class(layer, _SCALING):
            return _range_of(layer)
        if keras_class(layer, _KEEPING):
            images |= {form.identity for form in call.outputs}
    return None


def _range_of(layer: keras.Layer) -> tuple[float, float] | None:
    if keras_class(layer, ("Rescaling",)):
        scale, offset = (float(np.max(getattr(layer, name))) for name in ("scale", "offset"))
        # To 0 … 1 without an offset, else to as much below zero as above.
        return (0.0, (2 * abs(offset) or 1) / scale) if scale > 0 >= offset else None
    mean = np.asarray(as_numpy(layer.mean)) if layer.built else np.zeros(1)
    return (0.0, 255.0) if mean.min() >= 0 and mean.max() > _LARGEST_NORMALISED else None
