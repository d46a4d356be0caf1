"""What should be known though it is no divergence.

Settings that differ without effect, rounding that has grown, outputs without a counterpart, numbers that are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...models.alignment import LayerMapping, given_groups
from ...models.counterparts import held_by
from ..judging.difference import Difference
from ..judging.judging import Judge, Judged, like, outputs_of
from ..judging.noise import coarsest, coarsest_of
from ..judging.recipes import courses_of
from ..judging.regions import is_laid_out_otherwise
from ..judging.weights import Layers
from ..sides import Side, containers_of
from .causes import Cause, odd_weights
from .proposals import differing
from .weight_changes import changes_in

_OF_FUNCTIONS = ("activation", "slope")
_OTHER_SIZES = (-1.0, 30.0, -0.03)
_IDLE = "without effect on this input"
_ODD = ("differs", "propagates")


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
        *_idle_weights(judge),
        *_not_finite(judge),
        *(cause for found in judge.judged for cause in _hidden(found, judge)),
        *(_remark(*differing, layers) for differing, layers in seen.items()),
    )


def not_followed(judge: Judge, mapping: LayerMapping | None) -> Iterator[Cause]:
    """Pairs that the user names and that were not compared as such: what holds layers is compared layer by layer."""
    followed = {
        (ours.path, theirs.path) for found in judge.judged for ours in found.pair.a for theirs in found.pair.b
    } | {(frame.a.path, frame.b.path) for frame in judge.frames}
    for ours, theirs in given_groups(list(judge.a.layers.values()), judge.b.layers, mapping):
        if {(one.path, other.path) for one in ours for other in theirs} <= followed:
            continue
        reasons = [
            why
            for side, layers in ((judge.a, ours), (judge.b, theirs))
            for layer in layers
            if (why := _why_not_seen(side, layer.path))
        ]
        told = [", ".join(repr(layer.path) for layer in layers) for layers in (ours, theirs)]
        path_a, path_b = ours[0].path, theirs[0].path
        is_several = len(ours) + len(theirs) > 2
        is_named = is_several or (isinstance(mapping, Mapping) and mapping.get(path_a) == path_b)
        # A glob means all within, and these are paired by it, too.
        if len(reasons) < len(ours) + len(theirs) or is_named:
            why = "; ".join(reasons) or "they are not called equally often"
            text = f"mapping: {told[0]} and {told[1]} are not compared as a pair: {why}"
            yield Cause(path_a, path_b, text, True, "mapping")


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
    is_head = "scores before" in found.output.note  # which is told as such
    if not words or is_head:
        return
    if found.status == "compensated" and _are_given_the_same(found) and ours.activation and theirs.activation:
        text = (
            f"{'; '.join(words)}: what they return differs by {found.output.max_abs:.1e} at most, and what comes "
            f"behind hides it: {_IDLE}"
        )
        yield Cause(found.pair.a[0].path, found.pair.b[0].path, text, True, "activation")
    if found.status != "agrees" or _is_compared_as_scores(found, judge):
        return
    for factor in _OTHER_SIZES:
        inputs = [like(value, value.values * factor, value.axes) for value in ours.inputs]
        results = ours.result(inputs=inputs), theirs.result(inputs=inputs)
        if results[0] is None or results[1] is None:
            return
        apart = judge.difference(results[0], results[1], found.output.tolerance)
        if not apart.within:
            text = (
                f"{'; '.join(words)}: {_IDLE}; for {factor:g} times what the layers are given "
                f"they would differ by {apart.max_abs:.1e}"
            )
            yield Cause(found.pair.a[0].path, found.pair.b[0].path, text, True, "activation")
            return


def _is_compared_as_scores(found: Judged, judge: Judge) -> bool:
    """Whether the pair agrees as a head and its scores do: which function is applied is told there."""
    ours, theirs = outputs_of(found.pair)
    return bool(ours and theirs) and not judge.difference(ours[0], theirs[0]).within


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
    """Rounding beyond the tolerance: of a narrower float that one side computes in, or grown on the way."""
    grown = [found for found in judge.judged if found.status == "rounding"]
    if not grown or any(found.status in _ODD for found in judge.judged):
        return
    worst = max(grown, key=lambda found: found.output.error)
    apart = f"{worst.output.error:.1e}, beyond the tolerance of {worst.output.tolerance:g}"
    for found in grown:
        paths = found.pair.a[0].path, found.pair.b[0].path
        ours, theirs = (coarsest_of(stations) for stations in (found.pair.a, found.pair.b))
        if ours != theirs:
            who, narrow, path = (
                ("a", ours, paths[0]) if coarsest((ours, theirs)) == ours else ("b", theirs, paths[1])
            )
            text = (
                f"{who} computes in {narrow}: from {path!r} on what is returned is up to {apart}, and each layer, "
                f"given the same, returns the same but for what rounding to {narrow} brings"
            )
            yield Cause(*paths, text, True, "precision")
            return
    first = grown[0].pair
    text = (
        f"rounding grows through the layers to {apart}: each layer, given the same, returns the same but for what "
        f"rounding brings"
    )
    yield Cause(first.a[0].path, first.b[0].path, text, True, "rounding")


def _idle_weights(judge: Judge) -> Iterator[Cause]:
    """Weights that differ, and do not show: this input does not reach them, or what comes behind hides them."""
    odd = [found for found in judge.judged if not found.weights_agree]
    norms_a, norms_b = (
        sum(station.layer.kind.endswith("_norm") for station in side.stations) for side in (judge.a, judge.b)
    )
    may_be_folded = norms_a != norms_b
    for found in odd:
        is_hidden = not may_be_folded and _is_hidden(found, len(odd) == 1)
        if (is_hidden or _is_idle(found)) and not _is_the_same_anywhere(found, judge):
            pair = found.pair
            text = f"of {pair.a[0].path!r} {_changes(*pair.layers, found.weights)}"
            yield Cause(pair.a[0].path, pair.b[0].path, f"{text}: {_IDLE}", True, "weights")
    for frame in judge.frames if all(found.status not in _ODD for found in judge.judged) else ():
        if not frame.agrees:
            text = f"of {frame.a.path or 'the model itself'!r} {_changes(frame.a, frame.b, frame.weights)}"
            yield Cause(frame.a.path, frame.b.path, f"{text}: {_IDLE}", True, "weights")


def _is_idle(found: Judged) -> bool:
    """Whether layers are given the same, and return the same."""
    return found.status == "weights" and _is_one_each(found)


def _is_hidden(found: Judged, is_alone: bool) -> bool:
    """Whether layers are given the same, and what they return differs, and nothing comes of it.

    Of units that are laid out otherwise something comes, which other weights put right.
    """
    is_structure = not is_alone and is_laid_out_otherwise(found)
    return found.status == "compensated" and _is_one_each(found) and not is_structure


def _is_one_each(found: Judged) -> bool:
    return len(found.pair.a) == len(found.pair.b) and _are_given_the_same(found)


def _are_given_the_same(found: Judged) -> bool:
    return found.given is None or found.given.within


def _changes(a: Layers, b: Layers, weights: Mapping[str, Difference]) -> str:
    return "; ".join(change.words for change in changes_in(held_by(a, b), odd_weights(weights)))


def _is_the_same_anywhere(found: Judged, judge: Judge) -> bool:
    """Whether layers whose weights differ compute the same: asked what they return for random numbers."""
    ours, theirs = courses_of(found.pair)
    if any(value.values.dtype.kind != "f" for value in ours.inputs):
        return False
    random = np.random.default_rng(0)
    inputs = [
        like(value, random.standard_normal(value.values.shape).astype(value.values.dtype), value.axes)
        for value in ours.inputs
    ]
    results = ours.result(inputs=inputs), theirs.result(inputs=inputs)
    if results[0] is None or results[1] is None:
        return len(ours.recipes) != len(theirs.recipes)  # which weights correspond is not known
    return judge.difference(results[0], results[1], found.output.tolerance).within


def _remark(name: str, left: Any, right: Any, layers: list[Judged]) -> Cause:
    first = layers[0].pair
    where = (
        f"in {len(layers)} layers, first {first.a[0].path!r}"
        if len(layers) > 1
        else f"in {first.a[0].path!r}"
    )
    told = [
        _as_written(name, value, station.layer.config)
        for value, station in ((left, first.a[0]), (right, first.b[0]))
    ]
    words = f"{name} is {told[0]} in a and {told[1]} in b, {where}"
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


def _as_written(name: str, value: Any, config: Mapping[str, Any]) -> str:
    """A setting as its user wrote it: as momentum some count what is kept of the old statistics."""
    if name != "momentum" or "kept" not in config:
        return str(value)
    return f"{config['kept']:g} (what is kept of the old statistics: {value:g} is taken of the new ones)"


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
