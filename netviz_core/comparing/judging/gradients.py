"""Gradients of one loss with respect to what layers returned, on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...attributions.losses import gradient_of
from ...attributions.questions import score_of
from ...captures.batches import as_numbers
from ...captures.recorder import Recorder
from ...words.arrays import AxisArray
from ...words.errors import UnsupportedError
from ..sides import Side

Array = np.ndarray[Any, Any]


def gradients_of(side: Side, loss: str, targets: Any) -> dict[tuple[str, int], AxisArray]:
    """The derivative of a loss with respect to the first tensor that each call of each layer returned.

    Raises
    ------
    UnsupportedError
        If the model is not here, or its backend has no gradients.
    """
    if side.network is None or not hasattr(side.network.adapter, "gradients"):
        raise UnsupportedError(
            f"{side.name} is a capture, or its backend has no gradients; give the model itself, or leave loss= out"
        )
    layers = list(side.layers.values())
    returned, pulled = Recorder(layers, reduce=lambda activation: 0.0), Recorder(layers)

    def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
        leaf, scores = score_of(parts, None)
        return {leaf: gradient_of(loss, scores.values, as_numbers(targets)).astype(np.float32)}

    side.network.adapter.gradients(side.network.native, side.inputs, seed, returned, pulled)
    found: dict[tuple[str, int], AxisArray] = {}
    for slot in pulled.slots:
        found.setdefault((slot.path, slot.call), slot.get())
    return found
