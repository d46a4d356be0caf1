"""Attention weights sample by sample, and followed through layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..words.arrays import Activation
from ..words.errors import InputError, UnsupportedError, as_integer

Array = np.ndarray[Any, Any]


def by_sample(activation: Activation, window: int | None, rollout: bool) -> Array:
    """The weights of a layer with the axes (batch, head, query, key), of one window where it looks within windows."""
    values, axes = activation.values, activation.axes
    named = ", ".join(f"{axis} {length}" for axis, length in zip(axes, values.shape, strict=True))
    if axes[0] != "batch":
        raise UnsupportedError(
            f"layer {activation.path!r} computed weights with the axes ({named}), and it is not known how the "
            f"{len(values)} along the first are made up of samples, heads or windows"
        )
    if "window" not in axes:
        if window is not None:
            raise InputError(
                f"window={window} was given, and layer {activation.path!r} looks within no windows"
            )
        return values
    count = values.shape[1]
    if rollout:
        raise UnsupportedError(
            f"layer {activation.path!r} looks within {count} windows, whose tokens are not those of the others: "
            f"there is no rollout; choose layers that look at all tokens with layer="
        )
    if not 0 <= as_integer(window or 0, "window") < count:
        raise InputError(f"window={window} does not exist; there are {count}, counted from 0")
    return values[:, window or 0]


def rolled_out(layers: list[Array]) -> Array:
    """Attention followed through layers: ``(batch, 1, query, key)`` from weights ``(batch, head, query, key)``.

    Raises
    ------
    InputError
        If the layers do not look at their own tokens, or not all at the same.
    """
    shapes = {(part.shape[0], *part.shape[2:]) for part in layers}
    if len(shapes) > 1 or any(part.shape[2] != part.shape[3] for part in layers):
        raise InputError(
            f"rollout needs layers that all look at the same tokens; these have (batch, query, key) of "
            f"{', '.join(map(str, sorted(shapes)))}; choose those that belong together with layer="
        )
    followed = np.eye(layers[0].shape[-1])
    for part in layers:
        mixed = 0.5 * part.mean(axis=1, dtype=np.float64) + 0.5 * np.eye(part.shape[-1])
        followed = mixed / mixed.sum(axis=-1, keepdims=True) @ followed
    return followed[:, np.newaxis].astype(np.float32)


def rollout_title(count: int, left_out: Mapping[str, str]) -> str:
    layers = f"attention rollout · {count} layer{'s' if count > 1 else ''}"
    if not left_out:
        return layers
    named = [repr(path) if path else "the model's own" for path in left_out]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"{layers}, without {', '.join(named[:3])}{more}, which could not be read"
