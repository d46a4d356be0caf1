"""What layers compute, so that one setting can be changed and the result held against what was returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...recomputing.layers import recomputed
from ...words.arrays import AxisArray
from ..common import is_named
from ..pairing.pairing import StationPair
from ..sides import Side, Station

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Recipe:
    """One layer: what it is, its settings and weights."""

    kind: str
    type_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]

    def with_config(self, **changed: Any) -> Recipe:
        """The same with other settings; None takes one away."""
        config = {name: value for name, value in {**self.config, **changed}.items() if value is not None}
        return replace(self, config=config)

    def with_weights(self, **changed: Array | None) -> Recipe:
        """The same with other weights; None takes one away."""
        weights = {name: value for name, value in {**self.weights, **changed}.items() if value is not None}
        return replace(self, weights=weights)


@dataclass(frozen=True, eq=False)
class Course:
    """The layers of one side of a pair, and what the first of them, or the padding before it, was given."""

    recipes: tuple[Recipe, ...]
    inputs: tuple[AxisArray, ...]
    orders: tuple[tuple[str, ...], ...]
    padding: Recipe | None = None

    def result(
        self, *, first: Recipe | None = None, inputs: Sequence[AxisArray] | None = None
    ) -> AxisArray | None:
        """What comes out in the end, with another first layer or other inputs.

        None where it cannot be known, or no such layer can be.
        """
        with np.errstate(all="ignore"), suppress(ValueError, IndexError, TypeError, ZeroDivisionError):
            return self._result(self.recipes[0] if first is None else first, inputs)
        return None

    def _result(self, first: Recipe, inputs: Sequence[AxisArray] | None) -> AxisArray | None:
        values: Sequence[AxisArray] = self.inputs if inputs is None else inputs
        orders: Sequence[tuple[str, ...]] = self.orders
        recipes = [first, *self.recipes[1:]]
        if self.padding is not None:
            recipes.insert(0, self.padding)
        out: AxisArray | None = None
        for recipe in recipes:
            out = recomputed(recipe.kind, recipe.type_name, recipe.config, recipe.weights, values, orders)
            if out is None:
                return None
            values, orders = (out,), ()
        return out


def course_of(
    stations: Sequence[Station], function: Station | None, padding: Station | None = None
) -> Course:
    """The course of one side; `function` is the layer whose activation belongs to it, too, `padding` one before it."""
    head = padding or stations[0]
    recipes = [recipe_of(station) for station in stations]
    if function is not None:
        layer = function.layer
        recipes.append(Recipe("activation", layer.type_name, layer.config, {}))
    inputs = tuple(named(head, value) for value in head.given)
    orders = tuple(slot.axes for slot in head.given_slots)
    return Course(tuple(recipes), inputs, orders, recipe_of(padding) if padding is not None else None)


def courses_of(pair: StationPair) -> tuple[Course, Course]:
    """Both sides of a pair."""
    return course_of(pair.a, None), course_of(pair.b, None)


def recipe_of(station: Station) -> Recipe:
    """What a station computes."""
    layer = station.layer
    is_known = station.weights.keys() == layer.weights.keys()  # else some cannot be read
    return Recipe(layer.kind if is_known else "other", layer.type_name, layer.config, station.weights)


def named_by_users(value: AxisArray, station: Station, side: Side) -> AxisArray:
    """Name the axes of what a station returned as the layer that takes it does, where they have no names."""
    if any(axis.startswith("axis") for axis in value.axes):
        for user in side.stations[station.number + 1 :]:
            for source, given in zip(user.sources, user.given, strict=True):
                if source == station.number and given.shape == value.shape:
                    return named(user, given)
    return value


def named(station: Station, value: AxisArray) -> AxisArray:
    """Name the axes of what a layer was given as it returned them, where they have no names of their own."""
    returned = station.returned[0] if station.returned else None
    if all(map(is_named, value.axes)) or "channel" in value.axes or returned is None:
        return value
    if returned.shape != value.shape or len(returned.axes) != len(value.axes):
        return value
    return AxisArray(value.values, returned.axes)
