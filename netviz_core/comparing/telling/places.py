"""What is told of a place where two models differ: the layers, how far they are apart given the same, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from ...words.arrays import AxisArray
from ..common import matched
from ..explaining.between import between_words, causes_between, causes_in_frame, given_at, weights_alone
from ..explaining.causes import cause_backward, causes_at
from ..explaining.expressions import PASSED_ON
from ..judging.difference import Difference
from ..judging.enclosing import innermost_containers
from ..judging.judging import Judge, Judged
from ..judging.noise import coarsest, coarsest_of
from ..judging.places import Place
from ..judging.weights import weight_pairs
from ..stations import Station
from .findings import Fault, LayerPair

Array = np.ndarray[Any, Any]


def fault_at(place: Place, free: Judge) -> Fault:
    """What is told of a place: the layers, how far they are apart given the same, and why."""
    judge = place.judge or free
    if place.judged is not None and place.backward:
        pair = replace(pair_told(place.judged), status="gradient")
        return Fault(pair, (cause_backward(place.judged),))
    if place.judged is not None:
        return Fault(
            pair_told(place.judged, "differs", place.ratio, _precision(place, judge)),
            tuple(causes_at(place.judged, judge)),
            _outputs_at(place, judge),
        )
    pair = _pair_between(place, judge)
    paths = pair.path_a, pair.path_b
    own = _with_function_before(place, judge)
    apart = place.seen
    if own is not None and apart is not None:
        between = causes_between(place, (own.pair.a[0].path, own.pair.b[0].path), judge)
        if between[0].name in ("activation", "slope"):
            return Fault(
                replace(pair_told(own, "differs", place.ratio, pair.precision), **metrics(apart)),
                tuple(between),
                _outputs_at(place, judge),
            )
    causes = [
        *(causes_in_frame(place.frame) if place.frame is not None else ()),
        *causes_between(place, paths, judge),
    ]
    return Fault(pair, tuple(causes), _outputs_at(place, judge))


def is_passed_on(fault: Fault) -> bool:
    """Whether nothing is done there but to hand on what an earlier fault has made."""
    return bool(fault.causes) and all(cause.name == PASSED_ON for cause in fault.causes)


def standing(places: Sequence[Place], told: Sequence[Fault], free: Judge) -> list[tuple[Place, Fault]]:
    """Places that hand nothing on alone, and that nothing behind them puts right; all if there were none."""
    right = {
        path
        for fault in filter(is_passed_on, told)
        for cause in fault.causes
        for path in cause.reads
        if path != cause.path_a
    }
    both = list(zip(places, told, strict=True))
    own = [(place, fault) for place, fault in both if not is_passed_on(fault) and fault.path_a not in right]
    for place, fault in both if own else ():
        if place.judged is not None and fault.path_a in right:
            free.judged[(place.judge or free).judged.index(place.judged)].status = "compensated"
    return own or both


def without_doubtful(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Call nothing confirmed of places of which one may make up for the other."""
    doubtful: dict[int, list[str]] = {}
    for fault in faults:
        for path in (path for cause in fault.causes for path in cause.reads):
            for other in (other for other in faults if other is not fault and other.path_a == path):
                doubtful.setdefault(id(fault), []).append(path)
                doubtful.setdefault(id(other), []).append(fault.path_a or "the operation that reads it")
    return tuple(_doubted(fault, doubtful[id(fault)]) if id(fault) in doubtful else fault for fault in faults)


def _doubted(fault: Fault, others: Sequence[str]) -> Fault:
    told = ", ".join(map(repr, dict.fromkeys(others)))
    causes = (
        replace(
            cause,
            confirmed=False,
            text=f"{cause.statement}; not confirmed: what differs at {told} may make up for it, or may not",
        )
        for cause in fault.causes
    )
    return replace(fault, causes=tuple(causes))


def suspicion_at(place: Place, free: Judge) -> LayerPair:
    """The layers of a place that may differ by more than noise."""
    judge = place.judge or free
    if place.judged is None:
        return replace(_pair_between(place, judge), status="suspicion")
    return pair_told(place.judged, "suspicion", place.ratio, _precision(place, judge))


