"""What layers compute, so that one setting can be changed and the result held against what was returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...recomputing.layers import recomputed
from ...words.arrays import AxisArray
from ..pairing.pairs import StationPair
from ..reading import axes_as_read
from ..sides import Side
from ..stations import Station

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


OF_ACTIVATIONS = (
    "activation", "approximate", "negative_slope", "alpha", "beta", "slope", "min_value", "max_value", "threshold",
    "default_value",
)  # fmt: skip
"""Settings of activation functions."""


@dataclass(frozen=True, eq=False)
class Course:
    """The layers of one side of a pair, and what the first of them, or the padding before it, was given."""

    recipes: tuple[Recipe, ...]
    inputs: tuple[AxisArray, ...]
    orders: tuple[tuple[str, ...], ...]
    padding: Recipe | None = None

    @property
    def first(self) -> Recipe:
        """The layer that gives the pair its name."""
        return self.recipes[0]

    def with_first(self, recipe: Recipe) -> Course:
        """The same with another first layer."""
        return replace(self, recipes=(recipe, *self.recipes[1:]))

    def with_config(self, **changed: Any) -> Course:
        """The same with other settings of the first layer; None takes one away."""
        return self.with_first(self.first.with_config(**changed))

    def with_weights(self, **changed: Array | None) -> Course:
        """The same with other weights of the first layer; None takes one away."""
        return self.with_first(self.first.with_weights(**changed))

    def with_activation(self, settings: Mapping[str, Any], slope: Array | None = None) -> Course:
        """The same with another activation at its end; `slope` is the weight of one that has such."""
        others = {
            name: value for name, value in self.recipes[-1].config.items() if name not in OF_ACTIVATIONS
        }
        config = {**others, **(settings or {"activation": "linear"})}
        last = replace(self.recipes[-1], config=config).with_weights(slope=slope)
        return replace(self, recipes=(*self.recipes[:-1], last))

    @property
    def activation(self) -> Mapping[str, Any]:
        """The settings of the activation at its end; empty if there is none."""
        found = {name: value for name, value in self.recipes[-1].config.items() if name in OF_ACTIVATIONS}
        return found if found.get("activation") not in (None, "linear") else {}

    def rounded(self, rounding: Callable[[Array], Array]) -> Course:
        """The same with everything that is multiplied rounded before."""
        weights = {name: rounding(value) for name, value in self.first.weights.items() if value.ndim > 1}
        inputs = tuple(AxisArray(rounding(value.values), value.axes) for value in self.inputs)
        return replace(self.with_weights(**weights), inputs=inputs)

    def padding_inside(self) -> Course:
        """The same with zeros that a layer of their own adds made part of what the layer behind it adds itself."""
        before, sides = self.padding, self.first.config.get("padding")
        if (
            before is None
            or "padding_mode" not in before.config
            or not isinstance(sides, tuple)
            or before.config.get("value", 0) != 0
        ):
            return self
        if {before.config["padding_mode"], self.first.config.get("padding_mode", "zeros")} != {"zeros"}:
            return self
        total = np.add(sides, before.config["padding"])
        padding = tuple((int(one), int(other)) for one, other in total)
        return replace(self.with_config(padding=padding), padding=None)

    def of_one_sample(self) -> Course | None:
        """The same for the first sample alone; None where a layer may look at others, or there is no other."""
        apart = self.first.kind.startswith(("conv", "depthwise", "separable", "dense", "pool"))
        if not apart or any(x.axes[:1] != ("batch",) or len(x.values) < 2 for x in self.inputs):
            return None
        return replace(self, inputs=tuple(AxisArray(x.values[:1], x.axes) for x in self.inputs))

    def folded(self) -> Course:
        """The same with a batch norm behind a convolution or dense layer made part of its weights."""
        if len(self.recipes) < 2 or self.recipes[1].kind != "batch_norm":
            return self
        kernel, norm = self.first.weights.get("kernel"), self.recipes[1]
        if kernel is None or not {"running_mean", "running_variance"} <= norm.weights.keys():
            return self
        spread = np.sqrt(norm.weights["running_variance"] + norm.config["epsilon"])
        factor = norm.weights.get("scale", 1.0) / spread
        start = self.first.weights.get("bias", 0.0) - norm.weights["running_mean"]
        bias = start * factor + norm.weights.get("bias", 0.0)
        scaled = kernel * factor.reshape(-1, *(1,) * (kernel.ndim - 1))
        first = self.first.with_weights(kernel=scaled.astype(kernel.dtype), bias=bias.astype(kernel.dtype))
        return replace(self, recipes=(first, *self.recipes[2:]))

    def result(self, *, inputs: Sequence[AxisArray] | None = None) -> AxisArray | None:
        """What comes out in the end, perhaps of other inputs.

        None where it cannot be known, or no such layer can be.
        """
        with suppress(ValueError, IndexError, TypeError, ZeroDivisionError):
            return self._result(inputs)
        return None

    def _result(self, inputs: Sequence[AxisArray] | None) -> AxisArray | None:
        values: Sequence[AxisArray] = self.inputs if inputs is None else inputs
        orders: Sequence[tuple[str, ...]] = self.orders
        recipes = self.recipes if self.padding is None else (self.padding, *self.recipes)
        out: AxisArray | None = None
        for recipe in recipes:
            out = recomputed(recipe.kind, recipe.type_name, recipe.config, recipe.weights, values, orders)
            if out is None:
                return None
            values, orders = (out,), ()
        return out


def course_of(stations: Sequence[Station], before: Sequence[Station] = ()) -> Course:
    """The course of one side: layers one after another, and a padding before them."""
    head = [*before, *stations][0]
    is_padding = bool(before) and "padding_mode" in head.layer.config
    padding = recipe_of(head) if is_padding else None
    recipes = tuple(recipe_of(station) for station in stations)
    is_chain = all(station.sources == (last.number,) for last, station in pairwise(stations))
    if len(before) > is_padding or not is_chain:  # other layers before it, or beside it, are not recomputed
        recipes = (replace(recipes[0], kind="other"), *recipes[1:])
    inputs = tuple(named(head, value) for value in head.given)
    orders = tuple(axes_as_read(head.layer, slot.axes) for slot in head.given_numbers)
    return Course(recipes, inputs, orders, padding)


def courses_of(pair: StationPair) -> tuple[Course, Course]:
    """Both sides of a pair."""
    return course_of(pair.a, pair.before_a), course_of(pair.b, pair.before_b)


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
                    return named(user, value)
    return value


_SPATIAL = {"1d": ("x",), "2d": ("y", "x"), "3d": ("z", "y", "x")}


def named(station: Station, value: AxisArray) -> AxisArray:
    """Name the axes of what a convolution or pooling was given, where nobody else could."""
    if not any(axis.startswith("axis") for axis in value.axes):
        return value
    text = f"{station.layer.kind} {station.layer.type_name}".lower()
    config = station.layer.config
    is_known = station.layer.kind != "other" or config  # a class of one's own may be called anything
    spatial = next((axes for rank, axes in _SPATIAL.items() if is_known and rank in text), None)
    if spatial is not None and len(value.axes) == len(spatial) + 2:
        last = config.get("data_format") == "channels_last"
        axes = ("batch", *spatial, "channel") if last else ("batch", "channel", *spatial)
        return AxisArray(value.values, axes).canonical()
    if station.layer.kind == "dense" and len(value.axes) == 2:
        return AxisArray(value.values, ("batch", "channel"))
    returned = station.returned[0] if station.returned else None
    if returned is not None and returned.shape == value.shape and len(returned.axes) == len(value.axes):
        return AxisArray(value.values, returned.axes)
    return value
