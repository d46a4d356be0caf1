"""A difference that arises between layers: where it stands, and what the numbers say of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from ...models.counterparts import held_by
from ...words.arrays import AxisArray
from ...words.protocols import Layer
from ..common import matched, sketch
from ..judging.enclosing import innermost_containers
from ..judging.frames import Frame
from ..judging.judging import Judge, Judged, orders_before, returned_by
from ..judging.places import Place, is_fed_directly
from ..judging.recipes import named
from ..judging.weights import differences_of
from ..pairing.pairs import StationPair
from ..permutations import order_along
from ..sides import Side
from ..stations import INPUT, Station
from .causes import Cause, causes_at, odd_weights
from .expressions import PASSED_ON, Earlier, Explained, explained
from .signatures import called, corrected, signature
from .steps import step_apart
from .weight_changes import WeightChange, changes_in, weight_changes

Array = np.ndarray[Any, Any]

_MOST_EARLIER = 16
_PARTS = 3
"""Queries, keys and values."""
_SAME = 1e-3


def causes_between(place: Place, paths: tuple[str, str], judge: Judge) -> list[Cause]:
    """Find out what is done between layers on one side and not on the other."""
    ours, theirs = given_at(place, judge)
    if not ours or not theirs:
        return [
            Cause(*paths, "unknown: what stands here returned nothing that could be seen", False, "unknown")
        ]
    before = place.before
    if before is not None and len(ours) != len(theirs):
        heads = before.pair.a[0].path, before.pair.b[0].path
        text = f"{heads[0]!r} is given {len(ours)} tensors in a, and {heads[1]!r} {len(theirs)} in b"
        return [Cause(*paths, text, False, "inputs")]
    swapped = _from_elsewhere(place, judge)
    if swapped is not None:
        return [Cause(*paths, swapped, True, "order of layers")]
    own = _of_layers_alone(place, judge)
    if own:
        return own
    untested = "not confirmed: what several layers do together is not recomputed"
    several = [
        Cause(one.path_a, one.path_b, f"{one.change.words}; {untested}", False, one.change.name)
        for one in weights_alone(place, judge)
    ]
    if several:
        return several
    for a, b in zip(ours, theirs, strict=False):
        apart = judge.difference(a, b)
        if apart.within:
            continue
        earlier = _earlier(judge, place)
        why = explained(a, b, earlier, judge) or explained(a, b, [*earlier, *_alone(place, a, b)], judge)
        at_input = place.before is not None and is_fed_directly(place.before, judge)
        lone = _the_one_that_is_odd(why, a, judge) if why is not None else None
        if why is not None and lone is not None:
            text = f"{why.words}, for which the order of features makes up; what differs has come with {lone[0]!r}"
            return [Cause(*lone, text, False, PASSED_ON, why.reads)]
        if why is not None and not (at_input and why.name == "scale"):  # which is told as preprocessing
            told = (
                ""
                if why.is_written
                else "; not confirmed: the numbers fit, and such factors are hardly ever written"
            )
            is_sure = why.name != PASSED_ON and why.is_written
            return [Cause(*paths, f"{why.words}{told}", is_sure, why.name, why.reads)]
        found = signature(a, b, judge, _orders(a, place, judge))
        if found is not None:
            return [Cause(*paths, corrected(found, apart), True, called(found, at_input))]
    step = step_apart(place, judge) if place.judged is None else None
    if step is not None:
        at = (step.path, paths[1]) if step.is_of_a else (paths[0], step.path)
        return [Cause(*at, step.words, True, step.name)]
    if (
        before is not None
        and is_fed_directly(before, judge)
        and judge.inputs is not None
        and not judge.inputs.within
    ):
        return [Cause(*paths, _other_inputs(judge), True, "inputs")]
    return [
        Cause(
            *paths,
            "unknown: an operation between the layers; no known one explains the numbers",
            False,
            "unknown",
        )
    ]


def _the_one_that_is_odd(why: Explained, value: AxisArray, judge: Judge) -> tuple[str, str] | None:
    """Of queries and keys the ones that alone are wrong: in the order of the others b's attention makes a's value."""
    pairs = [next((f.pair for f in judge.judged if f.pair.a[-1].path == path), None) for path in why.reads]
    ends = [(returned_by(pair.a[-1]), returned_by(pair.b[-1])) for pair in pairs if pair is not None]
    if why.attention is None or len(ends) != _PARTS or not all(ours and theirs for ours, theirs in ends):
        return None
    ours, theirs = ([side[place][0].canonical().values for side in ends] for place in (0, 1))
    for wrong, right in ((0, 1), (1, 0)):
        is_one_form = ours[right].shape == theirs[right].shape
        order = order_along(ours[right], theirs[right], -1) if is_one_form else None
        order = _as_in_each_head(order, ours[0].shape[-1] // why.attention.heads, ours[wrong].shape[-1])
        if order is None:
            continue
        given = {wrong: ours[wrong].take(order, -1), right: theirs[right], 2: ours[2]}
        made = why.attention(*(given[place] for place in range(_PARTS)))
        pair = pairs[wrong]
        if pair is not None and judge.difference(AxisArray(made, value.axes), value).within:
            return pair.a[-1].path, pair.b[-1].path
    return None


def _as_in_each_head(order: Array | None, size: int, width: int) -> Array | None:
    """An order of features for another number of heads of this size; None if it is not the same in each head."""
    if order is None or len(order) == width:
        return order
    within = order.reshape(-1, size) - size * np.arange(len(order) // size)[:, np.newaxis]
    every: Array = size * np.arange(width // size)[:, np.newaxis] + within[0]
    return every.ravel() if (within == within[0]).all() else None


def _other_inputs(judge: Judge) -> str:
    """What to do where both have seen other inputs: of models, or of captures, which keep what they were made of."""
    assert judge.inputs is not None
    apart = f"they differ by {judge.inputs.max_abs:.1e} at most"
    captured = [side.name for side in (judge.a, judge.b) if side.inputs is None]
    if len(captured) == 2:
        return f"the two captures were made of different inputs ({apart}); capture both with the same samples"
    if captured:
        other = "b" if captured == ["a"] else "a"
        own = captured[0]
        return (
            f"the capture {own} was made of another input than {other} was given ({apart}); give {other} that"
        )
    return (
        f"a and b were given different inputs ({apart}): of a pair (x, y) each is given one; "
        f"to give each of them both, give ((x, y), (x, y))"
    )


def _of_layers_alone(place: Place, judge: Judge) -> list[Cause]:
    """Why layers of one kind differ that stand here without partners, since their weights have other shapes."""
    left = list(place.between_b)
    for station in place.between_a:
        other = next((one for one in left if one.layer.kind == station.layer.kind), None)
        if other is None or station.layer.kind == "other":
            continue
        left.remove(other)
        found = judge.judged_as(StationPair([station], [other], (), 1.0))
        if found.given is None or not found.given.within or found.output.within:
            continue
        causes = causes_at(found, judge)
        if all(cause.name != "unknown" for cause in causes):
            return causes
    return []


class Alone(NamedTuple):
    """How the weights of layers differ that have no partners: of one that is several on the other side."""

    path_a: str
    path_b: str
    change: WeightChange


def weights_alone(place: Place, judge: Judge) -> list[Alone]:
    """Hold the weights of the layers without partners that run last before a place against each other, step by step.

    None where not each of them has a counterpart.
    """
    ours, theirs = _run_alone_before(place, judge)
    if not ours or not theirs or len(ours) == len(theirs):
        return []
    held = list(held_by(ours, theirs))
    if any(weight.expected is None or weight.held is None for weight in held):
        return []
    odd = odd_weights(differences_of(held))
    return [Alone(_holder(ours, change), _holder(theirs, change), change) for change in changes_in(held, odd)]


def _run_alone_before(place: Place, judge: Judge) -> list[list[Layer]]:
    """The layers with weights, on both sides, that have run since the last one with a partner."""
    paired = {id(station) for found in judge.judged for station in found.pair.stations}
    heads: Sequence[Station | None] = (None, None)
    if place.before is not None:
        heads = place.before.pair.head_a, place.before.pair.head_b
    found = []
    for side, head in zip((judge.a, judge.b), heads, strict=True):
        before = reversed(side.stations[: head.number] if head is not None else side.stations)
        alone = takewhile(lambda station: id(station) not in paired, before)
        found.append([station.layer for station in alone if station.layer.weights][::-1])
    return found


def _holder(layers: Sequence[Layer], change: WeightChange) -> str:
    """Which of several layers holds weights that are called by it; the first if they are called by the other side's."""
    named = (one.path for one in layers if any(name.endswith(f" of {one.path!r}") for name in change.weights))
    return next(named, layers[0].path)


