"""How far two models are apart, point by point, in times of the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..stations import INPUT
from .difference import Difference
from .judging import Judge
from .noise import SUSPICION, Noise, coarsest, coarsest_of, noise_of
from .rerun import Point

END = Point(-1, True)
"""What the models return in the end."""

_CLEAN_RATIO = SUSPICION / 2
"""What a layer is given and returns may be apart, in times the noise: what it does itself is no more than both."""


class Apart:
    """The points at which two models are held against each other, in the order in which one of them runs.

    Parameters
    ----------
    free : Judge
        Of both as they ran freely.
    of_a : bool
        Whether a's order counts.
    """

    def __init__(self, free: Judge, of_a: bool) -> None:
        self.free = free
        self.dtypes = {number: coarsest_of(found.pair.stations) for number, found in enumerate(free.judged)}
        self.whole_dtype = coarsest(self.dtypes.values())
        self.measured: Mapping[Point, Difference] = {}
        """What rounding alone was seen to make of what stands there."""
        stations = [found.pair.a[0] if of_a else found.pair.b[0] for found in free.judged]
        self._of_a = of_a
        self.order = sorted(range(len(stations)), key=lambda number: stations[number].number)
        self.points = [Point(n, is_given) for n in self.order for is_given in (True, False)] + [END]
        self.places = {point: place for place, point in enumerate(self.points)}

    def seen(self, point: Point, judge: Judge) -> Difference | None:
        """How far what stands there is apart in a run; None if nothing stands there."""
        if point == END:
            return judge.whole
        found = judge.judged[point.pair]
        return found.given if point.is_given else found.output

    def sources(self, number: int) -> Iterator[int]:
        """The pairs that returned what a pair is given, on the side whose order counts."""
        pairs = [
            (found.pair.a, found.pair.head_a) if self._of_a else (found.pair.b, found.pair.head_b)
            for found in self.free.judged
        ]
        by_tail = {own[-1].number: place for place, (own, _) in enumerate(pairs)}
        side = self.free.a if self._of_a else self.free.b
        waiting = list(pairs[number][1].sources)
        while waiting:
            source = waiting.pop()
            if source in by_tail:
                yield by_tail[source]
            elif source is not None and source != INPUT:
                waiting += side.stations[source].sources

    def is_known(self, point: Point, judge: Judge) -> bool:
        """Whether it is known what would stand there; where nothing can be run again, not all is."""
        if point == END:
            return all(side.whole is None or side.whole.is_returned_known for side in (judge.a, judge.b))
        return judge.judged[point.pair].is_known(point.is_given)

    def ratio(self, point: Point, judge: Judge) -> float:
        """How many times the noise what stands there is apart; 0 if it is not known."""
        seen = self.seen(point, judge)
        if seen is None or not self.is_known(point, judge):
            return 0.0
        return self.times_noise(seen, point)

    def times_noise(self, seen: Difference, point: Point) -> float:
        """How many times the noise there a difference is; with a tolerance of the user's, whether it is beyond that."""
        if self.free.tolerance is not None:
            return 0.0 if seen.within else math.inf
        return self.noise_at(point).ratio(seen)

    def noise_at(self, point: Point) -> Noise:
        """What rounding brings there by itself."""
        return noise_of(self.dtypes.get(point.pair, self.whole_dtype), self.measured.get(point))

    def is_within_freely(self, point: Point) -> bool:
        """Whether what stands there is the same on both sides as they ran."""
        seen = self.seen(point, self.free)
        return seen is not None and seen.within

    def is_clean(self, point: Point) -> bool:
        """Whether what stands there was the same as both ran freely, to much less than what is a fault."""
        return self.free.tolerance is None and self.ratio(point, self.free) < _CLEAN_RATIO
