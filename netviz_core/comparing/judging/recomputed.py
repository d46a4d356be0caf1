"""A side of which nothing can be run again, as a complete capture: what its layers return is recomputed."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np

from ...captures.recorder import Slot
from ...words.arrays import AxisArray
from ...words.observations import Ready
from ...words.supports_passes import Replacement, StandIn
from ..common import matched
from ..reading import axes_as_read, axes_as_returned
from ..sides import Side
from ..stations import INPUT, Station
from .difference import difference, tolerance_for
from .noise import is_exact
from .recipes import course_of

Array = np.ndarray[Any, Any]

_LITTLE = 0.5
"""Of what is tolerated, the share up to which values are the same to what is done with them between layers."""


def as_recomputed(side: Side) -> Side:
    """The same side, that can be rerun as far as its layers can be recomputed from what they were given."""
    if not (side.holds_weights and any(station.given_slots for station in side.stations)):
        return side
    return RecomputedSide(**{part.name: getattr(side, part.name) for part in fields(side)})


class _Value(NamedTuple):
    """A tensor that a station returned, by its canonical axes: as it was, and in this run; None if not known."""

    before: AxisArray
    now: AxisArray | None


@dataclass(eq=False)
class RecomputedSide(Side):
    """A side whose layers are recomputed, one after the other, where they would be run.

    A layer is trusted to be recomputed if from what it was given comes what it returned. What is done between
    layers is not known: it stays what it was as long as nothing before it has changed.
    """

    _known: dict[int, tuple[Hashable, Any, Array | None]] = field(default_factory=dict, repr=False)
    """By station: of what it was recomputed last, kept alive, and what came of it."""

    _trusted: dict[int, bool] = field(default_factory=dict, repr=False)
    """By station: whether from what it was given comes what it returned."""

    @property
    def can_be_rerun(self) -> bool:
        """Whether other values can be put in place on the way through the model."""
        return True

    def rerun(
        self,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
        before: Side | None = None,
        passed_over: Collection[str] = (),
    ) -> Side:
        """The same side as it would be with other values in place; see `Station.is_given_known`.

        All layers are recomputed, those that something else stands in for too: what they were before is remembered.
        """
        run = _Run(self, replacement)
        stations = [run.station(station) for station in self.stations]
        whole = self.whole
        if whole is not None:
            whole = stations[whole.number] if whole in self.stations else run.end(whole)
        return replace(self, stations=stations, whole=whole, outer=(), is_rerun=True)

    def recomputed(self, station: Station, given: Sequence[Slot]) -> Array | None:
        """What the first tensor that a layer returns would be, in the framework's own order; None if not known."""
        places = [slot.get().values.__array_interface__ for slot in given]
        key = tuple((place["data"][0], place["shape"], place["strides"]) for place in places)
        known = self._known.get(station.number)
        if known is None or known[0] != key:
            known = key, list(given), _recomputed(station, given)
            self._known[station.number] = known
        return known[2]

    def is_trusted(self, station: Station) -> bool:
        """Whether from what a layer was given comes what it returned."""
        if station.number not in self._trusted:
            value = self.recomputed(station, station.given_slots) if station.returned_slots else None
            self._trusted[station.number] = value is not None and _are_same(
                _with(station.returned_slots[0], value), station.returned_slots[0]
            )
        return self._trusted[station.number]


