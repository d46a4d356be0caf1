"""Units that b has in another order: where all that makes and reads them has the same order, nothing differs.

A hidden unit has no place of its own. If the rows of one layer, the channels of the norms behind it, and the columns
of every layer that reads them are in one other order, b computes what a does, whatever else is wrong there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ...models.counterparts import held_by
from ...models.ready_layer import ReadyLayer
from ...models.weights import Layout, Weight
from ...words.arrays import as_float64
from ...words.protocols import Layer, WeightTensor
from ..narrow import as_narrow
from ..permutations import are_the_same, permutations_of
from ..stations import Station
from .judging import Judge, Judged
from .weights import weight_differences

Array = np.ndarray[Any, Any]
Order = tuple[int, ...]
Slot = tuple[int, str]
"""What a station of b is given, or what it returns: its number, and ``in`` or ``out``."""

_MIXING = ("conv1d", "conv2d", "conv3d", "dense")
_KEEPING = ("batch_norm", "instance_norm", "layer_norm", "rms_norm")
"""Layers with weights that leave units in their order; what has none does so if the weights around it tell of it."""

_CLOSE, _SAME_SIZE = 1e-3, 0.05
_MOST = 0.5
"""Of a weight that differs, too, so large a share of its slices has to be as large as in the order that is supposed."""


def see_in_order_of_a(judge: Judge) -> set[int]:
    """Show b's values and weights with such units in a's order from now on; the numbers of the pairs it is done to."""
    orders = _Units(judge).orders()
    if not orders:
        return set()
    for station in judge.b.stations:
        given, returned = (orders.get((station.number, end)) for end in ("in", "out"))
        if given is not None or returned is not None:
            station.show(_layer_in_order(station.layer, given, returned), given, returned)
    touched = set()
    for number, found in enumerate(judge.judged):
        if any((station.number, end) in orders for station in found.pair.b for end in ("in", "out")):
            touched.add(number)
            found.weights = weight_differences(found.pair.a[0].layer, found.pair.b[0].layer, judge.tolerance)
            found.pair.notes.append("units in another order in b, for all that makes and reads them")
            judge.look_again(found)
    return touched


class _Units:
    """Which values of b have the same units, and in which order these are."""

    def __init__(self, judge: Judge) -> None:
        self._stations = judge.b.stations
        self._whole = judge.b.whole
        self._pairs = {found.pair.b[0].number: found for found in judge.judged if len(found.pair.b) == 1}
        self._paired = {station.number for found in judge.judged for station in found.pair.b}
        self._parents: dict[Slot, Slot] = {}
        self._unknown: set[Slot] = set()
        """What may be in any order, or has units of which it is not known what becomes of them."""
        for station in self._stations:
            self._tell_apart(station)
        self._link()

    def orders(self) -> dict[Slot, Order]:
        """For each value whose units are in another order: which unit of a stands first, second, …"""
        if not any(map(_is_reordered, self._pairs.values())):
            return {}
        told: dict[Slot, Counter[Order]] = defaultdict(Counter)
        unsure: list[Judged] = []
        for number, found in self._pairs.items():
            evidence = _evidence(found) if found.pair.b[0].layer.weights else {}
            if evidence is None:
                unsure.append(found)
                continue
            for end, order in evidence.items():
                # Where one stands against one, a's own order counts more, and what reads more than what makes.
                is_read, is_own = end == "in" and _is_mixing(found.pair.b[0]), list(order) == sorted(order)
                told[self._root((number, end))][order] += 4 + 2 * is_read + 3 * is_own
        unknown = {self._root(slot) for slot in self._unknown}
        likeliest = {
            root: orders.most_common(1)[0][0] for root, orders in told.items() if root not in unknown
        }
        chosen = {root: order for root, order in likeliest.items() if list(order) != sorted(order)}
        members: dict[Slot, list[Slot]] = defaultdict(list)
        for slot in self._parents:
            members[self._root(slot)].append(slot)
        sure = {slot for slot in self._parents if slot[0] in self._pairs} - {
            (found.pair.b[0].number, end) for found in unsure for end in ("in", "out")
        }
        while wrong := [root for root in chosen if not self._fit(root, chosen, members, sure, unsure)]:
            for root in wrong:
                del chosen[root]
        return {slot: order for root, order in chosen.items() for slot in members[root]}

    def _fit(
        self,
        root: Slot,
        chosen: Mapping[Slot, Order],
        members: Mapping[Slot, Sequence[Slot]],
        sure: Collection[Slot],
        unsure: Collection[Judged],
    ) -> bool:
        """Whether weights on both sides of the units are in this order, none is not, and all values have such units."""
        told = set(sure)
        for found in unsure:
            slots = [(found.pair.b[0].number, end) for end in ("in", "out")]
            if root in map(self._root, slots):
                given, returned = (chosen.get(self._root(slot)) for slot in slots)
                if _are_in_order(found, given, returned):
                    told |= set(slots)
                elif _are_in_order(found, None, None):
                    return False
        ends = set()
        for number, end in members[root]:
            station = self._stations[number]
            if _is_mixing(station) and (number, end) in told:
                ends.add(end)
            values = station.given if end == "in" else station.returned
            is_shown = all(value.sizes.get("channel") == len(chosen[root]) for value in values)
            if not is_shown and number in self._paired:
                return False
        return ends == {"in", "out"}

    def _tell_apart(self, station: Station) -> None:
        given, returned = (station.number, "in"), (station.number, "out")
        self._parents |= {given: given, returned: returned}
        kind = station.layer.kind
        if station.calls > 1 or (station.layer.weights and station.number not in self._pairs):
            self._unknown |= {given, returned}
        elif not _is_mixing(station):
            if station.layer.weights and kind not in _KEEPING and not kind.startswith("depthwise"):
                self._unknown |= {given, returned}
            self._join(given, returned)

    def _link(self) -> None:
        """Bring together what is returned and what takes it, functions in between included."""
        read = {source for station in self._stations for source in station.sources}
        ends = set(self._whole.sources) if self._whole is not None else {None}
        waiting: list[Station] = []
        functional: list[Station] = []
        for station in self._stations:
            given = (station.number, "in")
            for source in station.sources:
                if source is not None and source >= 0:
                    self._join((source, "out"), given)
                elif source is not None:
                    self._unknown.add(given)
            if None in station.sources:
                twin = next((other for other in functional if _is_given_the_same(other, station)), None)
                makers = [(one.number, "out") for one in waiting] if twin is None else [(twin.number, "in")]
                self._unknown |= {given} if not makers else set()
                for maker in makers:
                    self._join(maker, given)
                waiting = [] if twin is None else waiting
                functional.append(station)
            if station.number not in read | ends:
                waiting.append(station)
        left = waiting if None in ends else []
        self._unknown |= {(one.number, "out") for one in left}
        self._unknown |= {(source, "out") for source in ends if source is not None and source >= 0}

    def _root(self, slot: Slot) -> Slot:
        while self._parents[slot] != slot:
            slot = self._parents[slot]
        return slot

    def _join(self, one: Slot, other: Slot) -> None:
        self._parents[self._root(one)] = self._root(other)


def _is_mixing(station: Station) -> bool:
    return station.layer.kind in _MIXING and station.layer.config.get("groups", 1) == 1


def _is_given_the_same(one: Station, other: Station) -> bool:
    return len(one.given) == len(other.given) == 1 and np.array_equal(
        one.given[0].values, other.given[0].values
    )


def _evidence(found: Judged) -> dict[str, Order] | None:
    """In which order b has a's inputs and outputs, by weights that are a's but for that; None if not all are."""
    told: dict[str, set[Order]] = defaultdict(set)
    for weight in map(as_narrow, held_by([one.layer for one in found.pair.a], found.pair.b[0].layer)):
        expected, held = weight.expected, weight.held
        if expected is None or held is None or (held == held.flat[:1]).all():
            continue
        sizes = dict(zip(weight.axes, held.shape, strict=True))
        orders = {axis: tuple(range(size)) for axis, size in sizes.items()}
        if not _is_copy(expected, held):
            found_orders = permutations_of(expected, held, weight.axes)
            if not found_orders:
                return None
            orders |= dict(found_orders)
        for axis, ends in (("in", ("in",)), ("out", ("out",)), ("channel", ("in", "out"))):
            if sizes.get(axis, 1) > 1:
                for end in ends:
                    told[end].add(orders[axis])
    if any(len(orders) > 1 for orders in told.values()):
        return None
    return {end: next(iter(orders)) for end, orders in told.items()}


def _is_reordered(found: Judged) -> bool:
    """Whether weights tell of another order; those that are the same to the last digit do not."""
    is_other = any(part.error for part in found.weights.values())
    return is_other and any(list(order) != sorted(order) for order in (_evidence(found) or {}).values())


def _is_copy(expected: Array, held: Array) -> bool:
    """Whether a weight is that of a as it stands."""
    if expected.shape != held.shape:
        return False
    return np.array_equal(expected, held) or are_the_same(expected, held, _CLOSE)


def _are_in_order(found: Judged, given: Sequence[int] | None, returned: Sequence[int] | None) -> bool:
    """Whether most slices of weights that were changed are as large as those of a, in these orders."""
    for weight in held_by([one.layer for one in found.pair.a], found.pair.b[0].layer):
        expected, held = weight.expected, weight.held
        if expected is None or held is None or expected.shape != held.shape:
            continue
        theirs = _sizes(_in_order(held, weight.axes, given, returned), weight.axes)
        ours = _sizes(expected, weight.axes)
        factor = float(np.median(theirs / np.maximum(ours, 1e-30)))
        apart = np.abs(ours * factor - theirs) > _SAME_SIZE * theirs.mean()
        if apart.mean() > _MOST:
            return False
    return True


def _sizes(values: Array, axes: Sequence[str]) -> Array:
    """How large each slice for one input and one output is."""
    windows = tuple(place for place, axis in enumerate(axes) if axis not in ("in", "out", "channel"))
    sizes: Array = np.sqrt(np.square(as_float64(values)).sum(windows))
    return sizes


def _in_order(
    values: Array, axes: Sequence[str], given: Sequence[int] | None, returned: Sequence[int] | None
) -> Array:
    """A weight of b as it would be with a's units."""
    for axis, order in (("in", given), ("out", returned), ("channel", returned)):
        if order is not None and axis in axes and values.shape[axes.index(axis)] == len(order):
            values = values.take(np.argsort(order), axes.index(axis))
    return values


def _layer_in_order(layer: Layer, given: Sequence[int] | None, returned: Sequence[int] | None) -> Layer:
    def shown(weight: WeightTensor) -> Weight:
        def read() -> Array:
            return _in_order(weight.numpy(), weight.axes, given, returned)

        identity = weight.identity
        return Weight(
            weight.name, weight.native_name, Layout(weight.axes), weight.shape, weight.dtype, weight.trainable,
            read, identity=identity,
        )  # fmt: skip

    weights = {name: shown(weight) for name, weight in layer.weights.items()}
    return ReadyLayer(
        layer.path, layer.kind, layer.type_name, layer.native, layer.trainable, weights, layer.config
    )
