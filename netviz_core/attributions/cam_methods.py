"""The methods of class activation maps: what each makes of activations ``(picture, channel, [z,] [y,] x)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..words.errors import InputError, nearest
from ..words.given import shown

Array = np.ndarray[Any, Any]


def _over_places(values: Array, reduce: Callable[..., Any]) -> Array:
    return np.asarray(reduce(values, axis=tuple(range(2, values.ndim)), keepdims=True))


def _grad_cam(activations: Array, gradients: Array) -> Array:
    """Selvaraju et al., ICCV 2017, arXiv:1610.02391."""
    return np.asarray((_over_places(gradients, np.mean) * activations).sum(axis=1))


def _grad_cam_plus_plus(activations: Array, gradients: Array) -> Array:
    """Chattopadhay et al., WACV 2018, arXiv:1710.11063."""
    squares = gradients**2
    scale = 2 * squares + _over_places(activations, np.sum) * gradients**3
    alphas = np.divide(squares, scale, out=np.zeros_like(squares), where=scale != 0)
    weights = _over_places(alphas * np.maximum(gradients, 0), np.sum)
    return np.asarray((weights * activations).sum(axis=1))


def _layer_cam(activations: Array, gradients: Array) -> Array:
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
