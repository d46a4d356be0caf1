"""Looks for faults, and for what is only built otherwise, by passes in which values of one model stand in the other."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile

from ..pairing.pairs import StationPair
from ..sides import INPUT, Station
from .difference import Array, Difference
from .judging import Judge
from .noise import FAULT, SUSPICION, Noise, coarsest, coarsest_of, is_exact, moved, noise_of
from .places import Found, Place, between
from .regions import (
    has_function_on_one_side,
    is_laid_out_otherwise,
    is_padded,
    join_neighbours,
    join_what_agrees,
    side_with_function,
    what_may_join,
)
from .rerun import Point, Rerun
from .units import see_in_order_of_a

END = Point(-1, True)
"""What the models return in the end."""

_MOST_PASSES = 5
"""How many more passes are made at most to tell another structure from a fault."""

_NEAR, _FAR = 8, 10
"""How many points on something may lie that puts a difference right at once; how many that differ are looked at."""

_MOST_LAYOUTS = 3
"""How often it is asked anew in which order features lie: a flattening is seen before what reads it."""

_ON_THE_WAY = 4.0
"""How many times the noise of one place may be what comes out of a stretch of several."""

_GROWN = 20.0
"""How many times what rounding of the input alone makes of the output it may be apart when all places agree."""

_GREY = 1e-3
"""Errors of exact floats below this may be rounding in a layer that multiplies it: then that is measured."""

_CLEAN_RATIO = SUSPICION / 2
"""What a layer is given and returns may be apart, in times the noise: what it does itself is no more than both."""

_MOST_HIDDEN = 4
"""How many places are named that could not be judged."""

_CLEAN = 2e-5
"""Below this no error of exact floats is looked at any closer."""


class Search:
    """One search for faults, by passes in which values of the one side stand in the other."""

    def __init__(self, judge: Judge) -> None:
        self._free = judge
        self._reordered = see_in_order_of_a(judge)
        join_neighbours(judge)
        self._dtypes = {number: coarsest_of(found.pair.stations) for number, found in enumerate(judge.judged)}
        self._whole_dtype = coarsest(self._dtypes.values())
        self._rerun = Rerun(judge)
        self._functions: dict[Point, str] = {}
        """Where one side's layer applies an activation itself, and which side that is: its own value stays there."""
        self._measured: Mapping[Point, Difference] = {}
        stations = [found.pair.a[0] if self._rerun.is_turned else found.pair.b[0] for found in judge.judged]
        self._order = sorted(range(len(stations)), key=lambda number: stations[number].number)
        # What comes behind a difference may agree as both ran because that is put right between layers.
        needed = list(dropwhile(self._is_clean, self._order))
        self._same = self._rerun.judge(needed=needed)
        for _ in range(_MOST_LAYOUTS):
            again = self._rerun.as_seen_in(self._same)
            if again.features == self._rerun.features:
                break
            # Seen better, now that no error travels.
            self._rerun, self._same = again, again.judge(needed=needed)
        if self._is_noise_needed():
            self._measured = self._of_moving()
        self._points = [Point(n, is_given) for n in self._order for is_given in (True, False)] + [END]
        self._join_what_agrees()
        self._join_what_clears()

    def found(self) -> Found:
        """All places, and what is only built otherwise."""
        ratios = {point: self._ratio(point, self._same) for point in self._points}
        odd = [point for point in self._points if ratios[point] >= FAULT and point not in self._functions]
        closed = self._put_right_at_once(odd)
        # What is not known, and agrees as both ran freely, may be where something is put right.
        looked_at = [
            p
            for p in self._points
            if p in odd or (not self._is_known(p, self._same) and self._is_within_freely(p))
        ]
        closed |= self._closed([point for point in looked_at if point not in closed])
        faults = [point for point in odd if point not in closed]
        as_far_as = tuple(self._as_far_as())
        if not faults and not as_far_as and self._is_more_than_rounding():
            faults = [END]
        return Found(
            list(self._regions(faults)),
            [self._place(p) for p in self._points if SUSPICION <= ratios[p] < FAULT],
            {point.pair for point in closed.intersection(odd) | self._functions.keys()} | self._reordered,
            {point.pair: value for point, value in ratios.items() if not point.is_given},
            as_far_as,
        )

    def _is_clean(self, number: int) -> bool:
        """Whether a pair was given the same, and returned the same, as both ran freely: it need not run again."""
        if self._free.tolerance is not None:
            return False
        return all(
            self._ratio(Point(number, is_given), self._free) < _CLEAN_RATIO for is_given in (True, False)
        )

    def _as_far_as(self) -> Iterator[str]:
        """Say where it is not known what comes of what: nothing can be run again, and not all be recomputed."""
        hidden = [point for point in self._points if self._is_hidden(point)]
        if hidden:
            told = [self._told(point) for point in hidden[:_MOST_HIDDEN]] + ["…"] * (
                len(hidden) > _MOST_HIDDEN
            )
            yield (
                f"layers can be recomputed, since nothing can be run again: not judged apart from what differs "
                f"earlier were {', '.join(told)}"
            )

    def _is_hidden(self, point: Point) -> bool:
        is_known = self._is_known(point, self._same)
        return (
            not is_known and self._seen(point, self._free) is not None and not self._is_within_freely(point)
        )

    def _told(self, point: Point) -> str:
        if point == END:
            return "what comes after the last layers"
        path = self._free.judged[point.pair].pair.a[0].path
        return f"what is done before {path!r}" if point.is_given else f"{path!r}"

    def _seen(self, point: Point, judge: Judge) -> Difference | None:
        if point == END:
            return judge.whole
        found = judge.judged[point.pair]
        return found.given if point.is_given else found.output

    def _is_known(self, point: Point, judge: Judge) -> bool:
        """Whether it is known what would stand there; where nothing can be run again, not all is."""
        if point == END:
            return all(side.whole is None or side.whole.is_returned_known for side in (judge.a, judge.b))
        return judge.judged[point.pair].is_known(point.is_given)

    def _ratio(self, point: Point, judge: Judge) -> float:
        seen = self._seen(point, judge)
        if seen is None or not self._is_known(point, judge):
            return 0.0
        if judge.tolerance is not None:
            return 0.0 if seen.within else math.inf
        return self._noise_at(point).ratio(seen)

    def _noise_at(self, point: Point) -> Noise:
        return noise_of(self._dtypes.get(point.pair, self._whole_dtype), self._measured.get(point))

    def _is_more_than_rounding(self) -> bool:
        """Whether what the models return is further apart than rounding, grown on the way, makes it."""
        whole = self._free.whole
        if whole is None or whole.within or self._same.whole is None:
            return False
        fed = {
            Point(n, True)
            for n, found in enumerate(self._free.judged)
            if INPUT in (*found.pair.head_a.sources, *found.pair.head_b.sources)
        }
        first = next(point for point in self._points if not point.is_given)
        free = set(self._points) - fed - {first}
        grown = self._moved(self._rerun, self._rerun.judge(free), free).get(END)
        return grown is not None and noise_of(self._whole_dtype, grown).ratio(whole) > _GROWN

    def _join_what_agrees(self) -> None:
        """Make regions of layers that differ, and agree with what comes behind them on one side; then look again."""
        odd = [n for n in self._order if self._ratio(Point(n, False), self._same) >= FAULT]
        joined = [n for n in odd if join_what_agrees(self._free, self._same, n)]
        functions = {n: side_with_function(self._same.judged[n], self._same) for n in odd if n not in joined}
        self._functions = {Point(n, False): side for n, side in functions.items() if side}
        if joined or self._functions:
            self._take(Rerun(self._free, self._same) if joined else self._rerun)

    def _join_what_clears(self) -> None:
        """Let a layer behind one that differs join it, where what comes behind agrees then."""
        odd = {point for point in self._points if self._ratio(point, self._same) >= FAULT}
        tried: dict[int, tuple[list[Station], Station]] = {}
        for number in self._order:
            if Point(number, False) in odd and self._is_odd_behind(number, odd):
                found = what_may_join(self._free, number)
                if found is not None:
                    tried[number] = found
        if not tried:
            return
        for number, (own, behind) in tried.items():
            own.append(behind)
            self._free.look_again(self._free.judged[number])
        functions = self._functions
        self._functions = {point: side for point, side in functions.items() if point.pair not in tried}
        self._take(Rerun(self._free, self._same))
        left = {
            point
            for point in self._points
            if self._ratio(point, self._same) >= FAULT or not self._is_known(point, self._same)
        }
        wrong = [number for number in tried if self._is_odd_behind(number, left)]
        for number in wrong:
            tried[number][0].pop()
            self._free.look_again(self._free.judged[number])
        if wrong:
            self._functions |= {point: side for point, side in functions.items() if point.pair in wrong}
            self._take(Rerun(self._free, self._same))

    def _is_odd_behind(self, number: int, odd: Collection[Point]) -> bool:
        """Whether the next thing that a layer is given differs."""
        place = self._points.index(Point(number, False))
        following = next((point for point in self._points[place + 1 :] if point.is_given), END)
        return following in odd

    def _take(self, rerun: Rerun) -> None:
        self._rerun = rerun
        self._same = rerun.judge(self._functions.keys())
        for number in range(len(self._free.judged)):
            side = self._functions.get(Point(number, False), "")
            self._free.judged[number].function_of = self._same.judged[number].function_of = side

    def _put_right_at_once(self, odd: Sequence[Point]) -> set[Point]:
        """Points at which nothing could be put in place, and what follows agrees all the same."""
        found = set()
        for point in odd:
            if point != END and not self._rerun.puts(point):
                behind = self._points[self._points.index(point) + 1 :]
                following = next((p for p in behind if self._seen(p, self._same) is not None), point)
                agrees = following not in odd and self._is_known(following, self._same)
                if agrees or self._is_padded_before(point):
                    found.add(point)
        return found

    def _is_padded_before(self, point: Point) -> bool:
        """Whether one side's layer is given what the other's is, with zeros around it, which that one adds itself."""
        pair = self._same.judged[point.pair].pair
        return point.is_given and is_padded(pair.head_a.given, pair.head_b.given, self._same)

    def _is_noise_needed(self) -> bool:
        """Whether rounding may explain anything of what differs."""
        if not is_exact(self._whole_dtype):
            return True
        seen = [
            self._seen(Point(n, is_given), self._same) for n in self._dtypes for is_given in (True, False)
        ]
        return any(part is not None and _CLEAN / 2 < part.error < _GREY for part in seen)

    def _of_moving(self) -> dict[Point, Difference]:
        """What comes of moving all values that are put in place by half a spacing."""
        is_turned = self._rerun.is_turned
        own, other = (self._free.a, self._free.b) if is_turned else (self._free.b, self._free.a)
        needed = [
            n
            for n in self._dtypes
            if any(self._ratio(Point(n, is_given), self._same) >= SUSPICION for is_given in (True, False))
        ]
        found = self._moved(self._rerun, self._same, needed=needed)
        if coarsest_of(own.stations) != self._whole_dtype and other.can_be_rerun:
            pairs = [_of_one_side(one.pair, one.pair, of_a=not is_turned) for one in self._free.judged]
            free = self._free.of(other, other, pairs)
            more = self._moved(Rerun(free), free, needed=needed)
            found = {
                point: max(part, more.get(point, part), key=lambda part: part.error)
                for point, part in found.items()
            }
        return found

    def _moved(
        self,
        rerun: Rerun,
        before: Judge,
        free: Collection[Point] = (),
        needed: Sequence[int] | None = None,
    ) -> dict[Point, Difference]:
        """How far what is returned moves with what is put in place; of these pairs, by default of all."""

        def changed(values: Array, point: Point) -> Array:
            return moved(values, self._dtypes[point.pair], point.pair * 2 + point.is_given)

        after = rerun.judge(free, changed, needed, before)
        found: dict[Point, Difference] = {}
        numbers = range(len(before.judged)) if needed is None else needed
        pairs = [_of_one_side(before.judged[n].pair, after.judged[n].pair, rerun.is_turned) for n in numbers]
        ends = (before.a, after.a) if rerun.is_turned else (before.b, after.b)
        apart = Judge(*ends, pairs, None, is_linked=False)
        for number, judged in zip(numbers, apart.judged, strict=True):
            if judged.given is not None:
                found[Point(number, True)] = judged.given
            found[Point(number, False)] = judged.output
        if apart.whole is not None:
            found[END] = apart.whole
        return found

    def _closed(self, odd: Sequence[Point]) -> set[Point]:
        """The points that differ by structure alone: what is computed from them agrees, once they are left as they are.

        A layer may have its units in another order, or scaled, and a later one puts that right. From each such layer
        on all is left as it is, for a few points that differ; those up to the first that agrees then are structure.
        Stretches that have no point in common are tried in one pass; what lies behind a fault that was left in place
        is tried again without it. From the first on all was left as it is when both ran freely.
        """
        closed: set[Point] = set()
        known = [point for point in odd if self._is_known(point, self._same)]
        if known and self._is_first(known[0]):
            closed = self._put_right(odd[odd.index(known[0]) :][: _FAR + 1], self._free, self._points)
            known = [point for point in known[1:] if point not in closed]
        likely = [point for point in known if self._may_be_put_right(point, odd)]
        others = [point for point in known if not point.is_given and point not in (*likely, odd[-1])]
        waiting = likely
        for number in range(_MOST_PASSES):
            if not waiting and number < _MOST_PASSES - 1:
                waiting, others = [point for point in others if point not in closed], []
            stretches = list(self._scheduled(waiting, [point for point in odd if point not in closed]))
            if not stretches:
                break
            free = {point for start, end in stretches for point in self._within(start, end)}
            ends = {end for _, end in stretches}
            asked = {point.pair for point in odd if point in free or point in ends} - {END.pair}
            judge = self._rerun.judge(free | self._functions.keys(), needed=asked, before=self._same)
            for start, end in stretches:
                inside = [p for p in odd if p in self._within(start, end) or p == end]
                found = self._put_right(inside, judge, free)
                closed |= found
                waiting = [p for p in waiting if p not in closed and p != start]
                if not found:
                    break  # it may be a fault, and what comes behind has seen it
        return closed

    def _is_first(self, point: Point) -> bool:
        """Whether a layer was given the same, too, when both ran freely, and all before it was the same."""
        before = self._points[: self._points.index(point)]
        return (
            not point.is_given
            and is_exact(self._whole_dtype)
            and all(self._is_known(p, self._free) and self._ratio(p, self._free) < _CLEAN_RATIO for p in before)
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
        if not self._is_known(point, judge):
            return self._is_within_freely(point)
        return self._ratio(point, judge) < _ON_THE_WAY * FAULT

    def _is_within_freely(self, point: Point) -> bool:
        """Whether what stands there is the same on both sides as they ran."""
        seen = self._seen(point, self._free)
        return seen is not None and seen.within

    def _may_be_put_right(self, point: Point, odd: Sequence[Point]) -> bool:
        """Whether a difference looks like one of structure: of what a layer returns, before something else differs."""
        if point.is_given or point == odd[-1]:
            return False
        following = odd[odd.index(point) + 1 :]
        place = self._points.index(point)
        is_near = any(self._points.index(other) - place <= _NEAR for other in following if other.is_given)
        return is_near or is_laid_out_otherwise(self._same.judged[point.pair])

    def _scheduled(self, waiting: Sequence[Point], odd: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
        """Stretches without a point in common: from where, and up to which point that differs."""
        last = -1
        for start in waiting:
            place = self._points.index(start)
            following = odd[odd.index(start) + 1 :][:_FAR]
            if place > last and following:
                last = self._points.index(following[-1])
                yield start, following[-1]

    def _within(self, start: Point, sink: Point) -> Sequence[Point]:
        """The points from one to another, without that."""
        return self._points[self._points.index(start) : self._points.index(sink)]

    def _regions(self, faults: Sequence[Point]) -> Iterator[Place]:
        """Faults by place; what a layer returned that could not be put in place is one with what follows from it."""
        before: Point | None = None
        is_cut = False
        for point in faults:
            if is_cut and point != END and not self._rerun.puts(point):
                continue  # of another form than on the other side, since what it was made of is
            is_cut = is_cut or not self._rerun.puts(point)
            is_one = (
                before is not None and not before.is_given and point.is_given and self._follows(point, before)
            )
            if not (is_one and before is not None and self._is_open(before)):
                yield self._place(point)
            before = point

    def _follows(self, point: Point, before: Point) -> bool:
        """Whether nothing else is given to a layer between two places."""
        between = self._points[self._points.index(before) + 1 : self._points.index(point)]
        return not any(other.is_given for other in between)

    def _is_open(self, point: Point) -> bool:
        """Whether what comes behind cannot be judged apart from what a layer returns."""
        return not self._rerun.puts(point) or has_function_on_one_side(self._same.judged[point.pair])

    def _place(self, point: Point) -> Place:
        seen = self._seen(point, self._same)
        assert seen is not None
        limit = seen.tolerance if self._free.tolerance is not None else self._noise_at(point).limit(seen)
        judge, apart = self._same.tolerating(limit), replace(seen, tolerance=limit)
        if point.is_given:
            place = between(judge.judged[point.pair] if point != END else None, judge)
        else:
            found = judge.judged[point.pair]
            found.output = apart
            place = Place(found)
        place.seen, place.judge, place.ratio = apart, judge, self._ratio(point, self._same)
        return place


def _of_one_side(one: StationPair, other: StationPair, of_a: bool) -> StationPair:
    """One side of a pair in two runs."""
    if of_a:
        return StationPair(one.a, other.a, (), 1.0, one.before_a, other.before_a)
    return StationPair(one.b, other.b, (), 1.0, one.before_b, other.before_b)
