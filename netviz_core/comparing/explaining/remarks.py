"""What should be known though it is no divergence.

Settings that differ without effect, rounding that has grown, outputs without a counterpart, numbers that are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...models.alignment import LayerMapping, given_pairs
from ...words.protocols import Layer
from ..judging.judging import Judge, Judged, like
from ..judging.noise import coarsest
from ..judging.recipes import courses_of
from ..sides import Side, containers_of
from .causes import Cause, odd_weights
from .proposals import differing
from .weight_changes import WeightChange, weight_changes

_OF_FUNCTIONS = ("activation", "slope")
_MOST_TOLD = 12
_OTHER_SIZES = (-1.0, 30.0, -0.03)


def remarks_on(judge: Judge) -> tuple[Cause, ...]:
    """One cause for each thing to be known, whatever number of layers has it."""
    seen: dict[tuple[str, Any, Any], list[Judged]] = {}
    for found in judge.judged:
        ours, theirs = found.pair.a[0].layer.config, found.pair.b[0].layer.config
        for name in ("momentum", "rate", "epsilon"):
            left, right = ours.get(name), theirs.get(name)
            if left != right and None not in (left, right) and (name != "epsilon" or found.output.within):
                seen.setdefault((name, left, right), []).append(found)
    return (
        *_rounding(judge),
        *_precisions(judge),
        *_weights_without_effect(judge),
        *_not_finite(judge),
        *(cause for found in judge.judged for cause in _hidden(found, judge)),
        *(_remark(*differing, layers) for differing, layers in seen.items()),
    )


def _precisions(judge: Judge) -> Iterator[Cause]:
    """That one side computes in a narrower float than the other: what rounding to that does is no fault."""
    dtypes = [
        coarsest(value.dtype for station in side.stations for value in station.returned)
        for side in (judge.a, judge.b)
    ]
    if judge.judged and dtypes[0] != dtypes[1]:
        text = f"a computes in {dtypes[0]} and b in {dtypes[1]}: what rounding to the coarser one does is no fault"
        yield Cause("", "", text, True, "precision")


def _weights_without_effect(judge: Judge) -> Iterator[Cause]:
    """Weights that differ where what is returned, in the end at least, does not: on another input it may."""
    told = 0
    is_built_alike = len(judge.a.stations) == len(judge.b.stations)
    for found in judge.judged:
        a, b = found.pair.a[0].layer, found.pair.b[0].layer
        odd = odd_weights(found.weights)
        is_hidden = (
            is_built_alike and found.status == "compensated" and (found.given is None or found.given.within)
        )
        if odd and (found.status == "weights" or is_hidden) and told < _MOST_TOLD:
            told += 1
            others = [layer for layer in judge.a.layers.values() if layer.path != a.path]
            yield from _without_effect(a, b, weight_changes(a, b, odd, others))
    for frame in judge.frames:
        if not frame.agrees and not any(found.status == "differs" for found in judge.judged):
            yield from _without_effect(
                frame.a, frame.b, weight_changes(frame.a, frame.b, odd_weights(frame.weights))
            )


def _without_effect(a: Layer, b: Layer, changes: Iterable[WeightChange]) -> Iterator[Cause]:
    for change in changes:
        yield Cause(a.path, b.path, f"{change.words}: without effect on this input", True, change.name)


def not_followed(judge: Judge, mapping: LayerMapping | None) -> Iterator[Cause]:
    """Pairs that the user names and that were not compared as such: what holds layers is compared layer by layer."""
    followed = {
        (ours.path, theirs.path) for found in judge.judged for ours in found.pair.a for theirs in found.pair.b
    } | {(frame.a.path, frame.b.path) for frame in judge.frames}
    for layer, path in given_pairs(list(judge.a.layers.values()), judge.b.layers, mapping):
        reasons = [why for why in (_why_not_seen(judge.a, layer.path), _why_not_seen(judge.b, path)) if why]
        is_named = isinstance(mapping, Mapping) and mapping.get(layer.path) == path
        # A glob means all within, and these are paired by it, too.
        if (layer.path, path) not in followed and (len(reasons) < 2 or is_named):
            why = "; ".join(reasons) or "they are not called equally often"
            text = f"mapping: {layer.path!r} and {path!r} are not compared as a pair: {why}"
            yield Cause(layer.path, path, text, True, "mapping")


def _why_not_seen(side: Side, path: str) -> str:
    if any(station.path == path for station in side.stations):
        return ""
    holds = any(path in containers_of(other) for other in side.layers)
    why = "holds other layers, which are compared one by one" if holds else "was not seen to run"
    return f"{side.name}'s {path!r} {why}"


def _hidden(found: Judged, judge: Judge) -> Iterator[Cause]:
    """Functions that are not the same, and return the same here: asked what they return for other numbers."""
    ours, theirs = courses_of(found.pair)
    words = [one.words for one in differing(ours, theirs) if one.name in _OF_FUNCTIONS]
    if not words or found.status != "agrees":
        return
    for factor in _OTHER_SIZES:
        inputs = [like(value, value.values * factor, value.axes) for value in ours.inputs]
        results = ours.result(inputs=inputs), theirs.result(inputs=inputs)
        if results[0] is None or results[1] is None:
            return
        apart = judge.difference(results[0], results[1], found.output.tolerance)
        if not apart.within:
            text = (
                f"{'; '.join(words)}: without effect on this input; for {factor:g} times what the layers are given "
                f"they would differ by {apart.max_abs:.1e}"
            )
            yield Cause(found.pair.a[0].path, found.pair.b[0].path, text, True, "activation")
            return


def _not_finite(judge: Judge) -> Iterator[Cause]:
    """The first layer that returned what is no number, on both sides: nothing can be told from it."""
    for found in judge.judged:
        share = found.output.not_finite
        if share:
            a, b = found.pair.a[0].path, found.pair.b[0].path
            text = (
                f"{share:.2%} of what {a or 'the model'!r} returned is not finite, the same on both "
                f"sides: a difference there, and in what comes of it, cannot be seen"
            )
            yield Cause(a, b, text, True, "not finite")
            return


def _rounding(judge: Judge) -> Iterator[Cause]:
    grown = [found for found in judge.judged if found.status == "rounding"]
    if grown:
        first, worst = grown[0], max(grown, key=lambda found: found.output.error)
        text = (
            f"rounding grows through the layers to {worst.output.error:.1e}, beyond the tolerance of "
            f"{worst.output.tolerance:g}: each layer, given the same, returns the same"
        )
        yield Cause(first.pair.a[0].path, first.pair.b[0].path, text, True, "rounding")


def _remark(name: str, left: Any, right: Any, layers: list[Judged]) -> Cause:
    first = layers[0].pair
    where = (
        f"in {len(layers)} layers, first {first.a[0].path!r}"
        if len(layers) > 1
        else f"in {first.a[0].path!r}"
    )
    words = f"{name} is {left} in a and {right} in b, {where}"
    if name == "epsilon":
        text = f"{words}: its effect is within the tolerance on this input"
        return Cause(first.a[0].path, first.b[0].path, text, False, name)
    effect = _after_one_step(layers[0], left, right) if name == "momentum" else None
    text = f"{words}: without effect in evaluation mode; training will differ"
    if effect is not None:
        text += (
            f": after one step on this input the running mean by {effect:.1e}, with the same momentum by 0"
        )
    return Cause(first.a[0].path, first.b[0].path, text, effect is not None, name)


def _after_one_step(found: Judged, left: float, right: float) -> float | None:
    """How far the running means would be apart after one step of training on this input."""
    station = found.pair.a[0]
    mean = station.weights.get("running_mean")
    if mean is None or not station.given or "channel" not in station.given[0].axes:
        return None
    x = station.given[0]
    others = tuple(place for place, axis in enumerate(x.axes) if axis != "channel")
    new = x.values.mean(others, dtype=np.float64)
    return float(np.max(np.abs((left - right) * (new - mean)))) if new.shape == mean.shape else None
