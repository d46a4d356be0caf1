"""Passes of one side in which layers are given, and hand on, what their partners did: no error travels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ...captures.recorder import Slot
from ...words.arrays import AxisArray
from ..common import matched
from ..pairing.pairs import StationPair
from ..reading import axes_as_read, axes_as_returned
from ..sides import Side, Station
from .ends import ends_of
from .judging import Judge, partners

Array = np.ndarray[Any, Any]


class Point(NamedTuple):
    """What the layers of a pair are given, or what they return: a place at which two values correspond."""

    pair: int
    is_given: bool


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
        self._judge, self._seen = judge, seen or judge
        self.is_turned = not judge.b.can_be_rerun
        self._side = judge.a if self.is_turned else judge.b
        self._laid: dict[tuple[str, int, str, bool], Laid] = {}
        self.features: set[Point] = set()
        """Where features are put in place in another order than that in which they come."""
        for number, found in enumerate(judge.judged):
            pair = found.pair
            heads, tails = (pair.head_a, pair.head_b), (pair.a[-1], pair.b[-1])
            for is_given, ends in ((True, heads), (False, tails)):
                source, target = reversed(ends) if self.is_turned else ends
                self._lay(Point(number, is_given), source, target)
                self._lay_features(Point(number, is_given), target)
        self._putting = {laid.point for laid in self._laid.values()}

    def puts(self, point: Point) -> bool:
        """Whether values can be put in place there."""
        return point in self._putting

    @staticmethod
    def is_possible(judge: Judge) -> bool:
        """Whether one of the sides can be run so."""
        return judge.b.can_be_rerun or judge.a.can_be_rerun

    def judge(
        self, free: Collection[Point] = (), changed: Callable[[Array, Point], Array] | None = None
    ) -> Judge:
        """Run once more, and hold what came of it against the other side.

        Parameters
        ----------
        free : collection of Point
            Where the layers' own values are left.
        changed : callable, optional
            Applied to each value before it is put in place.
        """
        judge = self._judge
        side = self._run(free, changed)
        pairs = [self._again(found.pair, side) for found in judge.judged]
        sides = (side, judge.b) if self.is_turned else (judge.a, side)
        again = judge.of(*sides, pairs)
        again.whole = ends_of(again).apart
        return again

    def _run(self, free: Collection[Point], changed: Callable[[Array, Point], Array] | None) -> Side:
        def replacement(
            path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]
        ) -> Array | None:
            laid = self._laid.get((path, call, leaf, is_given))
            if laid is None or laid.point in free or laid.shape != shape:
                return None
            return laid.values if changed is None else changed(laid.values, laid.point)

        return self._side.rerun(replacement)

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
                laid = target.as_it_stands(laid, order, point.is_given)
                key = (target.path, target.call, slot.observation.leaf, point.is_given)
                self._laid[key] = Laid(point, laid, laid.shape)

    def _lay_features(self, point: Point, target: Station) -> None:
        """Put features in the order in which this side has them flattened."""
        pair = self._seen.judged[point.pair].pair
        ends = (pair.head_a, pair.head_b) if point.is_given else (pair.a[-1], pair.b[-1])
        values = [end.given if point.is_given else end.returned for end in ends]
        if any(len(side) != 1 for side in values) or target.orders[0 if point.is_given else 1] is not None:
            return
        ours, theirs = values[0][0], values[1][0]
        moved = self._seen.in_order_of(ours, theirs, pair, point.is_given, self.is_turned)
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
    if canonical.shape == together.a.shape and np.array_equal(canonical.values, together.b, equal_nan=True):
        laid = together.a
    else:
        own = _moved_back(together.a, together.b, canonical)
        if own is None:
            return None
        laid = own
    if set(order) != set(canonical.axes):
        return None
    return AxisArray(laid, canonical.axes).transpose(*order).values


def _moved_back(values: Array, other: Array, canonical: AxisArray) -> Array | None:
    """Undo what was done to bring another array to the axes of this one."""
    squeezed = canonical.values.reshape([size for size in canonical.shape if size != 1])
    values, other = (array.reshape([size for size in array.shape if size != 1]) for array in (values, other))
    for axes in permutations(range(squeezed.ndim)):
        moved = squeezed.transpose(axes)
        if moved.shape == other.shape and np.array_equal(moved, other, equal_nan=moved.dtype.kind in "fc"):
            return values.transpose(np.argsort(axes)).reshape(canonical.shape)
    return None
