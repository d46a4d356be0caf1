"""By what two layers are known to be able to stand for one another: from the narrowest form to the widest."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from typing import Any

import numpy as np

from ..words.protocols import Layer
from .alignment import Forms
from .parts import NAMES_OF_SCALES, Part

_NEUTRAL = {
    "bias": 0.0,
    "recurrent_bias": 0.0,
    "scale": 1.0,
}
"""What a weight would be where it makes no difference, by the name up to its suffix."""


def is_neutral(name: str, values: np.ndarray[Any, Any]) -> bool:
    """Whether a weight makes no difference: a bias of zeros, a scale of ones, whole numbers that only count."""
    neutral = neutral_value(name)
    if neutral is None and values.dtype.kind in "iu":
        return bool((values == 0).all() or (values.ravel() == np.arange(values.size)).all())
    return neutral is not None and bool((values == neutral).all())


def neutral_value(name: str) -> float | None:
    """What a weight of this name is where it makes no difference; None if there is no such value."""
    return next(
        (value for stem, value in _NEUTRAL.items() if name == stem or name.startswith(f"{stem}_")), None
    )


def signature_of(layer: Layer) -> tuple[Any, ...]:
    """What two layers must have in common to be paired in order: biases and scales may be left out."""
    essential = {name: weight.shape for name, weight in layer.weights.items() if neutral_value(name) is None}
    sizes = essential or {name: weight.shape for name, weight in layer.weights.items()}
    if "slope" in sizes:  # one for all channels does what the same for each of them does
        return (layer.kind, "slope")
    if not essential and layer.kind.endswith("norm"):
        sizes = {"channel": next(iter(layer.weights.values())).shape}
    return (layer.kind, tuple(sorted(sizes.items())))


def forms_of(part: Part, roles: Collection[str] = ()) -> Forms:
    """What a part and its partner have in common: what it is and what it is for, what it does, what it holds.

    Of the roles, only those count that both models tell of.
    """
    signature = signature_of(part)
    narrow: Hashable = (*signature, part.role if part.role in roles else "")
    sizes = tuple(size for weight in part.weights.values() for size in weight.shape)
    table = ("table", *sizes)
    if part.kind.endswith("norm"):
        norm = ("norm", sizes[0], "running_mean" in part.weights)
        return Forms((narrow, norm), norm, norm, table if part.kind == "norm" and len(sizes) == 1 else None)
    if part.kind in ("parameter", "embedding"):
        in_order: Hashable = table
        if len(sizes) == 1:  # where order is all that there is, one vector is like another
            in_order = ("norm", sizes[0], False) if part.step in NAMES_OF_SCALES else None
        return Forms((narrow, in_order), table, table, table if part.kind == "parameter" else None)
    if "kernel" in part.weights and "transpose" not in part.kind:
        shape = part.weights["kernel"].shape
        linear = ("linear", shape[0], math.prod(shape[1:]))
        return Forms((narrow, signature, linear), linear, ("table", *shape) if len(shape) == 2 else linear)
    return Forms((narrow, signature), signature, signature)
