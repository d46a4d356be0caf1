"""The weights of two layers, held against each other as if one were a copy of the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...models.counterparts import Held, held_by
from ...words.protocols import Layer
from .difference import Difference, difference, incomparable, tolerance_for

Array = np.ndarray[Any, Any]
Layers = Layer | Sequence[Layer]


def weight_differences(a: Layers, b: Layers, tolerance: float | None = None) -> dict[str, Difference]:
    """How far each weight of b is from what it would be as a copy of a's."""
    return differences_of(held_by(a, b), tolerance)


def differences_of(held: Iterable[Held], tolerance: float | None = None) -> dict[str, Difference]:
    """How far weights are from what they would be as copies."""
    return {weight.name: _difference(weight, tolerance) for weight in held}


def _difference(weight: Held, tolerance: float | None) -> Difference:
    if weight.expected is None or weight.held is None:
        return incomparable(weight.reason)
    dtypes = [dtype or "float32" for dtype in weight.dtypes]
    limit = tolerance if tolerance is not None else tolerance_for(*dtypes)
    return difference(weight.expected, weight.held, limit, weight.note)


def weight_pairs(a: Layers, b: Layers) -> dict[str, tuple[Array, Array]]:
    """The weights of two layers, a's in the form that b's would have as a copy of them."""
    return {
        weight.name: (weight.expected.copy(), weight.held.copy())
        for weight in held_by(a, b)
        if weight.expected is not None and weight.held is not None
    }
