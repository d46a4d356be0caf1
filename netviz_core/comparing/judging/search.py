"""Looks for faults, and for what is only built otherwise, by passes in which values of one model stand in the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile

from ..pairing.pairs import StationPair
from ..stations import INPUT, Station
from .apart import END, Apart
from .difference import Array, Difference
from .judging import Judge
from .noise import FAULT, SUSPICION, coarsest_of, is_exact, moved, noise_of
from .places import Found, Place, between
from .regions import (
    apart_without_padding,
    has_function_on_one_side,
    join_neighbours,
    join_what_agrees,
    side_with_function,
    what_may_join,
)
from .rerun import Point, Rerun
from .structure import Structure
from .units import see_in_order_of_a

_MOST_LAYOUTS = 3
"""How often it is asked anew in which order features lie: a flattening is seen before what reads it."""

_GROWN = 20.0
"""How many times what rounding of the input alone makes of the output it may be apart when all places agree."""

_GREY = 1e-3
"""Errors of exact floats below this may be rounding in a layer that multiplies it: then that is measured."""

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
        self._rerun = Rerun(judge)
        self._apart = Apart(judge, of_a=self._rerun.is_turned)
        self._points = self._apart.points
        self._functions: dict[Point, str] = {}
        """Where one side's layer applies an activation itself, and which side that is: its own value stays there."""
        # What comes behind a difference may agree as both ran because that is put right between layers.
        needed = list(dropwhile(self._is_clean, self._apart.order))
        self._same = self._rerun.judge(needed=needed)
        for _ in range(_MOST_LAYOUTS):
            again = self._rerun.as_seen_in(self._same)
            if again.features == self._rerun.features:
                break
            # Seen better, now that no error travels.
            self._rerun, self._same = again, again.judge(needed=needed)
        if self._is_noise_needed():
            self._apart.measured = self._of_moving()
        self._join_what_agrees()
        self._join_what_clears()

    def found(self) -> Found:
        """All places, and what is only built otherwise."""
        ratios = {point: self._apart.ratio(point, self._same) for point in self._points}
        odd = [point for point in self._points if ratios[point] >= FAULT and point not in self._functions]
        closed = self._put_right_at_once(odd)
        # What is not known, and agrees as both ran freely, may be where something is put right.
        looked_at = [
            p
            for p in self._points
            if p in odd or (not self._apart.is_known(p, self._same) and self._apart.is_within_freely(p))
        ]
        structure = Structure(self._apart, self._rerun, self._same, self._functions)
        closed |= structure.closed([point for point in looked_at if point not in closed])
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
        return all(self._apart.is_clean(Point(number, is_given)) for is_given in (True, False))

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
        is_known = self._apart.is_known(point, self._same)
        return (
            not is_known
            and self._apart.seen(point, self._free) is not None
            and not self._apart.is_within_freely(point)
        )

    def _told(self, point: Point) -> str:
        if point == END:
            return "what comes after the last layers"
        path = self._free.judged[point.pair].pair.a[0].path
        return f"what is done before {path!r}" if point.is_given else f"{path!r}"

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
        return grown is not None and noise_of(self._apart.whole_dtype, grown).ratio(whole) > _GROWN

    def _join_what_agrees(self) -> None:
        """Make regions of layers that differ, and agree with what comes behind them on one side; then look again."""
        odd = [n for n in self._apart.order if self._apart.ratio(Point(n, False), self._same) >= FAULT]
        joined = [n for n in odd if join_what_agrees(self._free, self._same, n)]
        functions = {n: side_with_function(self._same.judged[n], self._same) for n in odd if n not in joined}
        self._functions = {Point(n, False): side for n, side in functions.items() if side}
        if joined or self._functions:
            self._take(Rerun(self._free, self._same) if joined else self._rerun)

    def _join_what_clears(self) -> None:
        """Let a layer behind one that differs join it, where what comes behind agrees then."""
        odd = {point for point in self._points if self._apart.ratio(point, self._same) >= FAULT}
        tried: dict[int, tuple[list[Station], Station]] = {}
        for number in self._apart.order:
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
            if self._apart.ratio(point, self._same) >= FAULT or not self._apart.is_known(point, self._same)
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
        place = self._apart.places[Point(number, False)]
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
                behind = self._points[self._apart.places[point] + 1 :]
                following = next((p for p in behind if self._apart.seen(p, self._same) is not None), point)
                agrees = following not in odd and self._apart.is_known(following, self._same)
                if agrees or self._is_padded_before(point):
                    found.add(point)
        return found

    def _is_padded_before(self, point: Point) -> bool:
        """Whether one side's layer is given what the other's is, with zeros around it, which that one adds itself."""
        pair = self._same.judged[point.pair].pair
        return point.is_given and any(
            self._apart.times_noise(seen, point) < FAULT
            for seen in apart_without_padding(pair.head_a.given, pair.head_b.given, self._same)
        )

    def _is_noise_needed(self) -> bool:
        """Whether rounding may explain anything of what differs."""
        if not is_exact(self._apart.whole_dtype):
            return True
        seen = [
            self._apart.seen(Point(n, is_given), self._same)
            for n in self._apart.dtypes
            for is_given in (True, False)
        ]
        return any(part is not None and _CLEAN / 2 < part.error < _GREY for part in seen)

    def _of_moving(self) -> dict[Point, Difference]:
        """What comes of moving all values that are put in place by half a spacing."""
        is_turned = self._rerun.is_turned
        own, other = (self._free.a, self._free.b) if is_turned else (self._free.b, self._free.a)
        needed = [
            n
            for n in self._apart.dtypes
            if any(
                self._apart.ratio(Point(n, is_given), self._same) >= SUSPICION for is_given in (True, False)
            )
        ]
        found = self._moved(self._rerun, self._same, needed=needed)
        if coarsest_of(own.stations) != self._apart.whole_dtype and other.can_be_rerun:
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
            return moved(values, self._apart.dtypes[point.pair], point.pair * 2 + point.is_given)

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

    def _regions(self, faults: Sequence[Point]) -> Iterator[Place]:
        """Faults by place; what a layer returned that could not be put in place is one with what follows from it."""
        before: Point | None = None
        is_cut = False
        for point in faults:
            is_put = self._rerun.puts(point) or (
                not point.is_given and self._rerun.puts(Point(point.pair, True))
            )
            if is_cut and point != END and not is_put:
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
        between = self._points[self._apart.places[before] + 1 : self._apart.places[point]]
        return not any(other.is_given for other in between)

    def _is_open(self, point: Point) -> bool:
        """Whether what comes behind cannot be judged apart from what a layer returns."""
        return not self._rerun.puts(point) or has_function_on_one_side(self._same.judged[point.pair])

    def _place(self, point: Point) -> Place:
        seen = self._apart.seen(point, self._same)
        assert seen is not None
        limit = (
            seen.tolerance if self._free.tolerance is not None else self._apart.noise_at(point).limit(seen)
        )
        judge, apart = self._same.tolerating(limit), replace(seen, tolerance=limit)
        if point.is_given:
            place = between(judge.judged[point.pair] if point != END else None, judge)
        else:
            found = judge.judged[point.pair]
            found.output = apart
            place = Place(found)
        place.seen, place.judge, place.ratio = apart, judge, self._apart.ratio(point, self._same)
        return place


def _of_one_side(one: StationPair, other: StationPair, of_a: bool) -> StationPair:
    """One side of a pair in two runs."""
    if of_a:
        return StationPair(one.a, other.a, (), 1.0, one.before_a, other.before_a)
    return StationPair(one.b, other.b, (), 1.0, one.before_b, other.before_b)