def _orders(value: AxisArray, place: Place, judge: Judge) -> Iterator[tuple[str, Array]]:
    """In which orders what is given may have been flattened."""
    if place.before is not None and len(value.shape) == 2:
        yield from orders_before(judge.a, place.before.pair.a[0], value.shape[1])


def given_at(place: Place, judge: Judge) -> tuple[Sequence[AxisArray], Sequence[AxisArray]]:
    """What comes out of the place where the difference begins, on both sides."""
    if place.judged is not None:
        return returned_by(place.judged.pair.a[-1]), returned_by(place.judged.pair.b[-1])
    returned = innermost_containers(place.before, judge).returned
    if returned is not None:
        return returned
    if place.before is not None:
        heads = place.before.pair.head_a, place.before.pair.head_b
        a, b = ([named(head, value) for value in head.given] for head in heads)
        return a, b
    assert judge.a.whole is not None
    assert judge.b.whole is not None
    return returned_by(judge.a.whole), returned_by(judge.b.whole)


def _from_elsewhere(place: Place, judge: Judge) -> str | None:
    """Whether the two are fed by layers that are no partners of each other: another wiring, or another order."""
    if place.before is None:
        return None
    head_a, head_b = place.before.pair.head_a, place.before.pair.head_b
    partners = {INPUT: INPUT} | {f.pair.a[-1].number: f.pair.b[-1].number for f in judge.judged}
    for source_a, source_b in zip(head_a.sources, head_b.sources, strict=False):
        if source_a is None or source_b is None:
            continue
        origin_a = _paired_before(judge.a, source_a, partners.keys())
        origin_b = _paired_before(judge.b, source_b, set(partners.values()))
        if origin_a is None or origin_b is None or partners[origin_a] == origin_b:
            continue
        told = [_said(side, source) for side, source in ((judge.a, source_a), (judge.b, source_b))]
        return (
            f"{head_a.path!r} is fed by {told[0]} in a, {head_b.path!r} by {told[1]} in b: "
            f"layers stand in another order"
        )
    return None