class _Run:
    """One pass through the stations of a side."""

    def __init__(self, side: RecomputedSide, replacement: Replacement) -> None:
        self._side, self._replacement = side, replacement
        whole = side.whole.given if side.whole is not None else ()
        self._handed_on: dict[int, list[_Value]] = {INPUT: [_Value(value, value) for value in whole]}
        self._is_changed = False

    def station(self, station: Station) -> Station:
        """What a layer is given, and returns, in this run; and note what it hands on."""
        sources = iter(station.sources)
        numbers = station.given_numbers
        arriving = [
            self._arriving(slot, next(sources), station) if slot in numbers else slot
            for slot in station.given_slots
        ]
        put = [
            self._put(own, slot, is_given=True)
            for own, slot in zip(station.given_slots, arriving, strict=True)
        ]
        returned, is_known = self._returned(station, put)
        handed_on = [
            self._put(own, slot, is_given=False)
            for own, slot in zip(station.returned_slots, returned, strict=True)
        ]
        self._note(station, handed_on)
        between = self._between(station)
        seen = [
            self._seen(slot, other, own, own in between)
            for slot, other, own in zip(arriving, put, station.given_slots, strict=True)
        ]
        # Of several tensors the first is recomputed; the others are taken to be what stands in their place.
        back = [
            slot or other or own
            for slot, other, own in zip(returned, handed_on, station.returned_slots, strict=True)
        ]
        return replace(
            station,
            given_slots=seen,
            returned_slots=back,
            is_given_known=None not in arriving,
            is_returned_known=is_known,
        )

    def end(self, whole: Station) -> Station:
        """What the outermost model returns."""
        returned = [
            self._arriving(slot, source, whole, is_given=False)
            for slot, source in zip(whole.returned_slots, whole.sources, strict=True)
        ]
        back = [slot or own for slot, own in zip(returned, whole.returned_slots, strict=True)]
        # Of narrow floats the rounding of all that came before would count as that of the end.
        is_known = all(
            slot is not None and (source is not None or is_exact(slot.observation.dtype))
            for slot, source in zip(returned, whole.sources, strict=True)
        )
        return replace(whole, returned_slots=back, is_returned_known=is_known)

    def _arriving(
        self, slot: Slot, source: int | None, station: Station, is_given: bool = True
    ) -> Slot | None:
        """What a tensor is in this run that comes from a station, or is made between layers."""
        if source is None:
            return None if self._is_changed else slot
        order = (axes_as_read if is_given else axes_as_returned)(station.layer, slot.axes)
        raw = slot.get()
        read = AxisArray(_native(slot), order).canonical()
        for before, now in self._handed_on.get(source, ()):
            for own, axes in ((read, order), (raw, slot.axes)):
                if own.shape == before.shape and np.array_equal(own.values, before.values, equal_nan=True):
                    if now is None:
                        return None
                    return _with(slot, AxisArray(now.values, own.axes).transpose(*axes).values)
        return None

    def _put(self, own: Slot, slot: Slot | None, is_given: bool) -> Slot | None:
        """The value that is to stand in the place of one, or that itself."""
        observed = own.observation
        values = self._replacement(own.path, own.call, observed.leaf, is_given, tuple(observed.value.shape))
        return slot if values is None else _with(own, values)

    def _returned(self, station: Station, given: Sequence[Slot | None]) -> tuple[list[Slot | None], bool]:
        """What a layer returns of what it is given, and whether the first of it is known."""
        own = list(station.returned_slots)
        known = [slot for slot in given if slot is not None]
        if len(known) == len(given) and self._side.is_trusted(station):
            values = self._side.recomputed(station, known)
            return [
                None if values is None else _with(own[0], values),
                *(None for _ in own[1:]),
            ], values is not None
        pairs = zip(known, station.given_slots, strict=False)
        is_same = len(known) == len(given) and all(_are_same(one, other, _LITTLE) for one, other in pairs)
        if is_same and (given or not self._is_changed):
            put = [self._put(slot, slot, is_given=False) for slot in own]
            return [self._seen(slot, other, slot, True) for slot, other in zip(own, put, strict=True)], True
        return [None for _ in own], False

    def _seen(self, slot: Slot | None, put: Slot | None, own: Slot, is_as_it_was: bool) -> Slot:
        """What is held against the other side.

        What stays as it was has come from what was not quite the same: it counts where it is clearly another.
        """
        if slot is None or (is_as_it_was and put is not None and _are_same(put, slot)):
            return put or own
        return slot

    @staticmethod
    def _between(station: Station) -> list[Slot]:
        """What a station is given that was made between layers."""
        pairs = zip(station.given_numbers, station.sources, strict=True)
        return [slot for slot, source in pairs if source is None]

    def _note(self, station: Station, handed_on: Sequence[Slot | None]) -> None:
        values = []
        for own, slot, before in zip(station.returned_slots, handed_on, station.returned, strict=True):
            is_same = slot is not None and _are_same(slot, own, _LITTLE)
            self._is_changed = self._is_changed or not is_same
            order = axes_as_returned(station.layer, own.axes)
            now = None if slot is None else AxisArray(_native(slot), order).canonical()
            values.append(_Value(before, now))
        self._handed_on[station.number] = values


def _recomputed(station: Station, given: Sequence[Slot]) -> Array | None:
    again = replace(station, given_slots=given)
    result = course_of([again]).result()
    if result is None:
        return None
    own = station.returned_slots[0]
    order = axes_as_returned(station.layer, own.axes)
    target = station.returned[0]
    together = matched(target, result)
    if together is None or result.values.size != target.values.size:
        return None
    moved = result if result.axes == target.axes else AxisArray(together.b.reshape(target.shape), target.axes)
    return moved.transpose(*order).values


def _with(slot: Slot, values: Array) -> Slot:
    """The same place with another value, in the framework's own order of axes."""
    return Slot(slot.path, slot.call, slot.observation._replace(value=Ready(values)), slot.axes)


def _native(slot: Slot) -> Array:
    """The value in the framework's own order of axes."""
    return slot.get().transpose(*slot.axes).values


def _are_same(one: Slot, other: Slot, share: float = 1.0) -> bool:
    """Whether two values differ by no more than a share of what is tolerated."""
    limit = share * tolerance_for(other.observation.dtype)
    return difference(one.get().values, other.get().values, limit).within
