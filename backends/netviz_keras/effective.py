"""Kernels as they take effect: low-rank updates added, integers of eight and four bits scaled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from netviz_core.backend_api import UnsupportedError

from .tensors import as_numpy

Array = np.ndarray[Any, Any]

_ADAPTED = ("kernel", "embeddings")
"""The variables that layers quantize, and to which they add low-rank updates."""


def effective(layer: Any, variable: Any) -> Callable[[], Array] | None:
    """What computes the kernel that takes effect, or None where that is the variable itself."""
    if variable.name not in _ADAPTED or not (_is_lora(layer) or _mode(layer)):
        return None
    return lambda: _effective(layer, variable)


def shape_of(layer: Any, variable: Any) -> tuple[int, ...]:
    """The shape of what takes effect: that of the variable, unless it keeps two numbers in a byte."""
    shape = tuple(variable.shape)
    if variable.name not in _ADAPTED or _mode(layer) != "int4":
        return shape
    return tuple(getattr(layer, "original_kernel_shape", None) or (*shape[:-1], _columns(layer)))


def serves_another(layer: Any, variable: Any) -> bool:
    """Whether a variable only serves to compute the effective kernel."""
    if _is_lora(layer) and variable.name.startswith("lora_"):
        return True
    return bool(getattr(layer, "quantization_mode", None)) and variable.name.startswith(_SERVING)


_SERVING = ("kernel_", "embeddings_", "g_idx", "inputs_", "outputs_", "awq_")
"""How the names of scales, of zero points and of what is kept of the past begin."""


def _effective(layer: Any, variable: Any) -> Array:
    values = as_numpy(variable.value)
    if mode := _mode(layer):
        if mode not in _SCALED:
            raise UnsupportedError(
                f"{layer.name!r} keeps its {variable.name} quantized by {mode!r}; netviz reads 'int8' and 'int4'"
            )
        values = _SCALED[mode](layer, variable.name, values)
    if _is_lora(layer):
        left, right = (as_numpy(getattr(layer, f"lora_{variable.name}_{side}").value) for side in "ab")
        values = values + layer.lora_alpha / layer.lora_rank * (left @ right)
    return values


def _of_int8(layer: Any, name: str, values: Array) -> Array:
    """One scale for each token of an embedding, for each output of a kernel."""
    scale = getattr(layer, f"{name}_scale").value
    if hasattr(layer, "_adjust_scale_for_dequant"):
        scale = layer._adjust_scale_for_dequant(scale)
    scale = as_numpy(scale)
    scaled: Array = values.astype(np.float32) / (scale[:, np.newaxis] if name == "embeddings" else scale)
    return scaled


def _of_int4(layer: Any, name: str, packed: Array) -> Array:
    """The same, or by groups along the inputs of a kernel, along an embedding's outputs, with a zero point each."""
    whole = as_numpy(keras.quantizers.unpack_int4(packed, _columns(layer), axis=-1)).astype(np.float32)
    scale = as_numpy(getattr(layer, f"{name}_scale").value)
    zero = getattr(layer, f"{name}_zero", None)
    values: Array
    if zero is not None:
        groups, axis = as_numpy(layer.g_idx.value).astype(int), -1 if name == "embeddings" else 0
        values = (whole - np.take(as_numpy(zero.value), groups, axis)) * np.take(scale, groups, axis)
    else:
        values = whole / (scale[:, np.newaxis] if name == "embeddings" else scale)
    return values.reshape(shape_of(layer, getattr(layer, f"_{name}")))


_SCALED = {"int8": _of_int8, "int4": _of_int4}


def _columns(layer: Any) -> int:
    """How many numbers there are in a row of packed ones."""
    columns = getattr(layer, "_int4_unpacked_column_size", None)
    return int(layer._orig_output_dim if columns is None else columns)


def _is_lora(layer: Any) -> bool:
    return bool(getattr(layer, "lora_enabled", False))


def _mode(layer: Any) -> str | None:
    """How the layer's kernel is quantized, if it is: not for eight-bit floats, and not before a calibration."""
    mode = getattr(layer, "quantization_mode", None)
    is_plain = mode == "float8" or getattr(layer, f"is_{mode}_calibrated", True) is False
    return None if is_plain else mode
