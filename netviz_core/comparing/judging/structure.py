"""What is only built otherwise: differences that later layers put right, once all between is left as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from .apart import END, Apart
from .judging import Judge
from .noise import FAULT, SUSPICION, is_exact
from .regions import is_laid_out_otherwise
from .rerun import Point, Rerun

_MOST_PASSES = 5
"""How many more passes are made at most to tell another structure from a fault."""

_NEAR, _FAR = 8, 10
"""How many points on something may lie that puts a difference right at once; how many that differ are looked at."""

_GAP_OF_LIKELY, _GAP = 64, 16
"""How far on the next point that differs may lie, to put right what looks, or not, as if something did."""

_ON_THE_WAY = 4.0
"""How many times the noise of one place may be what comes out of a stretch of several."""


class Structure:
    """Tells another structure from a fault.

    Parameters
    ----------
    apart : Apart
    rerun : Rerun
    same : Judge
        Of the run in which both were given the same.
    functions : collection of Point
        What is left as it is in every run.
    """

    def __init__(self, apart: Apart, rerun: Rerun, same: Judge, functions: Collection[Point]) -> None:
        self._apart, self._rerun, self._same, self._functions = apart, rerun, same, functions
        self._points = apart.points

    def closed(self, odd: Sequence[Point]) -> set[Point]:
        """The points that differ by structure alone: what is computed from them agrees, once they are left as they are.

        A layer may have its units in another order, or scaled, and a later one puts that right. From each such layer
        on all is left as it is, for a few points that differ; those up to the first that agrees then are structure.
        Stretches that have no point in common are tried in one pass; what lies behind a fault that was left in place
        is tried again without it. From the first on all was left as it is when both ran freely.
        """
        known = [point for point in odd if self._apart.is_known(point, self._same)]
        closed: set[Point] = set()
        if known and self._is_first(known[0]):
            closed = self._put_right(odd[odd.index(known[0]) :][: _FAR + 1], self._apart.free, self._points)
            known = [point for point in known[1:] if point not in closed]
        led_to = self._led_to(known)
        starts = [point for point in known if point not in led_to]
        likely = [point for point in starts if self._may_be_put_right(point, odd)]
        others = [
            point
            for point in starts
            if not point.is_given and point not in likely and not self._is_of_activations(point)
        ]
        number = 0
        for waiting, gap in ((likely, _GAP_OF_LIKELY), (others, _GAP)):
            while number < _MOST_PASSES:
                left = [point for point in odd if point not in closed]
                stretches = list(self._scheduled([p for p in waiting if p in left], left, gap))
                if not stretches:
                    break
                tried, found = self._tried(stretches, odd)
                closed |= found
                waiting = [point for point in waiting if point not in tried]
                number += 1
        return closed | {point for point, start in led_to.items() if start in closed}

    def _led_to(self, odd: Sequence[Point]) -> dict[Point, Point]:
        """Points at which nothing could be put in place, and what a layer returned in which this has come out.

        A stretch from the one or from the other on is the same: what lies between was left as it is in any case.
        """
        left = {point for point in odd if not self._rerun.puts(point)}
        found: dict[Point, Point] = {}
        for point in odd:
            if point not in left and not point.is_given:
                found |= dict.fromkeys(self._leading_to(point.pair, left), point)
        return found

    def _leading_to(self, pair: int, left: Collection[Point]) -> Iterator[Point]:
        """Of these points those at which stands what a pair was given, or what that was made of."""
        waiting = [pair] if Point(pair, True) in left else []
        while waiting:
            number = waiting.pop()
            yield Point(number, True)
            for source in self._apart.sources(number):
                if Point(source, False) in left:
                    yield Point(source, False)
                    waiting += [source] if Point(source, True) in left else []

    def _tried(
        self, stretches: Sequence[tuple[Point, Point]], odd: Sequence[Point]
    ) -> tuple[set[Point], set[Point]]:
        """Leave all as it is in some stretches: the starts of which it is known then, and what is structure."""
        free = {point for start, end in stretches for point in self._within(start, end)}
        ends = {end for _, end in stretches}
        asked = {point.pair for point in odd if point in free or point in ends} - {END.pair}
        judge = self._rerun.judge({*free, *self._functions}, needed=asked, before=self._same)
        tried: set[Point] = set()
        closed: set[Point] = set()
        for start, end in stretches:
            inside = [p for p in odd if p in self._within(start, end) or p == end]
            found = self._put_right(inside, judge, free)
            closed |= found
            tried.add(start)
            if not found:
                break  # it may be a fault, and what comes behind has seen it
        return tried, closed

    def _is_first(self, point: Point) -> bool:
        """Whether a layer was given the same, too, when both ran freely, and all before it was the same."""
        before, free = self._points[: self._apart.places[point]], self._apart.free
        return (
            free.tolerance is None
            and not point.is_given
            and is_exact(self._apart.whole_dtype)
            and all(self._apart.is_known(p, free) and self._apart.ratio(p, free) < SUSPICION for p in before)
        )

    def _put_right(self, inside: Sequence[Point], judge: Judge, free: Collection[Point]) -> set[Point]:
        """Of points that were all left as they are, those up to the first that agrees; and so on behind it."""
        found: set[Point] = set()
        rest = list(inside)
        while len(rest) > 1:
            agreeing = next((p for p in rest[1:] if self._agrees(p, judge)), None)
            given = Point(rest[0].pair, True)
            is_put = self._rerun.puts(given) and given not in free
            is_given_the_same = rest[0].is_given or is_put or self._agrees(given, judge)
            if agreeing is None or not is_given_the_same:
                break
            stop = rest.index(agreeing) + 1
            found |= set(rest[:stop])
            rest = rest[stop:]
        return found

    def _agrees(self, point: Point, judge: Judge) -> bool:
        """Whether what stands there, some layers after values were put in place, is the same on both sides.

        Where that is not known, whether it was when both ran freely, in spite of all that came before.
        """
        if not self._apart.is_known(point, judge):
            return self._apart.is_within_freely(point)
        return self._apart.ratio(point, judge) < _ON_THE_WAY * FAULT

    def _may_be_put_right(self, point: Point, odd: Sequence[Point]) -> bool:
        """Whether a difference looks like one of structure: of what a layer returns, before something else differs."""
        if point.is_given or point == odd[-1]:
            return False
        following = odd[odd.index(point) + 1 :]
        place = self._apart.places[point]
        is_near = any(self._apart.places[other] - place <= _NEAR for other in following if other.is_given)
        return is_near or is_laid_out_otherwise(self._same.judged[point.pair])

    def _is_of_activations(self, point: Point) -> bool:
        """Whether another function is applied: unless that is the same but for a scale, nothing puts it right."""
        pair = self._same.judged[point.pair].pair
        return all(own[-1].layer.kind == "activation" for own in (pair.a, pair.b))

    def _scheduled(
        self, waiting: Sequence[Point], odd: Sequence[Point], gap: int
    ) -> Iterator[tuple[Point, Point]]:
        """Stretches without a point in common: from where, and up to which point that differs."""
        last = -1
        for start in waiting:
            following = list(self._following(start, odd, gap))
            if self._apart.places[start] > last and following:
                last = self._apart.places[following[-1]]
                yield start, following[-1]

    def _following(self, start: Point, odd: Sequence[Point], gap: int) -> Iterator[Point]:
        """The points that differ behind one, as long as there is no gap between them."""
        last = start
        for point in odd[odd.index(start) + 1 :][:_FAR]:
            if self._apart.places[point] - self._apart.places[last] > gap:
                return
            last = point
            yield point

    def _within(self, start: Point, end: Point) -> Sequence[Point]:
        """The points from one to another, without that."""
        return self._points[self._apart.places[start] : self._apart.places[end]]