def _pair_between(place: Place, judge: Judge) -> LayerPair:
    """What stands where a difference arises between layers."""
    path_a, path_b = _paths_between(place, judge)
    assert place.seen is not None
    return LayerPair(
        path_a,
        path_b,
        kind="container",
        call=0,
        **metrics(place.seen),
        given_error=float("nan"),
        confidence=1.0,
        evidence=("between layers",),
        status="differs",
        weights=place.frame.weights if place.frame is not None else {},
        note=f"between layers: {between_words(place)}",
        ratio=place.ratio,
        precision=_precision(place, judge),
    )


def _precision(place: Place, judge: Judge) -> str:
    """The coarsest dtype of what a place is made of: the noise is its own."""
    if math.isnan(place.ratio):
        return ""
    made_of = [place.judged] if place.judged is not None else judge.judged
    return coarsest(coarsest_of(found.pair.stations) for found in made_of)


def _with_function_before(place: Place, judge: Judge) -> Judged | None:
    """The pair before a place between layers, where one side's layer applies a function that the other's does not."""
    stop = judge.judged.index(place.before) if place.before is not None else len(judge.judged)
    before = judge.judged[stop - 1] if stop else None
    return before if before is not None and before.function_of else None


def _paths_between(place: Place, judge: Judge) -> tuple[str, str]:
    """What stands where a difference arises between layers: a layer without a partner, or the container of all."""
    alone = weights_alone(place, judge)
    if alone:
        return alone[0].path_a, alone[0].path_b
    around = innermost_containers(place.before, judge)
    a, b = (
        _likeliest(stations).path if stations else container
        for stations, container in zip((place.between_a, place.between_b), around[:2], strict=True)
    )
    return a, b


def _likeliest(stations: Sequence[Station]) -> Station:
    """Of layers without a partner the first with weights, or that does anything."""
    weighing = (station for station in stations if station.layer.weights)
    return next(chain(weighing, (s for s in stations if not s.hands_on), stations))


def pair_told(found: Judged, status: str = "", ratio: float = float("nan"), precision: str = "") -> LayerPair:
    pair = found.pair
    return LayerPair(
        pair.a[0].path,
        pair.b[0].path,
        kind=pair.a[0].layer.kind,
        call=pair.a[0].call,
        **metrics(found.output),
        given_error=found.given.error if found.given is not None else float("nan"),
        confidence=pair.confidence,
        evidence=pair.evidence,
        status=status or found.status,
        weights=found.weights,
        gradient=found.gradient,
        note="; ".join(filter(None, (*dict.fromkeys(pair.notes), found.output.note, _function_in(found)))),
        ratio=ratio,
        precision=precision or (coarsest_of(found.pair.stations) if ratio == ratio else ""),
    )


def _function_in(found: Judged) -> str:
    """Which side's layer has built in what the other side does behind its own."""
    if not found.function_of:
        return ""
    other = "b" if found.function_of == "a" else "a"
    return f"{found.function_of} applies an activation within the layer, {other} behind it or not at all"


def metrics(apart: Difference) -> dict[str, Any]:
    return {
        "max_abs_difference": apart.max_abs,
        "mean_abs_difference": apart.mean_abs,
        "relative_error": apart.relative,
        "cosine_similarity": apart.cosine,
        "share_beyond": apart.beyond,
        "error": apart.error,
        "tolerance": apart.tolerance,
        "within_tolerance": apart.within,
    }


def _outputs_at(place: Place | None, judge: Judge) -> tuple[AxisArray, AxisArray] | None:
    """What was returned, or given, where the difference begins."""
    if place is None:
        return None
    ours, theirs = given_at(place, judge)
    together = matched(ours[0], theirs[0]) if ours and theirs else None
    if together is None:
        return None
    return AxisArray(together.a, together.axes), AxisArray(together.b, together.axes)


def weights_at(place: Place | None) -> dict[str, tuple[Array, Array]]:
    if place is None or place.judged is None:
        return {}
    return weight_pairs(*place.judged.pair.layers)
