"""Enlarging and shrinking maps in NumPy: along one axis after another, each as one matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..words.arrays import AxisArray
from .given import Array, Given, Unknown, floating
from .windows import laid_out, like_input

_OF_KEYS = -0.5


def resized(given: Given) -> AxisArray:
    """What a layer returns that makes maps larger or smaller by interpolation."""
    interpolation = given.setting("interpolation")
    told = given.config.get("factor", given.config.get("output_size"))
    rank = given.only.values.ndim - 2
    values = floating(laid_out(given, rank))
    numbers = told if isinstance(told, tuple) else (told,) * rank
    if len(numbers) != rank or None in numbers:
        raise Unknown
    for axis, number in enumerate(numbers, 2):
        length = values.shape[axis]
        is_factor = "factor" in given.config
        count = math.floor(length * number) if is_factor else number
        step = 1 / number if is_factor else length / count
        matrix = _matrix(interpolation, given, length, count, step).astype(values.dtype)
        values = np.moveaxis(np.tensordot(values, matrix, (axis, 1)), -1, axis)
    return like_input(given, values)


def _matrix(interpolation: str, given: Given, length: int, count: int, step: float) -> Array:
    """The share of each old place in each new one, row by row; `step` is how far new places are apart in old ones."""
    if interpolation == "area":
        return _areas(length, count)
    centres: Array = np.arange(count) + 0.5
    if interpolation in ("nearest", "nearest-exact"):
        # PyTorch's own nearest is that of the left edge.
        found = np.arange(count) if given.config.get("from_edge") else centres
        chosen: Array = np.minimum(np.floor(found * step), length - 1).astype(int)
        return np.asarray(np.eye(length)[chosen])
    kernel, reach = _kernel(interpolation, given)
    if given.config.get("align_corners"):
        places: Array = np.linspace(0, length - 1, count) if count > 1 else np.zeros(1)
    else:
        places = centres * step - 0.5
    wide = max(step, 1.0) if given.config.get("antialias") else 1.0
    # A coefficient of its own means that what lies beyond the edges is left out, as in TensorFlow and JAX.
    if given.config.get("antialias") or given.config.get("cubic_coefficient") == _OF_KEYS:
        shares = kernel((np.arange(length) - places[:, None]) / wide)
        return np.asarray(shares / shares.sum(1, keepdims=True))
    return _with_edges(kernel, reach, places, length)


def _with_edges(kernel: Callable[[Array], Array], reach: int, places: Array, length: int) -> Array:
    """What lies beyond the edges is what lies at them."""
    around = np.floor(places).astype(int)[:, None] + np.arange(1 - reach, reach + 1)
    shares = kernel(around - places[:, None])
    matrix = np.zeros((len(places), length))
    np.add.at(matrix, (np.arange(len(places))[:, None], np.clip(around, 0, length - 1)), shares)
    return matrix


def _kernel(interpolation: str, given: Given) -> tuple[Callable[[Array], Array], int]:
    """The share of a place by how far it is away, and how far that reaches."""
    if interpolation in ("linear", "bilinear", "trilinear"):
        return lambda far: np.maximum(1 - np.abs(far), 0), 1
    if interpolation == "bicubic":
        antialias = given.config.get("antialias")
        return _cubic(_OF_KEYS if antialias else given.config.get("cubic_coefficient", -0.75)), 2
    raise Unknown


def _cubic(bend: float) -> Callable[[Array], Array]:
    """The cubic kernel of Keys (1981)."""

    def share(far: Array) -> Array:
        far = np.abs(far)
        near = ((bend + 2) * far - (bend + 3)) * far**2 + 1
        away = ((bend * far - 5 * bend) * far + 8 * bend) * far - 4 * bend
        found: Array = np.where(far <= 1, near, np.where(far < 2, away, 0))
        return found

    return share


def _areas(length: int, count: int) -> Array:
    """Means over parts that may overlap by one."""
    matrix = np.zeros((count, length))
    for place in range(count):
        part: Any = slice(place * length // count, -(-(place + 1) * length // count))
        matrix[place, part] = 1 / (part.stop - part.start)
    return matrix
