"""The formulas of class activation maps: from ``(picture, channel, [z,] [y,] x)`` to ``(picture, [z,] [y,] x)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _over_places(values: Array, reduce: Callable[..., Any]) -> Array:
    return np.asarray(reduce(values, axis=tuple(range(2, values.ndim)), keepdims=True))


def grad_cam(activations: Array, gradients: Array) -> Array:
    """Selvaraju et al., ICCV 2017, arXiv:1610.02391."""
    return np.asarray((_over_places(gradients, np.mean) * activations).sum(axis=1))


def grad_cam_plus_plus(activations: Array, gradients: Array) -> Array:
    """Chattopadhay et al., WACV 2018, arXiv:1710.11063."""
    squares = gradients**2
    scale = 2 * squares + _over_places(activations, np.sum) * gradients**3
    alphas = np.divide(squares, scale, out=np.zeros_like(squares), where=scale != 0)
    weights = _over_places(alphas * np.maximum(gradients, 0), np.sum)
    return np.asarray((weights * activations).sum(axis=1))


def layer_cam(activations: Array, gradients: Array) -> Array:
    """Jiang et al., TIP 2021, doi:10.1109/TIP.2021.3089943."""
    return np.asarray((np.maximum(gradients, 0) * activations).sum(axis=1))


def eigen_cam(activations: Array) -> Array:
    """Muhammad and Yeasin, IJCNN 2020, arXiv:2008.00299."""
    count, channels, *grid = activations.shape
    places = activations.reshape(count, channels, -1).transpose(0, 2, 1)
    _, _, directions = np.linalg.svd(places, full_matrices=False)
    projections = (places @ directions[:, 0, :, np.newaxis])[..., 0]
    # A singular vector has no sign of its own: take that in which the layer is active.
    signs = np.where(projections.sum(axis=1, keepdims=True) < 0, -1, 1)
    maps: Array = (projections * signs).reshape(count, *grid)
    return maps
