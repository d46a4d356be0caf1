"""What a layer takes the axes of its input for: their places tell, whatever they were before."""

from __future__ import annotations

import re

from ..words.arrays import SPATIAL_AXES, Activation, AxisArray
from ..words.protocols import Layer
from .common import is_named

_SPATIAL = ("z", "y", "x", "time")
_WINDOWS = ("conv", "depthwise", "separable", "pool")
_CHANNEL_LAST = ("dense", "layer_norm", "rms_norm", "lstm", "gru", "rnn", "attention")
_CHANNEL_SECOND = ("batch_norm", "group_norm", "instance_norm")


def as_read(layer: Layer, value: Activation, order: tuple[str, ...]) -> Activation:
    """Name the axes of an input as the layer reads it: a map that came transposed is another map to it.

    Parameters
    ----------
    layer : Layer
    value : Activation
        With canonical axes.
    order : tuple of str
        In which order they stood in the framework's own tensor.
    """
    axes = axes_as_read(layer, order)
    if axes == order or set(order) != set(value.axes):
        return value
    read = AxisArray(value.transpose(*order).values, axes).canonical()
    return Activation(read.values, read.axes, value.path, value.call, value.leaf, value.dtype)


def as_returned(layer: Layer, value: Activation, order: tuple[str, ...]) -> Activation:
    """Name the axes of an output: those of a norm are what it read."""
    return as_read(layer, value, order) if layer.kind.endswith("_norm") else value


def axes_as_returned(layer: Layer, order: tuple[str, ...]) -> tuple[str, ...]:
    """The axes of an output in the order in which they stand."""
    return axes_as_read(layer, order) if layer.kind.endswith("_norm") else order


def axes_as_read(layer: Layer, order: tuple[str, ...]) -> tuple[str, ...]:
    """The axes of an input in the order in which they stand, named as the layer reads them."""
    if order[:1] != ("batch",):
        return order
    last = layer.config.get("data_format") == "channels_last"
    if layer.kind.startswith(_WINDOWS):
        spatial = _spatial(layer, order)
        axes = ("batch", *spatial, "channel") if last else ("batch", "channel", *spatial)
        return axes if len(axes) == len(order) else order
    if layer.kind in _CHANNEL_LAST:
        return _with_channel_at(-1, order)
    if layer.kind in _CHANNEL_SECOND and "axis" not in layer.config:
        return _with_channel_at(-1 if last else 1, order)
    return order  # an axis that was chosen may be the wrong one


def _spatial(layer: Layer, order: tuple[str, ...]) -> tuple[str, ...]:
    """What windows go along: as the axes are called, or, where they have no names, as many as the layer has."""
    known = tuple(axis for axis in _SPATIAL if axis in order)
    rank = re.search(r"([123])d", f"{layer.kind} {layer.type_name}".lower())
    if "channel" in order or rank is None or len(known) >= int(rank[1]):
        return known
    return SPATIAL_AXES[-int(rank[1]) :]


def _with_channel_at(place: int, order: tuple[str, ...]) -> tuple[str, ...]:
    """Where no axis is called so yet, the one that stands there is."""
    axes = list(order)
    if "channel" in order:
        axes[order.index("channel")] = order[place]
    elif is_named(order[place]):
        return order
    axes[place] = "channel"
    return tuple(axes)
