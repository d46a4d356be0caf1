"""Kernels as they take effect: low-rank updates added, eight-bit integers scaled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tensors import as_numpy

Array = np.ndarray[Any, Any]


def effective(layer: Any, variable: Any) -> Callable[[], Array] | None:
    """What computes the kernel that takes effect, or None where that is the variable itself."""
    if variable.name not in ("kernel", "embeddings") or not (_is_lora(layer) or _is_int8(layer)):
        return None
    return lambda: _effective(layer, variable)


def serves_another(layer: Any, variable: Any) -> bool:
    """Whether a variable only serves to compute the effective kernel."""
    if _is_lora(layer) and variable.name.startswith("lora_"):
        return True
    return _is_int8(layer) and variable.name.endswith("_scale")


def _effective(layer: Any, variable: Any) -> Array:
    values = as_numpy(variable.value)
    if _is_int8(layer):
        scale = as_numpy(getattr(layer, f"{variable.name}_scale").value)
        # One scale for each token of an embedding, for each output of a kernel.
        values = values.astype(np.float32) / (
            scale[:, np.newaxis] if variable.name == "embeddings" else scale
        )
    if _is_lora(layer):
        left, right = (as_numpy(getattr(layer, f"lora_{variable.name}_{side}").value) for side in "ab")
        values = values + layer.lora_alpha / layer.lora_rank * (left @ right)
    return values


def _is_lora(layer: Any) -> bool:
    return bool(getattr(layer, "lora_enabled", False))


def _is_int8(layer: Any) -> bool:
    return getattr(layer, "quantization_mode", None) == "int8"
