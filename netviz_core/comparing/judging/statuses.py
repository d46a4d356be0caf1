"""What is said of each pair in one word."""

from __future__ import annotations

import math

from .judging import Judge
from .places import Found, Place


def set_statuses(judge: Judge, found: Found) -> None:
    """Say of each pair what its part in a difference is."""
    faulty = {id(place.judged.pair.a[0]) for place in found.places if place.judged is not None}
    faulty |= {id(place.judged.pair.b[0]) for place in found.places if place.judged is not None}
    first = min(map(_begins, found.places), default=math.inf)
    for number, judged in enumerate(judge.judged):
        stations = {id(judged.pair.a[0]), id(judged.pair.b[0])}
        if stations & faulty:
            judged.status = "differs"
        elif number in found.compensated:
            judged.status = "compensated"
        elif not judged.output.within:
            judged.status = "propagates" if judged.pair.b[-1].number >= first else "rounding"
        elif not judged.weights_agree and (judged.given is None or judged.given.within):
            judged.status = "weights"


def _begins(place: Place) -> float:
    """The number of the station of b that first has what differs at a place."""
    if place.judged is not None:
        return place.judged.pair.b[0].number
    return place.before.pair.head_b.number if place.before is not None else math.inf
