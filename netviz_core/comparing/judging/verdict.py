"""Finds where two models first differ: which pair makes a difference, and which only propagate one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ...words.protocols import Layer
from ..sides import INPUT, Side, Station
from .difference import Difference
from .frames import Frame
from .gradients import odd_gradient
from .judging import JUMP, NOISE, Judge, Judged
from .rounding import Rounding

_HIDING = ("activation", "pool", "dropout")
_BOUNDED = ("softmax", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "relu6", "softsign")
_LEFT = 1e-3
"""What may be left, as a share, of a difference that is compensated."""


@dataclass(eq=False)
class Place:
    """Where a difference begins.

    Parameters
    ----------
    judged : Judged or None
        The pair that makes it; None if it arises between layers.
    before : Judged or None
        Between layers: the first pair that is given something different. None at the model's end.
    between_a, between_b : list of Station
        Layers that have no partner, and stand there.
    frame : Frame or None
        Containers whose own weights differ.
    backward : bool
        Whether all that was returned agrees, and the pair alone propagates another gradient.
    """

    judged: Judged | None
    before: Judged | None = None
    between_a: Sequence[Station] = ()
    between_b: Sequence[Station] = ()
    frame: Frame | None = None
    backward: bool = False


def place_of_divergence(judge: Judge) -> Place | None:
    """Find where the difference begins, and say of each pair what its part in it is; None if there is none.

    A pair makes a difference if what its layers were given agrees and what they returned does not, and if
    this is not compensated further on. Where errors only grow, little by little, it is the pair where
    they grow most; and none, if each layer does the same once it is given the same.
    """
    first, rounding = None, Rounding(judge)
    for found in judge.judged:
        if found.output.within:
            continue
        if _is_compensated(found, judge):
            found.status = "compensated"
            continue
        if first is None and rounding.explains(found):
            found.status = "rounding"
            continue
        found.status = "propagates"
        first = first or found
    if first is None and rounding.explains_end():
        return None
    if first is None:
        return _at_the_end(judge) or _weights_alone(judge) or _gradients_alone(judge)
    if first.given is not None and not first.given.within and not _same_layer_differs(first):
        return _between(first, judge)
    origin = _origin(first, judge)
    origin.status = "differs"
    return Place(origin)


def _same_layer_differs(found: Judged) -> bool:
    """Whether inputs that differ in nothing but what cannot be compared say little."""
    return found.given is not None and found.given.max_abs == 0


def _is_compensated(found: Judged, judge: Judge) -> bool:
    """Whether what comes after compensates a difference: an order of features, say, to which kernels fit."""
    users = _users(found, judge)
    if users and all(_compensates(other, found) for other in users):
        return found.weights_agree or any(not other.weights_agree for other in users)
    again = _agree_again(found, judge)
    ends_apart = judge.whole is not None and not judge.whole.within  # then what agrees may be another branch
    if again is not None and not ends_apart:
        return _compensates(again, found) and found.weights_agree
    only_moves = found.pair.a[0].layer.kind == "reshape"
    return only_moves and judge.whole is not None and _is_gone(found.output, judge.whole)


def _agree_again(found: Judged, judge: Judge) -> Judged | None:
    """The first pair after one that differs from which on all agree."""
    after = judge.judged[judge.judged.index(found) + 1 :]
    agreeing = list(takewhile(lambda other: other.output.within, reversed(after)))
    return agreeing[-1] if agreeing else None


def _compensates(other: Judged, found: Judged) -> bool:
    """Whether a pair that agrees shows that the difference before it is none, and does not only hide it.

    A softmax that is all but one and zeros hides any difference, and so does a ReLU that lets nothing through.
    """
    configs = [station.layer.config for station in (*other.pair.a, *other.pair.b)]
    hides = other.pair.a[0].layer.kind in _HIDING or any(c.get("activation") in _BOUNDED for c in configs)
    return not hides and _is_gone(found.output, other.output)


def _is_gone(before: Difference, after: Difference) -> bool:
    """Whether nothing but rounding is left of a difference: one that was only damped may grow on other inputs."""
    return after.within and after.error <= max(_LEFT * before.error, after.tolerance / 50)


def _users(found: Judged, judge: Judge) -> list[Judged]:
    """The pairs that take what a pair returned: on both sides, or, if there is none, on one."""
    tails = found.pair.a[-1].number, found.pair.b[-1].number
    takes = [
        (other, tails[0] in other.pair.head_a.sources, tails[1] in other.pair.head_b.sources)
        for other in judge.judged
    ]
    both = [other for other, in_a, in_b in takes if in_a and in_b]
    return both or [other for other, in_a, in_b in takes if in_a or in_b]


def _origin(first: Judged, judge: Judge) -> Judged:
    """The pair where errors grow most, of those that lead to the first one beyond the tolerance."""
    if first.given is None or first.output.error > JUMP * first.given.error:
        return first
    leading = [found for found in judge.judged if found.given is not None][: judge.judged.index(first) + 1]
    noise = max(NOISE.get(slot.dtype, NOISE["float32"]) for slot in first.pair.a[-1].returned[:1])
    grown = max(leading, key=lambda found: found.output.error / max(_error_given(found), noise))
    return grown if grown.output.error > JUMP * max(_error_given(grown), noise) else first


def _error_given(found: Judged) -> float:
    return found.given.error if found.given is not None else 0.0


def _between(first: Judged, judge: Judge) -> Place:
    """Where a pair is given something different, though all pairs before it agree."""
    if judge.inputs is not None and not judge.inputs.within and is_fed_directly(first):
        return Place(None, first)
    heads = first.pair.head_a, first.pair.head_b
    between_a, between_b = (
        list(_unpaired_before(side, head, judge))
        for side, head in zip((judge.a, judge.b), heads, strict=True)
    )
    return Place(None, first, between_a, between_b, _odd_frame(judge, first))


def _odd_frame(judge: Judge, before: Judged | None = None) -> Frame | None:
    """The innermost containers whose own weights differ; of those around a pair, if one is given."""
    around = [
        frame
        for frame in judge.frames
        if not frame.agrees
        and (before is None or all(map(_stands_in, (before.pair.a[0], before.pair.b[0]), (frame.a, frame.b))))
    ]
    return max(around, key=lambda frame: len(frame.a.path), default=None)


def _stands_in(station: Station, container: Layer) -> bool:
    return not container.path or station.path.startswith((f"{container.path}.", f"{container.path}/"))


def is_fed_directly(first: Judged) -> bool:
    """Whether a pair takes the input of one of the models."""
    return INPUT in first.pair.head_a.sources or INPUT in first.pair.head_b.sources


def _unpaired_before(side: Side, head: Station, judge: Judge) -> Iterator[Station]:
    """The layers without a partner through which a station gets what it is given, the earliest first."""
    paired = {id(station) for found in judge.judged for station in found.pair.stations}
    seen: list[Station] = []
    waiting = list(head.sources)
    while waiting:
        source = waiting.pop()
        if source is None or source == INPUT:
            continue
        station = side.stations[source]
        if id(station) not in paired and station not in seen:
            seen.append(station)
            waiting += station.sources
    computing = [station for station in seen if station.layer.kind != "input"]
    return iter(sorted(computing, key=lambda station: station.number))


def _at_the_end(judge: Judge) -> Place | None:
    """Where all pairs agree, and what the models return does not."""
    if judge.whole is None or judge.whole.within:
        return None
    paired = {id(station) for found in judge.judged for station in found.pair.stations}
    ends = []
    for side in (judge.a, judge.b):
        sources = side.whole.sources if side.whole is not None else ()
        last = [side.stations[n] for n in sources if n is not None and n != INPUT]
        ends.append([station for station in last if id(station) not in paired])
    return Place(None, None, ends[0], ends[1])


def _stands_alone(found: Judged) -> bool:
    """Whether a layer does not compensate a difference before it."""
    return found.status == "agrees" and (found.given is None or found.given.within)


def _weights_alone(judge: Judge) -> Place | None:
    """Where nothing that was returned differs, and weights do: on another input it may."""
    odd = [found for found in judge.judged if not found.weights_agree and _stands_alone(found)]
    for found in odd:
        found.status = "weights"
    frame = _odd_frame(judge)
    return Place(odd[0]) if odd else Place(None, frame=frame) if frame is not None else None


def _gradients_alone(judge: Judge) -> Place | None:
    """Where only gradients differ."""
    odd = odd_gradient(judge)
    return Place(odd, backward=True) if odd is not None else None
