"""Weights that are computed from others whenever a layer runs: low-rank updates, eight-bit integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from netviz_core.backend_api import UnsupportedError

from .tensors import as_numpy

Array = np.ndarray[Any, Any]


def effective(layer: Any, variable: Any) -> Callable[[], Array] | None:
    """What computes the kernel that takes effect, or None where that is the variable itself."""
    if variable.name not in ("kernel", "embeddings") or not (_is_lora(layer) or _mode(layer)):
        return None
    return lambda: _effective(layer, variable)


def serves_another(layer: Any, variable: Any) -> bool:
    """Whether a variable only serves to compute the effective kernel."""
    if _is_lora(layer) and variable.name.startswith("lora_"):
        return True
    return bool(_mode(layer)) and variable.name not in ("kernel", "embeddings", "bias")


def _effective(layer: Any, variable: Any) -> Array:
    values = as_numpy(variable.value)
    if _mode(layer) == "int8":
        scale = as_numpy(getattr(layer, f"{variable.name}_scale").value)
        # One scale for each token of an embedding, for each output of a kernel.
        values = values.astype(np.float32) / (
            scale[:, np.newaxis] if variable.name == "embeddings" else scale
        )
    elif _mode(layer):
        raise UnsupportedError(
            f"{layer.name!r} keeps its kernel packed ({_mode(layer)}); netviz reads eight-bit integers only"
        )
    if _is_lora(layer):
        left, right = (as_numpy(getattr(layer, f"lora_{variable.name}_{side}").value) for side in "ab")
        values = values + layer.lora_alpha / layer.lora_rank * (left @ right)
    if values.size != math.prod(variable.shape):
        raise UnsupportedError(
            f"the scales of {layer.name!r} do not belong to the axes of its kernel one by one"
        )
    return values.reshape(variable.shape)


def _is_lora(layer: Any) -> bool:
    return bool(getattr(layer, "lora_enabled", False))


def _mode(layer: Any) -> str | None:
    """How the layer is quantized, if it is."""
    return getattr(layer, "quantization_mode", None)
