"""The calls of layers that compute, and which of them returned what another was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..captures.recorder import Slot
from ..models.weights import read_each
from ..words.arrays import Activation, AxisArray
from ..words.protocols import Layer
from .reading import as_read, as_returned

Array = np.ndarray[Any, Any]

INPUT = -1
"""Stands for the model's own input where a station's number is expected."""


@dataclass(eq=False)
class Station:
    """One call of one layer that computes something itself, and not by layers within."""

    number: int
    layer: Layer
    call: int
    calls: int
    given_slots: Sequence[Slot]
    returned_slots: Sequence[Slot]
    sources: tuple[int | None, ...] = ()
    """For each tensor given: the station that returned it, `INPUT`, or None if it was made between layers."""
    orders: tuple[Sequence[int] | None, Sequence[int] | None] = (None, None)
    """In which order it has the units that are shown in another one: of what it is given, and of what it returns."""
    is_given_known: bool = True
    is_returned_known: bool = True
    """Whether it is known what it would be given, and return, with other values in place; else it is what it was."""

    @property
    def path(self) -> str:
        """The layer's path."""
        return self.layer.path

    @property
    def key(self) -> tuple[str, int | None]:
        """The path, and the number of the call where there are several."""
        return self.path, self.call if self.calls > 1 else None

    @cached_property
    def given(self) -> tuple[Activation, ...]:
        """The numbers that the layer was given; masks and flags are none."""
        values = (as_read(self.layer, slot.get(), slot.axes) for slot in self.given_numbers)
        return tuple(_shown(value, self.orders[0]) for value in values)

    @property
    def given_numbers(self) -> list[Slot]:
        """Of what it was given, the numbers, in the order of `given`."""
        return [slot for slot in self.given_slots if slot.get().values.dtype.kind not in "bOSU"]

    @cached_property
    def returned(self) -> tuple[Activation, ...]:
        """What it returned, leaf by leaf."""
        values = (as_returned(self.layer, slot.get(), slot.axes) for slot in self.returned_slots)
        return tuple(_shown(value, self.orders[1]) for value in values)

    @cached_property
    def hands_on(self) -> bool:
        """Whether it returned just what it was given."""
        given, returned = self.given, self.returned
        return (
            len(given) == len(returned) == 1
            and given[0].shape == returned[0].shape
            and _equal(given[0].values, returned[0].values)
        )

    @cached_property
    def weights(self) -> Mapping[str, Array]:
        """Its weights that can be read, in canonical layout; not to be written to."""
        return read_each(self.layer.weights)[0]

    def show(self, layer: Layer, given: Sequence[int] | None, returned: Sequence[int] | None) -> None:
        """From now on show weights, and units that stand in these orders, as they would be in the order of others."""
        self.layer, self.orders = layer, (given, returned)
        for name in ("given", "returned", "hands_on", "weights"):
            self.__dict__.pop(name, None)

    def as_it_stands(self, values: Array, axes: Sequence[str], is_given: bool) -> Array:
        """Values with units in the order in which they are shown, in that in which the layer has them."""
        order = self.orders[0 if is_given else 1]
        return values if order is None else values.take(order, list(axes).index("channel"))


def _shown(value: Activation, order: Sequence[int] | None) -> Activation:
    """A value with its units in the order in which they are shown."""
    if order is None or value.sizes.get("channel") != len(order):
        return value
    return replace(value, values=value.values.take(np.argsort(order), value.axes.index("channel")))


def link(stations: Sequence[Station], whole: Station | None) -> None:
    """Find out which station returned what another was given."""
    made: dict[Any, int] = {}
    by_shape: dict[Any, list[tuple[int, Array]]] = {}
    if whole is not None:
        for value in whole.given:
            _remember(made, by_shape, value, INPUT)
    for station in stations:
        station.sources = tuple(_sources(station, made, by_shape))
        for value in station.returned:
            _remember(made, by_shape, value, station.number)
    if whole is not None and whole not in stations:
        whole.sources = tuple(_source(value, made, by_shape) for value in whole.returned)


def _sources(
    station: Station, made: Mapping[Any, int], by_shape: Mapping[Any, list[tuple[int, Array]]]
) -> Iterator[int | None]:
    """Where each tensor that a layer was given comes from; one without names as it stood, whatever it is read as."""
    slots = [slot for slot in station.given_slots if slot.get().values.dtype.kind not in "bOSU"]
    for value, slot in zip(station.given, slots, strict=True):
        found = _source(value, made, by_shape)
        if found is None and "channel" not in slot.axes:
            found = _source(slot.get(), made, by_shape)
        yield found


def _remember(
    made: dict[Any, int], by_shape: dict[Any, list[tuple[int, Array]]], value: AxisArray, number: int
) -> None:
    made[_place(value.values)] = number
    by_shape.setdefault(_form(value), []).append((number, value.values))


def _source(
    value: AxisArray, made: Mapping[Any, int], by_shape: Mapping[Any, list[tuple[int, Array]]]
) -> int | None:
    """By its place in memory; or, since what is kept may have been copied, by its numbers."""
    known = made.get(_place(value.values))
    if known is not None:
        return known
    candidates = reversed(by_shape.get(_form(value), ()))
    return next((number for number, values in candidates if _equal(values, value.values)), None)


def _place(values: Array) -> tuple[Any, ...]:
    return (values.__array_interface__["data"][0], values.shape, values.strides)


def _form(value: AxisArray) -> tuple[Any, ...]:
    """What two values have in common that may be the same: the first few numbers tell most apart."""
    few = _few(value.values)
    if few.dtype.kind in "fc":
        few = np.nan_to_num(few) + 0  # no two forms of zero
    return (value.shape, value.values.dtype.str, few.tobytes())


def _equal(left: Array, right: Array) -> bool:
    """Whether all numbers are the same; most arrays that differ do so among the first few."""
    if not left.size:
        return True
    return bool(np.array_equal(_few(left), _few(right), equal_nan=True)) and bool(
        np.array_equal(left, right, equal_nan=True)
    )


def _few(values: Array) -> Array:
    few: Array = values[tuple(slice(0, 2) for _ in values.shape)]
    return few