def _paired_before(side: Side, number: int, paired: Collection[int]) -> int | None:
    """The station with a partner, or the input, from which this one has what it returns."""
    while number not in paired:
        sources = side.stations[number].sources
        if len(sources) != 1 or sources[0] is None:
            return None
        number = sources[0]
    return number


def _said(side: Side, number: int) -> str:
    return "the model's input" if number == INPUT else repr(side.stations[number].path)


def _earlier(judge: Judge, place: Place) -> list[Earlier]:
    """What was returned, or given to a layer, before: the latest first, and each value once.

    Where values of a were put in place in b, what b went on with is what a had.
    """
    returned: list[Earlier] = []
    given: list[Earlier] = []
    for judged in sorted(_all_before(place, judge), key=lambda found: -found.pair.a[-1].number):
        values = _went_on_with(judged, judge)
        if values is not None:
            paths = judged.pair.a[-1].path, judged.pair.b[-1].path
            words = [f"what {path!r} returned" for path in paths]
            returned.append(Earlier(words[0], *values, paths[0], words[1]))
        heads = judged.pair.head_a, judged.pair.head_b
        if _is_before(heads, place) and all(len(head.given) == 1 for head in heads):
            words = [f"what {head.path!r} was given" for head in heads]
            given.append(Earlier(words[0], heads[0].given[0], heads[1].given[0], words_b=words[1]))
    return _each_once([*returned[:_MOST_EARLIER], *given[:_MOST_EARLIER]])


