"""In which container a difference between layers arises: the innermost of which the numbers say so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...words.arrays import AxisArray
from ..sides import Side, containers_of
from ..stations import Station
from .judging import Judge, Judged


class Enclosing(NamedTuple):
    """Two containers, and what they returned, if it is already there that it differs."""

    path_a: str
    path_b: str
    returned: tuple[Sequence[AxisArray], Sequence[AxisArray]] | None = None


def innermost_containers(before: Judged | None, judge: Judge) -> Enclosing:
    """Find the containers within which something is done before a pair is given what differs.

    Parameters
    ----------
    before : Judged or None
        The first pair that is given something different; None at the model's end.
    judge : Judge
    """
    stop = judge.judged.index(before) if before is not None else len(judge.judged)
    last = judge.judged[stop - 1] if stop else None
    if last is not None:
        for ours, theirs in _around(last, before, judge):
            if not _agree(ours.returned, theirs.returned, judge):
                return Enclosing(ours.path, theirs.path, (ours.returned, theirs.returned))
    if before is not None:
        for ours, theirs in _around(before, last, judge):
            if _agree(ours.given, theirs.given, judge):
                return Enclosing(ours.path, theirs.path)
    heads = (before.pair.a[0], before.pair.b[0]) if before is not None else (None, None)
    return Enclosing(_common(judge.a, heads[0]), _common(judge.b, heads[1]))


def _around(found: Judged, other: Judged | None, judge: Judge) -> Iterator[tuple[Station, Station]]:
    """The containers in which a pair stands and another does not, the innermost first, where both sides have them."""
    for ours in containers_of(found.pair.a[0].path):
        within = _pairs_within(ours, judge)
        if not ours or (other is not None and other in within):
            return
        for theirs in containers_of(found.pair.b[0].path):
            one, same = judge.a.containers.get(ours), judge.b.containers.get(theirs)
            if one and same and within == _pairs_within(theirs, judge, of_b=True):
                yield one, same
                break


def _pairs_within(path: str, judge: Judge, of_b: bool = False) -> list[Judged]:
    return [
        found
        for found in judge.judged
        if path in containers_of((found.pair.b if of_b else found.pair.a)[0].path)
    ]


def _agree(ours: Sequence[AxisArray], theirs: Sequence[AxisArray], judge: Judge) -> bool:
    return bool(ours and theirs) and judge.difference(ours[0], theirs[0]).within


def _common(side: Side, head: Station | None) -> str:
    """The innermost container that a station and the one before it share."""
    if head is None or not head.number:
        return ""
    before = containers_of(side.stations[head.number - 1].path)
    return next((path for path in containers_of(head.path) if path in before), "")
