"""What is said of each pair in one word, and where only gradients differ."""

from __future__ import annotations

from .faults import Found
from .judging import Judge, Judged
from .places import Place

_GRADIENT_SLACK = 100.0


def set_statuses(judge: Judge, found: Found) -> None:
    """Say of each pair what its part in a difference is."""
    faulty = {id(place.judged.pair.a[0]) for place in found.places if place.judged is not None}
    faulty |= {id(place.judged.pair.b[0]) for place in found.places if place.judged is not None}
    for number, judged in enumerate(judge.judged):
        stations = {id(judged.pair.a[0]), id(judged.pair.b[0])}
        if stations & faulty:
            judged.status = "differs"
        elif number in found.compensated:
            judged.status = "compensated"
        elif not judged.output.within:
            judged.status = "propagates" if found.places else "rounding"
        elif not judged.weights_agree:
            judged.status = "weights"


def gradients_alone(judge: Judge) -> list[Place]:
    """Where only gradients differ: going backwards, the layer that gets an agreeing one and propagates another."""
    odd = [
        found
        for found in judge.judged
        if found.gradient is not None
        and found.gradient.relative > _GRADIENT_SLACK * found.gradient.tolerance
        and not found.gradient.within
    ]
    for found in odd:
        found.status = "gradient"
    if not odd:
        return []
    after = judge.judged[judge.judged.index(odd[-1]) + 1 :]
    return [Place(([*_users(odd[-1], judge), *after, *odd])[0], backward=True)]


def _users(found: Judged, judge: Judge) -> list[Judged]:
    """The pairs that take what a pair returned on both sides."""
    tails = found.pair.a[-1].number, found.pair.b[-1].number
    return [
        other
        for other in judge.judged
        if tails[0] in other.pair.a[0].sources and tails[1] in other.pair.b[0].sources
    ]
