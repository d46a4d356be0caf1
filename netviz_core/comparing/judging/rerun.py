"""Passes of one side in which layers are given, and hand on, what their partners did: no error travels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...captures.recorder import Slot
from ...words.arrays import AxisArray
from ...words.progress import step
from ...words.supports_passes import StandIn
from ..common import matched
from ..pairing.pairs import StationPair
from ..reading import axes_as_read, axes_as_returned
from ..sides import Side
from ..stations import INPUT, Station
from .ends import ends_of
from .judging import Judge, partners

Array = np.ndarray[Any, Any]

_PLAIN = ("float64", "float32", "float16", "bfloat16")
"""What stands in for what a layer returns is of one of these dtypes."""


class Point(NamedTuple):
    """What the layers of a pair are given, or what they return: a place at which two values correspond."""

    pair: int
    is_given: bool


Change = Callable[[Array, Point], Array]
Key = tuple[str, int, str, bool]
"""Path, call and leaf of a tensor, and whether it is given."""


class Laid(NamedTuple):
    """A value of the one side, and how it is laid out for the other."""

    point: Point
    values: Array
    shape: tuple[int, ...]


class Rerun:
    """One side that can be run again with the other's values in place.

    Parameters
    ----------
    judge : Judge
        Of both as they ran freely.
    seen : Judge, optional
        Of an earlier run in which both were given the same: by its values it is told in which order features lie.
    """

    def __init__(self, judge: Judge, seen: Judge | None = None) -> None:
        self._judge = judge
        self.is_turned = not judge.b.can_be_rerun
        self._side = judge.a if self.is_turned else judge.b
        self._in_own_order: dict[Key, Laid] = {}
        self._by_memory: dict[Any, tuple[Array, Array]] = {}
        for point, source, target in self._ends():
            self._lay(point, source, target)
        self._laid: dict[Key, Laid] = {}
        self.features: set[Point] = set()
        """Where features are put in place in another order than that in which they come."""
        self._lay_all_features(seen or judge)

    def as_seen_in(self, seen: Judge) -> Rerun:
        """The same with features in the order that the values of another run tell."""
        again = copy(self)
        again._lay_all_features(seen)
        return again

    def _ends(self) -> Iterator[tuple[Point, Station, Station]]:
        """The points, from which station each value comes, and to which it goes."""
        for number, found in enumerate(self._judge.judged):
            pair = found.pair
            heads, tails = (pair.head_a, pair.head_b), (pair.a[-1], pair.b[-1])
            for is_given, ends in ((True, heads), (False, tails)):
                source, target = reversed(ends) if self.is_turned else ends
                yield Point(number, is_given), source, target

    def _lay_all_features(self, seen: Judge) -> None:
        self._laid, self.features = dict(self._in_own_order), set()
        if not self._judge.is_laid_out_alike:
            for point, _, target in self._ends():
                self._lay_features(point, target, seen)
        self._putting = {laid.point for laid in self._laid.values()}

    def puts(self, point: Point) -> bool:
        """Whether values can be put in place there."""
        return point in self._putting

    @staticmethod
    def is_possible(judge: Judge) -> bool:
        """Whether one of the sides can be run so."""
        return judge.b.can_be_rerun or judge.a.can_be_rerun

    def judge(
        self,
        free: Collection[Point] = (),
        changed: Change | None = None,
        needed: Collection[int] | None = None,
        before: Judge | None = None,
    ) -> Judge:
        """Run once more, and hold what came of it against the other side.

        Parameters
        ----------
        free : collection of Point
            Where the layers' own values are left.
        changed : callable, optional
            Applied to each value before it is put in place.
        needed : collection of int, optional
            The numbers of the pairs that are asked for; by default all. Others run only where they must.
        before : Judge, optional
            What is known of the others, which are not looked at then; by default the free run, which they are held
            against.
        """
        judge, known = self._judge, before or self._judge
        own, other = (judge.a.name, judge.b.name) if self.is_turned else (judge.b.name, judge.a.name)
        step(f"running {own} with values of {other} in place")
        calls = {} if needed is None else self._calls_beside(needed)
        read = self._read(needed or (), free) if changed is not None else ()
        instead = self._instead(free, changed, calls, read)
        passed_over = () if before is None else self._passed_over(free, calls)
        side = self._run(free, changed, instead, known.a if self.is_turned else known.b, passed_over)
        pairs = [self._again(found.pair, side) for found in judge.judged]
        sides = (side, judge.b) if self.is_turned else (judge.a, side)
        rest = set(range(len(pairs))) - {*needed} if needed is not None else ()
        again = judge.of(*sides, pairs, {number: known.judged[number] for number in rest})
        again.whole = ends_of(again).apart
        return again

    def _calls_beside(self, needed: Collection[int]) -> dict[str, list[Station]]:
        """The calls of layers that nobody asks for."""
        pairs = [self._judge.judged[number].pair for number in needed]
        own = [(*p.before_a, *p.a) if self.is_turned else (*p.before_b, *p.b) for p in pairs]
        wanted = {station.path for stations in own for station in stations}
        calls: dict[str, list[Station]] = {}
        for station in self._side.stations:
            if station.path not in wanted:
                calls.setdefault(station.path, []).append(station)
        return calls

    def _instead(
        self,
        free: Collection[Point],
        changed: Change | None,
        calls: Mapping[str, Sequence[Station]],
        read: Collection[int] | None,
    ) -> dict[str, list[StandIn]]:
        """What these layers hand on, so that they need not run: all calls of them, or none.

        What nobody reads is not changed; None if it is not known who does.
        """
        found = {}
        for path, stations in calls.items():
            stand_ins = [
                self._stand_in(station, free, changed if read is None or station.number in read else None)
                for station in stations
            ]
            if all(stand_ins):
                found[path] = [stand_in for stand_in in stand_ins if stand_in is not None]
        return found

    def _read(self, needed: Collection[int], free: Collection[Point]) -> set[int] | None:
        """The stations whose values reach the pairs asked for, or the model's end; None if not all is known."""
        pairs = [self._judge.judged[number].pair for number in needed]
        waiting = [pair.head_a if self.is_turned else pair.head_b for pair in pairs]
        waiting += [self._side.whole] if self._side.whole is not None else []
        found: set[int] = set()
        while waiting:
            for source in waiting.pop().sources:
                if source is None:
                    return None
                if source != INPUT and source not in found:
                    found.add(source)
                    station = self._side.stations[source]
                    laid = self._laid.get((station.path, station.call, "", False))
                    waiting += [station] if laid is None or laid.point in free else []
        return found

    def _passed_over(self, free: Collection[Point], calls: Mapping[str, Sequence[Station]]) -> set[str]:
        """Of these layers those that nothing is put in place for."""
        put = {path for (path, _, _, _), laid in self._laid.items() if laid.point not in free}
        return calls.keys() - put

    def _stand_in(self, station: Station, free: Collection[Point], changed: Change | None) -> StandIn | None:
        laid = self._laid.get((station.path, station.call, "", False))
        if laid is None or laid.point in free or len(station.returned_slots) != 1:
            return None
        slot = station.returned_slots[0]
        if slot.observation.dtype not in _PLAIN or slot.observation.value.shape != laid.shape:
            return None
        values = laid.values if changed is None else changed(laid.values, laid.point)
        return StandIn(values, slot.axes, slot.observation.dtype)

    def _run(
        self,
        free: Collection[Point],
        changed: Change | None,
        instead: Mapping[str, Sequence[StandIn]],
        before: Side,
        passed_over: Collection[str],
    ) -> Side:
        def replacement(
            path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]
        ) -> Array | None:
            laid = self._laid.get((path, call, leaf, is_given))
            if laid is None or laid.point in free or laid.shape != shape:
                return None
            return laid.values if changed is None else changed(laid.values, laid.point)

        return self._side.rerun(replacement, instead, before, passed_over)

    def _again(self, pair: StationPair, side: Side) -> StationPair:
        def again(stations: Sequence[Station]) -> list[Station]:
            return [side.stations[station.number] for station in stations]

        if self.is_turned:
            return replace(pair, a=again(pair.a), before_a=again(pair.before_a))
        return replace(pair, b=again(pair.b), before_b=again(pair.before_b))

    def _lay(self, point: Point, source: Station, target: Station) -> None:
        """Note what is to be put in the place of what a station is given or returns."""
        if point.is_given:
            values, slots, others = source.given, target.given_numbers, target.given
        else:
            values, slots, others = source.returned, list(target.returned_slots), target.returned
        for one, other in partners(self._judge, values, others):
            slot = slots[other]
            order = _order(target, slot, point.is_given)
            laid = laid_out(values[one], others[other], order)
            if laid is not None:
                laid = self._as_one(target.as_it_stands(laid, order, point.is_given))
                key = (target.path, target.call, slot.observation.leaf, point.is_given)
                self._in_own_order[key] = Laid(point, laid, laid.shape)

    def _as_one(self, values: Array) -> Array:
        """One array, as backends take it, for what one layer returned and the next was given."""
        form = values.__array_interface__
        place = form["data"][0], values.shape, values.strides, form["typestr"]
        if place not in self._by_memory:  # which is kept, so that nothing else comes to lie there
            self._by_memory[place] = values, np.asarray(values, order="C")
        return self._by_memory[place][1]

    def _lay_features(self, point: Point, target: Station, seen: Judge) -> None:
        """Put features in the order in which this side has them flattened."""
        pair = seen.judged[point.pair].pair
        ends = (pair.head_a, pair.head_b) if point.is_given else (pair.a[-1], pair.b[-1])
        values = [end.given if point.is_given else end.returned for end in ends]
        if any(len(side) != 1 for side in values) or target.orders[0 if point.is_given else 1] is not None:
            return
        ours, theirs = values[0][0], values[1][0]
        moved = seen.in_order_of(ours, theirs, pair, point.is_given, self.is_turned)
        if moved is None:
            return
        slots = target.given_numbers if point.is_given else target.returned_slots
        key = (target.path, target.call, slots[0].observation.leaf, point.is_given)
        self._laid[key] = Laid(point, moved[0].values, moved[0].shape)
        self.features.add(point)


def _order(station: Station, slot: Slot, is_given: bool) -> tuple[str, ...]:
    """The axes of a tensor in the framework's own order, named as those of `given` or `returned`."""
    axes = axes_as_read if is_given else axes_as_returned
    return axes(station.layer, slot.axes)


def laid_out(value: AxisArray, other: AxisArray, order: Sequence[str]) -> Array | None:
    """The numbers of a value in the shape and order of another one, whose axes the framework has in `order`."""
    together = matched(value, other)
    if together is None:
        return None
    canonical = other.canonical()
    if set(order) != set(canonical.axes):
        return None
    # What was done to bring the other one to the axes of this is undone.
    squeezed = together.a.reshape([size for size in together.a.shape if size != 1])
    own = squeezed.transpose(np.argsort(together.order)).reshape(canonical.shape)
    return AxisArray(own, canonical.axes).transpose(*order).values
