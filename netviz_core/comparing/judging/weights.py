"""The weights of two layers, held against each other as if one were a copy of the other."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from ...models.transfer import counterpart, is_neutral, merge_recurrent_biases, values_for
from ...words.errors import InputError, UnsupportedError
from ...words.protocols import Layer
from .difference import Difference, difference, incomparable, tolerance_for

Array = np.ndarray[Any, Any]


def weight_differences(a: Layer, b: Layer, tolerance: float | None = None) -> dict[str, Difference]:
    """How far each weight of b is from what it would be as a copy of a's."""
    if not b.weights and not a.weights:
        return {}
    try:
        values, _ = values_for(a, b, copy=False)
    except UnsupportedError as error:
        return {"": incomparable(str(error))}
    held = held_by(b, a)
    found = {}
    for name, weight in b.weights.items():
        if name not in held:
            continue
        try:
            expected, note = counterpart(name, weight, values, a, b)
            limit = (
                tolerance if tolerance is not None else tolerance_for(_weight_dtype(a, name), weight.dtype)
            )
            found[name] = difference(expected, held[name], limit, note)
        except (InputError, UnsupportedError) as error:
            found[name] = incomparable(str(error))
    for name in values.keys() - b.weights.keys():
        if not is_neutral(name, values[name]):
            found[name] = incomparable("b's layer has no such weight")
    return found


def weight_pairs(a: Layer, b: Layer) -> dict[str, tuple[Array, Array]]:
    """The weights of two layers, a's in the form that b's would have as a copy of them."""
    found = {}
    with suppress(UnsupportedError):
        values, _ = values_for(a, b)
        for name, held in held_by(b, a).items():
            with suppress(InputError):
                found[name] = counterpart(name, b.weights[name], values, a, b)[0], held.copy()
    return found


def held_by(layer: Layer, other: Layer) -> dict[str, Array]:
    """The weights of a layer as far as another one has such: one bias for two that do what one does."""
    held = {name: weight.peek() for name, weight in layer.weights.items()}
    merge_recurrent_biases(other, held)
    return held


def _weight_dtype(layer: Layer, name: str) -> str:
    weight = layer.weights.get(name)
    return weight.dtype if weight is not None else "float32"
