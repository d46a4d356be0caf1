"""Gradients of one loss on both sides of a comparison: of weights, and where these differ, of what layers returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ...attributions.losses import gradient_of
from ...attributions.questions import score_of
from ...captures.batches import as_numbers
from ...captures.recorder import Recorder
from ...models.flattening import reordered
from ...words.arrays import AxisArray, as_float64
from ...words.errors import InputError, UnsupportedError
from ...words.protocols import Layer
from ..sides import Side
from .difference import Difference, difference, tolerance_for
from .judging import Judge, Judged

Array = np.ndarray[Any, Any]
OfLayers = Mapping[str, Mapping[str, Array]]
"""The gradients of weights, by path and name."""

_SLACK, _MOST = 100.0, 0.25
"""How many times the tolerance gradients may be apart, and at most how far: at the kink of a ReLU, rounding
decides on single values."""
_NOTHING = 1e-6
"""A gradient so small beside the largest of all is none."""


def compare_gradients(judge: Judge, loss: str, targets: Any) -> tuple[str, ...]:
    """Note of each pair how far its gradients are apart; say what could not be compared.

    Those of weights count: they see all that comes back. Those of what layers returned differ without effect where
    a ReLU lets nothing through or features are flattened otherwise; they are looked at to find the place, between the
    last layer whose weights are given another gradient and the next one whose weights are given the same.

    Raises
    ------
    UnsupportedError
        If a model is not here, or its backend has no gradients.
    """
    asked = [_Asked(side, loss, targets) for side in (judge.a, judge.b)]
    ours, theirs = (of_side.of_weights() for of_side in asked)
    most = max((_rms(values) for layer in theirs.values() for values in layer.values()), default=0.0)
    for found in judge.judged:
        found.gradient = _of_weights(found, ours, theirs, _NOTHING * most)
    known = [found.gradient is not None for found in judge.judged]
    odd = [place for place, found in enumerate(judge.judged) if _is_odd(found)]
    places = _places_between(odd, known) if any(known) else range(len(known))
    returned = [of_side.of_returned() if places else {} for of_side in asked]
    for place in places:
        judge.judged[place].gradient = _of_returned(judge.judged[place], judge, *returned)
    if not any(known):
        _clear_without_effect(judge.judged)
    return tuple(_untrained(judge, ours, theirs))


def odd_gradient(judge: Judge) -> Judged | None:
    """Going backwards, the layer that gets an agreeing gradient and propagates another; None if there is none."""
    odd = [found for found in judge.judged if _is_odd(found)]
    for found in odd:
        found.status = "gradient"
    if not odd:
        return None
    after = judge.judged[judge.judged.index(odd[-1]) + 1 :]
    tails = odd[-1].pair.a[-1].number, odd[-1].pair.b[-1].number
    users = [
        other for other in after if tails[0] in other.pair.a[0].sources or tails[1] in other.pair.b[0].sources
    ]
    return (users or after or odd)[0]


class _Asked:
    """One side, of which the gradients of a loss are asked."""

    def __init__(self, side: Side, loss: str, targets: Any) -> None:
        if side.network is None or not hasattr(side.network.adapter, "gradients"):
            raise UnsupportedError(
                f"{side.name} is a capture, or its backend has no gradients; give the model itself, or leave loss= out"
            )
        self._side, self._loss, self._targets = side, loss, targets
        self._native, self._adapter = side.network.native, side.network.adapter

    def of_weights(self) -> OfLayers:
        """Of every weight that can be trained; none where the backend does not tell them."""
        found: dict[str, dict[str, Array]] = {}
        if hasattr(self._adapter, "gradients_of_weights"):
            pulled = self._adapter.gradients_of_weights(self._native, self._side.inputs, self._seed)
            for path, name, gradient in pulled:
                found.setdefault(path, {})[name] = gradient
        return found

    def of_returned(self) -> dict[tuple[str, int], AxisArray]:
        """Of the first tensor that each call of each layer returned."""
        layers = list(self._side.layers.values())
        returned, pulled = Recorder(layers, reduce=lambda activation: 0.0), Recorder(layers)
        self._adapter.gradients(self._native, self._side.inputs, self._seed, returned, pulled)
        found: dict[tuple[str, int], AxisArray] = {}
        for slot in pulled.slots:
            found.setdefault((slot.path, slot.call), slot.get())
        return found

    def _seed(self, parts: Mapping[str, AxisArray]) -> dict[str, Array]:
        leaf, scores = score_of(parts, None)
        derivative = gradient_of(self._loss, scores.values, as_numbers(self._targets))
        return {leaf: derivative.astype(np.float32)}


def _of_weights(found: Judged, ours: OfLayers, theirs: OfLayers, least: float) -> Difference | None:
    """The worst difference of the gradients of weights that are the same."""
    a, b = found.pair.a[0].layer, found.pair.b[0].layer
    given, wanted = ours.get(a.path, {}), theirs.get(b.path, {})
    size = max((least, *map(_rms, (*given.values(), *wanted.values()))))
    parts = [
        _held(expected, wanted[name], size, _limit(a, b, name), f"of its {name}")
        for name, expected in _expected(a, b, given, wanted)
        if found.weights.get(name) is not None and found.weights[name].within
    ]
    return max(parts, key=lambda part: part.error, default=None)


def _expected(
    a: Layer, b: Layer, given: Mapping[str, Array], wanted: Mapping[str, Array]
) -> Iterator[tuple[str, Array]]:
    """The gradients of a's weights as those of b's would be."""
    for name in given.keys() & wanted.keys():
        with suppress(InputError):  # features in an order that nobody tells
            moved, _ = reordered(given[name], b.weights[name].axes, a, b)
            if moved.shape == wanted[name].shape:
                yield name, moved


def _held(ours: Array, theirs: Array, size: float, limit: float, note: str) -> Difference:
    """A difference as a share of the largest gradient in the layer: others may be nothing but rounding."""
    apart = difference(ours, theirs, limit, note)
    if not size or not np.isfinite(apart.max_abs):
        return apart
    share = _rms(as_float64(ours) - theirs) / size
    return replace(apart, error=share, beyond=0.0 if share <= limit else apart.beyond)


def _limit(a: Layer, b: Layer, name: str) -> float:
    return min(_SLACK * tolerance_for(a.weights[name].dtype, b.weights[name].dtype), _MOST)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0


def _is_odd(found: Judged) -> bool:
    return found.gradient is not None and not found.gradient.within


def _places_between(odd: Sequence[int], known: Sequence[bool]) -> range:
    """The pairs without weights between the last that are given another gradient and the next that are not."""
    if not odd:
        return range(0)
    following = (place for place in range(odd[-1] + 1, len(known)) if known[place])
    return range(odd[-1] + 1, next(following, len(known)))


def _of_returned(
    found: Judged, judge: Judge, ours: Mapping[Any, AxisArray], theirs: Mapping[Any, AxisArray]
) -> Difference | None:
    """Of what a pair returned, where both have that in one form."""
    tails = found.pair.a[-1], found.pair.b[-1]
    left, right = ours.get((tails[0].path, tails[0].call)), theirs.get((tails[1].path, tails[1].call))
    is_flat = "another order" in found.output.note or tails[0].layer.kind == "reshape"
    if left is None or right is None or is_flat or not found.output.within:
        return None
    apart = judge.difference(left, right)
    if not np.isfinite(apart.error):
        return None
    limit = min(_SLACK * apart.tolerance, _MOST)
    return replace(apart, error=apart.relative, tolerance=limit, note="with respect to what they returned")


def _clear_without_effect(judged: Sequence[Judged]) -> None:
    """Where no weight is trained, what comes back to the first layer is what counts."""
    first = next((found for found in judged if found.gradient is not None), None)
    if first is None or first.gradient is None or first.gradient.within:
        for found in judged:
            found.gradient = found.gradient if not _is_odd(found) else None


def _untrained(judge: Judge, ours: OfLayers, theirs: OfLayers) -> Iterator[str]:
    """Weights that one side trains and the other does not."""
    for side, own, other, turned in ((judge.a, ours, theirs, False), (judge.b, theirs, ours, True)):
        names: dict[str, None] = {}
        for found in judge.judged:
            pair = found.pair.a[0].layer, found.pair.b[0].layer
            here, there = reversed(pair) if turned else pair
            for name in sorted(other.get(there.path, {}).keys() & here.weights.keys()):
                if name not in own.get(here.path, {}):
                    names[f"{here.path}.{name}"] = None
        if own and names:
            told = ", ".join(list(names)[:4]) + (", …" if len(names) > 4 else "")
            yield f"the gradients that both have: {side.name} does not train {told}"
