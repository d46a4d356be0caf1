"""The methods of class activation maps: what each makes of activations ``(batch, channel, y, x)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..words.errors import InputError, nearest
from ..words.given import shown

Array = np.ndarray[Any, Any]


def _grad_cam(activations: Array, gradients: Array) -> Array:
    weights = gradients.mean(axis=(2, 3), keepdims=True)
    return np.asarray((weights * activations).sum(axis=1))


def _grad_cam_plus_plus(activations: Array, gradients: Array) -> Array:
    squares = gradients**2
    scale = 2 * squares + activations.sum(axis=(2, 3), keepdims=True) * gradients**3
    alphas = np.divide(squares, scale, out=np.zeros_like(squares), where=scale != 0)
    weights = (alphas * np.maximum(gradients, 0)).sum(axis=(2, 3), keepdims=True)
    return np.asarray((weights * activations).sum(axis=1))


def _layer_cam(activations: Array, gradients: Array) -> Array:
    return np.asarray((np.maximum(gradients, 0) * activations).sum(axis=1))


def eigen_cam(activations: Array) -> Array:
    count, channels, height, width = activations.shape
    places = activations.reshape(count, channels, height * width).transpose(0, 2, 1)
    _, _, directions = np.linalg.svd(places, full_matrices=False)
    projections = (places @ directions[:, 0, :, np.newaxis])[..., 0]
    # A singular vector has no sign of its own: take that in which the layer is active.
    signs = np.where(projections.sum(axis=1, keepdims=True) < 0, -1, 1)
    maps: Array = (projections * signs).reshape(count, height, width)
    return maps


WITH_GRADIENTS: Mapping[str, Callable[[Array, Array], Array]] = {
    "grad-cam": _grad_cam,
    "grad-cam++": _grad_cam_plus_plus,
    "layer-cam": _layer_cam,
}
TITLES = {
    "cam": "CAM",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "layer-cam": "Layer-CAM",
    "eigen-cam": "Eigen-CAM",
}
METHODS = tuple(TITLES)


def require_method(method: str) -> None:
    """Refuse the name of a method that there is not.

    Raises
    ------
    InputError
    """
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(
            f"method={shown(method)} is not known; {nearest(method, METHODS, limit=len(METHODS))}"
        )
