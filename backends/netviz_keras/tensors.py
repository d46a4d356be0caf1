"""The tensors of whichever framework Keras runs on: what they are, and how they are kept."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from netviz_core.backend_api import AxisArray, InputError, reason_of, shown, widened

from .engines import ENGINE

_PLAIN = frozenset({type(None), bool, int, float, str, tuple, list, dict})
"""What is no tensor, of which TensorFlow would have to look at all that it has to know."""


def is_tensor(value: Any) -> bool:
    """Whether `value` is an array of numbers in any form, symbolic ones and variables included."""
    if type(value) in _PLAIN:
        return False
    return isinstance(value, (np.ndarray, keras.KerasTensor, keras.Variable)) or keras.ops.is_tensor(value)


def adopted(value: Any) -> Any:
    """A tensor of another framework, as its data sets yield them to Keras too, as NumPy; else the value itself."""
    is_foreign = hasattr(value, "__array__") and hasattr(value, "shape") and not is_tensor(value)
    if not is_foreign or isinstance(value, (AxisArray, type)):
        return value
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{shown(value)} cannot be read as an array: {reason_of(error)}") from error


def is_symbolic(tensor: Any) -> bool:
    """Whether a tensor only stands for values that a compiled or traced function will have."""
    return isinstance(tensor, keras.KerasTensor) or ENGINE.is_symbolic(tensor)


def as_numpy(tensor: Any) -> np.ndarray[Any, Any]:
    """The tensor as NumPy, sharing its memory where that is possible."""
    return ENGINE.as_numpy(tensor)


def dtype_name(tensor: Any) -> str:
    """The native dtype's name, such as ``bfloat16``."""
    return str(keras.backend.standardize_dtype(tensor.dtype))


def is_differentiable(tensor: Any) -> bool:
    """Whether there are derivatives with respect to such a tensor: it holds real numbers."""
    return bool(keras.backend.is_float_dtype(dtype_name(tensor)))


def nbytes(tensor: Any) -> int:
    """The size of the array that `Held` makes of a tensor; none is made of strings."""
    name = dtype_name(tensor)
    if name == "string":
        return 0
    width = 4 if name == "float16" or name.startswith(("bfloat", "float8")) else np.dtype(name).itemsize
    return int(math.prod(tensor.shape) * width)


def private(structure: Any) -> Any:
    """The same structure with copies of its NumPy arrays, if tensors would share their memory with the caller."""
    leaves = keras.tree.flatten(structure)
    if not ENGINE.shares_memory or not any(isinstance(leaf, np.ndarray) for leaf in leaves):
        return structure
    return keras.tree.map_structure(
        lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, structure
    )


class Held:
    """A tensor kept as it is now, whatever happens to it later."""

    def __init__(self, tensor: Any) -> None:
        is_written = isinstance(tensor, (np.ndarray, keras.Variable))
        self._tensor = np.array(as_numpy(tensor)) if is_written else ENGINE.kept(tensor)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return tuple(map(int, self._tensor.shape))

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values, float32 for narrower floats."""
        return widened(as_numpy(self._tensor))
