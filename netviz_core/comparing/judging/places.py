"""Where a difference begins: in layers that correspond, or between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...words.protocols import Layer
from ..sides import Side
from ..stations import INPUT, Station
from .difference import Difference
from .frames import Frame
from .judging import Judge, Judged


@dataclass(eq=False)
class Place:
    """Where a difference begins.

    Parameters
    ----------
    judged : Judged or None
        The pair that makes it; None if it arises between layers.
    before : Judged or None
        Between layers: the first pair that is given something different. None at the model's end.
    between_a, between_b : sequence of Station
        Layers that have no partner, and stand there.
    frame : Frame or None
        Containers around it whose own weights differ.
    backward : bool
        Whether all that was returned agrees, and the pair alone propagates another gradient.
    seen : Difference or None
        What the region returned on both sides, given the same.
    ratio : float
        How many times the noise that is.
    judge : Judge or None
        Of the run in which both were given the same.
    """

    judged: Judged | None
    before: Judged | None = None
    between_a: Sequence[Station] = ()
    between_b: Sequence[Station] = ()
    frame: Frame | None = None
    backward: bool = False
    seen: Difference | None = None
    ratio: float = math.nan
    judge: Judge | None = None


@dataclass(eq=False)
class Found:
    """What was found.

    Parameters
    ----------
    places : list of Place
        In the order in which b ran.
    suspicions : list of Place
        Where something may be wrong: more than noise, less than a fault.
    compensated : set of int
        The numbers of the pairs that differ and are put right by what comes after.
    ratios : mapping from int to float
        For each pair how many times the noise its own difference is.
    as_far_as : tuple of str
        Up to where it was looked for, where nothing can be run again.
    """

    places: list[Place] = field(default_factory=list)
    suspicions: list[Place] = field(default_factory=list)
    compensated: set[int] = field(default_factory=set)
    ratios: Mapping[int, float] = field(default_factory=dict)
    as_far_as: tuple[str, ...] = ()


def between(before: Judged | None, judge: Judge) -> Place:
    """A place between layers: before a pair, or at the model's end."""
    heads: Sequence[Station | None] = (None, None)
    if before is not None:
        heads = before.pair.head_a, before.pair.head_b
    ours, theirs = (
        list(_unpaired_before(side, head, judge))
        for side, head in zip((judge.a, judge.b), heads, strict=True)
    )
    return Place(None, before, ours, theirs, odd_frame(judge, before))


def odd_frame(judge: Judge, before: Judged | None = None) -> Frame | None:
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


def is_fed_directly(first: Judged, judge: Judge) -> bool:
    """Whether a pair takes the input of one of the models, as it is or through layers without a partner."""
    heads = first.pair.head_a, first.pair.head_b
    return any(
        INPUT in station.sources
        for side, head in zip((judge.a, judge.b), heads, strict=True)
        for station in (head, *_unpaired_before(side, head, judge))
    )


def _unpaired_before(side: Side, head: Station | None, judge: Judge) -> Iterator[Station]:
    """The layers without a partner through which a station, or the model's end, gets what it is given."""
    paired = {id(station) for found in judge.judged for station in found.pair.stations}
    end = side.whole.sources if side.whole is not None else ()
    seen: list[Station] = []
    waiting = list(head.sources if head is not None else end)
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