def _alone(place: Place, a: AxisArray, b: AxisArray) -> Iterator[Earlier]:
    """What layers without a partner returned, if it is not what was given itself."""
    for is_a, value, stations in ((True, a, place.between_a), (False, b, place.between_b)):
        few = sketch(value.canonical().values)
        for station in stations:
            for own in returned_by(station)[:1]:
                if not np.allclose(sketch(own.canonical().values), few, _SAME, _SAME * np.abs(few).max()):
                    words = f"what {station.path!r} (in {'a' if is_a else 'b'} alone) returned"
                    yield Earlier(words, *((own, _NOTHING) if is_a else (_NOTHING, own)))


_NOTHING = AxisArray(np.zeros(0), ("batch",))
"""Stands for what the other side does not have; it has the form of nothing else."""


def _all_before(place: Place, judge: Judge) -> list[Judged]:
    """The pairs that one side has run when it comes to a place."""
    if place.before is None:
        return list(judge.judged)
    head_a, head_b = place.before.pair.head_a, place.before.pair.head_b
    return [
        found
        for found in judge.judged
        if found.pair.a[-1].number < head_a.number or found.pair.b[-1].number < head_b.number
    ]


def _is_before(heads: tuple[Station, Station], place: Place) -> bool:
    """Whether both sides come to these first: what is handed on has one place at which it begins."""
    if place.before is None:
        return True
    stops = place.before.pair.head_a, place.before.pair.head_b
    return all(head.number < stop.number for head, stop in zip(heads, stops, strict=True))


def _each_once(values: Sequence[Earlier]) -> list[Earlier]:
    found: list[tuple[Earlier, Array]] = []
    for value in values:
        few = np.concatenate([sketch(part.canonical().values) for part in (value.a, value.b)])
        if not any(np.allclose(few, other, _SAME, _SAME * np.abs(few).max()) for _, other in found):
            found.append((value, few))
    return [value for value, _ in found]


def _went_on_with(judged: Judged, judge: Judge) -> tuple[AxisArray, AxisArray] | None:
    """What came after a pair was made of, on both sides: without an activation that one of them alone has built in.

    Which one the other side applies is what is asked for.
    """
    tails = judged.pair.a[-1], judged.pair.b[-1]
    returned = [returned_by(tail)[:1] for tail in tails]
    if not all(returned):
        return None
    (a,), (b,) = returned
    if judged.function_of:
        plain = b if judged.function_of == "a" else a
        return plain, plain
    if judged.output.within or not judge.is_of_rerun or matched(a, b) is None:
        return (a, b) if judged.output.within else None
    return (a, a) if judge.b.can_be_rerun else (b, b)


def causes_in_frame(frame: Frame) -> list[Cause]:
    """How the weights of containers differ, which they use between their layers."""
    untested = (
        "not confirmed: what a container computes itself cannot be recomputed"
        if frame.a.kind == "container"
        else "no call of this layer was seen, so that it cannot be said what it does"
    )
    return [
        Cause(frame.a.path, frame.b.path, f"{change.words}; {untested}", False, change.name)
        for change in weight_changes(frame.a, frame.b, odd_weights(frame.weights))
    ]


def between_words(place: Place) -> str:
    """Where a difference between layers stands."""
    before: Judged | None = place.before
    if place.frame is not None:
        return f"weights of {place.frame.a.path or 'the model itself'}"
    if before is None:
        return "after the last layers that correspond"
    return f"before {before.pair.a[0].path!r} in a and {before.pair.b[0].path!r} in b"
