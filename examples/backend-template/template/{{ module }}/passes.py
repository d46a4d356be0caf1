"""One pass, layer by layer, told to a recorder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from netviz_core.backend_api import Observation, ReadyLayer, RecorderLike, Replacement, StandIn

AXES = ("batch", "channel")


def passed(
    layers: Iterable[ReadyLayer],
    x: Any,
    recorder: RecorderLike,
    replacement: Replacement = lambda path, call, leaf, is_given, shape: None,
    instead: Mapping[str, Sequence[StandIn]] | None = None,
) -> np.ndarray:
    """What the last of `layers` returns, the first of which is the model that holds the others."""

    def told(path: str, values: np.ndarray, is_given: bool) -> np.ndarray:
        """Tell what a layer is given, or returned, and hand on what takes its place."""
        heard, leaf = (recorder.given, "0") if is_given else (recorder, "")
        if path not in recorder.paths:
            return values
        if heard is not None:
            heard.add(path, [Observation.of(values, AXES, leaf)])
        new = replacement(path, 0, leaf, is_given, values.shape)
        return values if new is None else new.astype(values.dtype)

    model, *steps = layers
    x = told(model.path, x.toarray() if issparse(x) else np.array(x), True)
    for layer in steps:
        if instead and layer.path in instead:
            (stand_in,) = instead[layer.path]
            x = stand_in.values.astype(stand_in.dtype)
        else:
            x = told(layer.path, _returned(layer, told(layer.path, x, True)), False)
    return told(model.path, x, False)


def _returned(layer: ReadyLayer, x: np.ndarray) -> np.ndarray:
    """What a layer makes of its input, in numbers of its own."""
    if layer.kind == "dense":
        kernel, bias = layer.native
        return x @ kernel + bias
    returned = x.copy()
    layer.native(returned)  # which writes into what it is given
    return returned
