"""What two models return in the end: how far it agrees, and what of it was not compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...recomputing.activation import activated
from ...words.arrays import AxisArray
from ...words.protocols import Layer
from ..common import Matched, matched
from .difference import Difference
from .judging import Judge, like, partners, returned_by
from .unread import not_compared

Array = np.ndarray[Any, Any]

HEADS = {
    "softmax": "scores before the softmax",
    "log_softmax": "scores before the softmax",
    "sigmoid": "scores before the sigmoid",
    "log_sigmoid": "scores before the sigmoid",
}
"""Functions that one of two models may apply in the end, by name, and what is compared then."""
_SMALLEST = {"float16": 6.2e-5}
_SMALL = 1e-30
"""Probabilities below these have lost their digits, by dtype."""
_AS_GOOD_AS = 1.0
"""How far the logarithms of probabilities may be apart, whatever scores of this size may be."""


class Ends(NamedTuple):
    """What there is to say of what two models return.

    Parameters
    ----------
    apart : Difference or None
        How far it is apart; where one side has a softmax or sigmoid more, with that on both sides.
    as_far_as : tuple of str
        Up to where it was compared, where that is not all.
    missing : tuple of str
        What could not be compared at all.
    """

    apart: Difference | None
    as_far_as: tuple[str, ...]
    missing: tuple[str, ...]


def ends_of(judge: Judge) -> Ends:
    """Hold what both models return against each other.

    A head that one side has and the other has not (softmax, sigmoid, or the logarithm of one of them), however it is
    made, is recognised by the numbers: what the two return is not the same then, and neither is a fault.
    """
    a, b = judge.a, judge.b
    missing = list(not_compared(a, b))
    if a.whole is None or b.whole is None:
        absent = " and ".join(side.name for side in (a, b) if side.whole is None)
        return Ends(None, (f"what was captured: what {absent} returned as a whole was not",), tuple(missing))
    if not (a.whole.is_returned_known and b.whole.is_returned_known):
        return Ends(None, (), tuple(missing))
    ours, theirs = returned_by(a.whole), returned_by(b.whole)
    pairs = partners(judge, ours, theirs)
    if len(ours) != len(theirs):
        missing.append(
            f"a returns {len(ours)} tensors and b {len(theirs)}, and those without a counterpart were not compared"
        )
    parts: list[Difference] = []
    far: dict[str, None] = {}
    for i, j in pairs:
        apart = judge.difference(ours[i], theirs[j])
        head = None if apart.within else _head(ours[i], theirs[j], judge)
        if head is not None:
            apart, told = head
            far[told] = None
            _settle(judge, ours[i], theirs[j], apart)
        parts.append(apart)
        share = _share_of_nan(ours[i], theirs[j])
        if share:
            missing.append(f"{share:.2%} of what the models return is NaN on both sides, and tells nothing")
    return Ends(max(parts, key=lambda part: part.error, default=None), tuple(far), tuple(missing))


def seen_in_part(judge: Judge) -> Iterator[str]:
    """Say up to where two models were compared: weights that are not known, that have no partner, or did not run."""
    if judge.a.holds_weights != judge.b.holds_weights:
        bare = judge.b if judge.a.holds_weights else judge.a
        yield (
            f"what was captured: {bare.name} holds no weights, as complete=True would have it, so that none were "
            f"compared"
        )
        return
    compared = {weight.identity for layer in _compared(judge) for weight in layer.weights.values()}
    for side in (judge.a, judge.b):
        ran = {station.path for station in (*side.stations, *side.outer)}
        shown = {
            weight.identity
            for path in ran & side.layers.keys()
            for weight in side.layers[path].weights.values()
        }
        alone: dict[bool, list[str]] = {True: [], False: []}
        for layer in side.layers.values():
            own = {weight.identity for weight in layer.weights.values()}
            if layer.path and own - compared:
                alone[layer.path in ran or own <= shown].append(layer.path)
        if alone[True]:
            yield f"layers that correspond: {side.name} has weights in {_listed(alone[True])}, without a partner"
        if alone[False]:
            yield f"what ran: {side.name} has weights in {_listed(alone[False])}, not seen to run"


def _compared(judge: Judge) -> Iterator[Layer]:
    for found in judge.judged:
        yield from (station.layer for station in (*found.pair.a, *found.pair.b))
    for frame in judge.frames:
        yield from (frame.a, frame.b)


def _listed(paths: Sequence[str], limit: int = 4) -> str:
    return ", ".join(map(repr, paths[:limit])) + (", …" if len(paths) > limit else "")


def _head(a: AxisArray, b: AxisArray, judge: Judge) -> tuple[Difference, str] | None:
    """What one of the two returns made of the other, and what is left of the difference then."""
    together = matched(a, b)
    if together is None or together.a.dtype.kind != "f" or together.b.dtype.kind != "f":
        return None
    smallest = max(_SMALLEST.get(getattr(value, "dtype", ""), _SMALL) for value in (a, b))

    def held(own: Array, other: Array, name: str) -> Difference:
        ours, theirs = (own, other) if name == "a" else (other, own)
        return judge.difference(like(a, ours, together.axes), like(b, theirs, together.axes))

    ways = (("a", "b", (together.a, together.b)), ("b", "a", (together.b, together.a)))
    # First, since the softmax of the logarithm of probabilities is these, too.
    for own, other, (shares, made) in ways:
        if _are_probabilities(shares, together):
            logs = np.log(np.maximum(shares, smallest))
            apart = held(logs, np.maximum(made, np.log(smallest)), own)
            if apart.within:
                told = f"the probabilities: {other} returns the logarithm of what {own} returns"
                return replace(apart, note=told), told
    for own, other, (scores, made) in ways:
        for name, squashed in _squashed(scores, together):
            ends = squashed, made
            is_log = name.startswith("log")
            apart = held(*ends, own)
            is_close = apart.within and (
                is_log or _are_scores_close(squashed, made, scores, smallest, apart.tolerance)
            )
            if not (is_close or is_log) and np.isfinite(scores).all():
                # Large scores may be further apart than their probabilities: then these tell how far they are.
                less, more = (np.log(np.maximum(values, smallest)) for values in ends)
                apart = held(scores, scores + (more - less), own)
                is_close = apart.within and bool((np.abs(more - less) < _AS_GOOD_AS).all())
            if is_close:
                lost = _lost(made, -math.inf, 0.0) if is_log else _lost(made, smallest, 1.0)
                told = f"the {HEADS[name]}: {other} returns the {name} of what {own} returns{lost}"
                return replace(apart, note=told), told
    return None


def _settle(judge: Judge, ours: AxisArray, theirs: AxisArray, apart: Difference) -> None:
    """Say the same of the layers that make the heads."""
    for found in judge.judged:
        tails = found.pair.a[-1], found.pair.b[-1]
        if all(
            any(_is_same(own, value) for own in tail.returned)
            for tail, value in zip(tails, (ours, theirs), strict=True)
        ):
            found.output = apart


def _is_same(one: AxisArray, other: AxisArray) -> bool:
    return one.values is other.values or (
        one.shape == other.shape and np.array_equal(one.values, other.values, equal_nan=True)
    )


def _squashed(scores: Array, together: Matched) -> Iterator[tuple[str, Array]]:
    for place, axis in enumerate(together.axes):
        if axis != "batch" and scores.shape[place] > 1:
            for name in ("softmax", "log_softmax"):
                yield name, _activated(name, scores, place)
    for name in ("sigmoid", "log_sigmoid"):
        yield name, _activated(name, scores)


def _activated(name: str, scores: Array, axis: int = -1) -> Array:
    made = activated(name, scores, {}, axis)
    return scores if made is None else made


def _are_scores_close(squashed: Array, made: Array, scores: Array, smallest: float, tolerance: float) -> bool:
    """Whether scores themselves are close, as far as they can be seen: small probabilities tell of them."""
    is_told = (made > smallest) & (squashed > smallest)
    if not np.isfinite(scores).all() or not is_told.any():
        return False
    left, right = np.log(squashed[is_told]), np.log(made[is_told])
    return bool((np.abs(left - right) <= 10 * tolerance * (1 + np.abs(left))).all())


def _lost(made: Array, least: float, most: float) -> str:
    """Say how much of what was made of scores tells nothing of them: it is the most or least that there can be."""
    share = float(np.mean((made <= least) | (made == most)))
    return f"; {share:.1%} of that is as good as 0 or 1, and tells little of the scores" if share else ""


def _are_probabilities(values: Array, together: Matched) -> bool:
    if not np.isfinite(values).all() or values.min(initial=0) < 0:
        return False
    places = [place for place, axis in enumerate(together.axes) if axis != "batch"]
    return any(np.allclose(values.sum(place), 1, atol=1e-2) for place in places)


def _share_of_nan(a: AxisArray, b: AxisArray) -> float:
    together = matched(a, b)
    if together is None or not all(values.dtype.kind in "fc" and values.size for values in together[:2]):
        return 0.0
    return float((np.isnan(together.a) & np.isnan(together.b)).mean())
