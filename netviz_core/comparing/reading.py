"""What a layer takes the axes of its input for: their places tell, whatever they were before."""

from __future__ import annotations

from ..words.arrays import Activation, AxisArray
from ..words.protocols import Layer

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
    axes = reading(layer, order)
    if axes == order or set(order) != set(value.axes):
        return value
    read = AxisArray(value.transpose(*order).values, axes).canonical()
    return Activation(read.values, read.axes, value.path, value.call, value.leaf, value.dtype)


def reading(layer: Layer, order: tuple[str, ...]) -> tuple[str, ...]:
    """What a layer takes the axes of its own tensor for, which were called so before."""
    if order[:1] != ("batch",) or "channel" not in order:
        return order
    last = layer.config.get("data_format") == "channels_last"
    if layer.kind.startswith(_WINDOWS):
        spatial = tuple(axis for axis in _SPATIAL if axis in order)
        axes = ("batch", *spatial, "channel") if last else ("batch", "channel", *spatial)
        return axes if len(axes) == len(order) else order
    if layer.kind in _CHANNEL_LAST:
        return _with_channel_at(-1, order)
    if layer.kind in _CHANNEL_SECOND and "axis" not in layer.config:
        return _with_channel_at(-1 if last else 1, order)
    return order  # an axis that was chosen may be the wrong one


def _with_channel_at(place: int, order: tuple[str, ...]) -> tuple[str, ...]:
    axes = list(order)
    axes[order.index("channel")], axes[place] = order[place], "channel"
    return tuple(axes)
