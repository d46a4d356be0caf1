"""What is said of each pair in one word."""

from __future__ import annotations

from .judging import Judge
from .places import Found


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
        elif not judged.weights_agree and (judged.given is None or judged.given.within):
            judged.status = "weights"
