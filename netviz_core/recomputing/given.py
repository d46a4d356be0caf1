"""What is known of one call of a layer, and which of its axes a position means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..words.arrays import SPATIAL_AXES, AxisArray

Array = np.ndarray[Any, Any]
Axes = tuple[str, ...]


class Unknown(Exception):
    """What a layer returns cannot be known from what netviz has been told."""


@dataclass(frozen=True, eq=False)
class Given:
    """One call of a layer in netviz' words.

    Parameters
    ----------
    kind, type_name, config, weights, inputs, orders
        As for `recomputed`.
    """

    kind: str
    type_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]
    inputs: Sequence[AxisArray]
    orders: Sequence[Axes | None] = ()

    @property
    def x(self) -> AxisArray:
        """The first input."""
        if not self.inputs:
            raise Unknown
        return self.inputs[0]

    @property
    def only(self) -> AxisArray:
        """The one input that there is."""
        if len(self.inputs) != 1:
            raise Unknown
        return self.inputs[0]

    def setting(self, name: str) -> Any:
        """A hyperparameter that must be known."""
        if name not in self.config:
            raise Unknown
        return self.config[name]

    def weight(self, name: str) -> Array:
        """A weight that must be there."""
        if name not in self.weights:
            raise Unknown
        return self.weights[name]

    def require_weights_among(self, *names: str) -> None:
        """Refuse a layer with a weight of which nothing is known."""
        if not self.weights.keys() <= set(names):
            raise Unknown

    def native_orders(self, axes: Axes, number: int = 0) -> list[Axes]:
        """The orders in which these axes may stand in the framework's own tensor."""
        order = self.orders[number] if number < len(self.orders) else None
        if order is not None and set(order) == set(axes):
            return [order]
        if "channel" in axes and any(axis in axes for axis in SPATIAL_AXES):
            first, last = axes, (*(axis for axis in axes if axis != "channel"), "channel")
            data_format = self.config.get("data_format")
            return {"channels_first": [first], "channels_last": [last]}.get(str(data_format), [last, first])
        if axes[:2] == ("batch", "time"):
            return [axes, ("time", "batch", *axes[2:])]
        return [axes]

    def sequence(self, number: int = 0) -> Array:
        """An input as batch, time and features: by the places of its axes where these are known, else by their names.

        Raises
        ------
        Unknown
        """
        x = self.inputs[number]
        if x.values.ndim != 3:
            raise Unknown
        order = self.orders[number] if number < len(self.orders) else None
        if order is None or set(order) != set(x.axes):
            if set(x.axes) == {"batch", "time", "channel"}:
                return x.transpose("batch", "time", "channel").values
            if "channel" in x.axes[:2] or "time" in x.axes:
                raise Unknown
            order = x.axes
        values = x.transpose(*order).values
        return values if self.config.get("batch_first", True) else values.swapaxes(0, 1)

    def axes_at(self, x: AxisArray, position: Any, lengths: Sequence[int] | None = None) -> Axes:
        """The names of the axes at one or several positions in the framework's own tensor.

        Parameters
        ----------
        x : AxisArray
        position : int or sequence of int
        lengths : sequence of int, optional
            How long these axes must be, as weights that go with them say.

        Raises
        ------
        Unknown
            If several axes may be meant. The last axis of which lengths leave it open is that of channels.
        """
        positions = (position,) if isinstance(position, int) else tuple(position)
        if not all(-x.values.ndim <= place < x.values.ndim for place in positions):
            raise Unknown
        known = dict(zip(x.axes, x.values.shape, strict=True))
        found = {tuple(order[place] for place in positions) for order in self.native_orders(x.axes)}
        if lengths is not None:
            found = {axes for axes in found if tuple(known[axis] for axis in axes) == tuple(lengths)}
        if len(found) == 1:
            return found.pop()
        last = positions in ((-1,), (x.values.ndim - 1,))
        if last and lengths is not None and ("channel",) in found:
            return ("channel",)
        raise Unknown


def along(values: Array, x: AxisArray, axes: Sequence[str]) -> Array:
    """Lay values with these axes out so that they can be combined with those of `x`."""
    wanted = [axis for axis in x.axes if axis in axes]
    ordered = values.transpose([list(axes).index(axis) for axis in wanted])
    lengths = dict(zip(wanted, ordered.shape, strict=True))
    return ordered.reshape([lengths.get(axis, 1) for axis in x.axes])


def with_axis_last(x: AxisArray, axis: str) -> Array:
    """The values with one axis moved behind all others."""
    return np.moveaxis(x.values, x.axes.index(axis), -1)


def floating(values: Array) -> Array:
    """Numbers that can be computed with: integers and truth values as float32."""
    return values if values.dtype.kind in "fc" else values.astype(np.float32)
