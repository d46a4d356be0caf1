"""Grids of small images on one scale: the kernels of a layer, the feature maps of a sample."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..captures.capture import Capture, capture
from ..captures.samples import of_sample, require_entries
from ..models.network import Network, weight_of, wrap
from ..words.arguments import require_path
from ..words.arrays import SPATIAL_AXES, AxisArray, count_nonfinite
from ..words.cards import Told
from ..words.errors import AxisError, InputError, UnsupportedError, as_integer
from ..words.ranges import values_told
from ..words.text_tables import counted
from .base import View, layer_title, of_source, require_real
from .scales import Limits, signed_limits, value_limits

_MOST_ELONGATED = 4
_WEIGHT_OF_GAPS = 8.0
"""Of the share of empty places in a grid, beside the logarithm of its aspect."""


@dataclass(frozen=True, eq=False, repr=False)
class TileGrid(View):
    """Many small images of one size, on one colour scale.

    Parameters
    ----------
    title : str
        From the layer's path, kind and shape.
    tiles : numpy.ndarray
        ``(n, y, x)``, or ``(n, y, x, 3)`` for colour, in the units of the values themselves.
    limits : tuple of float
        Lowest and highest value of the scale; finite, increasing, and centred on zero if
        the values are signed.
    value_label : str
        What the values are.
    tile_label : str
        What one tile is, such as ``out``.
    nan_count, inf_count : int
        How many values are not finite.
    axes : tuple of (str, int), optional
        What the number of a tile is made of, the last varying fastest: ``(("out", 64), ("in", 32))``. Empty where
        it counts one thing.
    """

    title: str
    tiles: np.ndarray[Any, Any]
    limits: Limits
    value_label: str
    tile_label: str
    nan_count: int
    inf_count: int
    axes: tuple[tuple[str, int], ...] = field(default=(), kw_only=True)

    @property
    def is_rgb(self) -> bool:
        """Whether each tile is a colour image."""
        return self.tiles.ndim == 4

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the whole picture.

        Where tiles have axes, the first of these goes down and the others across; unless that makes a mere line,
        when a row holds several entries of the first. Else as square as may be with few places left empty.
        """
        count, height, width = self.tiles.shape[:3]
        group = min(self.group, count)
        if group < 2:
            return fullest_grid(count, height, width)
        rows = -(-count // group)
        if rows * height <= _MOST_ELONGATED * group * width:
            return rows, group
        rows, groups = fullest_grid(rows, height, group * width)
        return rows, groups * group

    @property
    def group(self) -> int:
        """How many tiles belong to one entry of the first axis."""
        return math.prod(length for _, length in self.axes[1:])

    def _told(self) -> Told:
        count, height, width = self.tiles.shape[:3]
        told = values_told(self.tiles, self.nan_count, self.inf_count)
        state = "odd" if self.nan_count + self.inf_count else ""
        return Told(
            f"{counted(count, 'tile')} of {height:,} × {width:,}: {self.value_label} {told}", state=state
        )


@dataclass(frozen=True, eq=False, repr=False)
class KernelGrid(TileGrid):
    """The kernels of a convolution; made by `kernels`."""


@dataclass(frozen=True, eq=False, repr=False)
class FeatureMapGrid(TileGrid):
    """What a layer made of one sample, channel by channel; made by `feature_maps`."""


def kernels(
    model: Any,
    layer: str,
    *,
    weight: str = "kernel",
    channel: int | None = None,
    rgb: bool | None = None,
    limit: int | None = None,
) -> KernelGrid:
    """Show the kernels of a convolution as small images on one scale, centred on zero.

    Parameters
    ----------
    model : native model, path, or Network
    layer : str
        Its path.
    weight : str
        Which of its weights; it needs an axis ``x``.
    channel : int, optional
        Only the slices of this input channel.
    rgb : bool, optional
        Show three input channels as one colour image; by default wherever there are three.
    limit : int, optional
        At most so many tiles, from the first on.

    Returns
    -------
    KernelGrid
        Tiles ``kernel[out, in]`` of shape (y, x), out-major; for volumes one tile for each z.

    Raises
    ------
    LayerNotFoundError
        If there is no such layer.
    UnsupportedError
        If the layer has no such weight, or it has no spatial axes.
    InputError
        If `channel` lies outside, `limit` is not positive, or `rgb` does not fit.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> kernels(example_model(), "conv1").tiles.shape
    (4, 3, 3)
    """
    require_path("kernels", {"model": model, "layer": layer})
    network = wrap(model)
    found, tensor = weight_of(network, layer, weight)
    if "x" not in tensor.axes:
        named = ", ".join(tensor.axes)
        raise UnsupportedError(
            f"weight {weight!r} of layer {found.path!r} ({found.kind}) has the axes {named} and no "
            f"images to show; see netviz_core.heatmap or netviz_core.histogram"
        )
    array = AxisArray(tensor.numpy(), tensor.axes)
    require_real(array.values, f"layer {found.path!r}, weight {weight!r}")
    if channel is not None:
        first = _within(array, "in", channel)
        array = array.select(**{"in": slice(first, first + 1)})
    colour = _wants_colour(array, rgb, channel)
    leading = [axis for axis in array.axes if axis not in SPATIAL_AXES]
    whole = _tiles(array, (*leading, *SPATIAL_AXES), colour)
    tiles = whole[: _positive(limit)]
    numbered = [axis for axis in (*leading, "z") if not (colour and axis == "in")]
    spatial = " × ".join(str(size) for axis, size in array.sizes.items() if axis in SPATIAL_AXES)
    sliced = " × ".join(f"{array.sizes[axis]} {axis}" for axis in leading)
    part = (
        f" · input channel {first} of {tensor.shape[tensor.axes.index('in')]}" if channel is not None else ""
    )
    made = KernelGrid(
        title=layer_title(found, f"{sliced}, {spatial}{part}{_first_of(limit, whole, 'kernels')}"),
        tiles=tiles,
        limits=signed_limits(tiles),
        value_label=weight,
        tile_label=_counted(array, numbered) or numbered[0],
        axes=tuple((axis, array.sizes[axis]) for axis in numbered if array.sizes.get(axis, 1) > 1),
        **count_nonfinite(tiles)._asdict(),
    )
    return of_source(network.backend, made)


def feature_maps(
    model: Any, layer: str, x: Any = None, *, sample: int = 0, limit: int | None = None
) -> FeatureMapGrid:
    """Show what a layer made of one sample: one image for each channel, on one scale.

    Parameters
    ----------
    model : native model, path, Network, or Capture
    layer : str
        The layer's path, or the key that its output has in a capture (``"lstm#0"``).
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The model's input, a batch; by default one of the model's own data, where it comes with
        some. Not with a capture.
    sample : int
        Which sample of the batch.
    limit : int, optional
        At most so many maps, from the first channel on.

    Returns
    -------
    FeatureMapGrid
        Tiles (y, x) for each channel; for volumes one for each z, for videos one for each step, for one-dimensional
        data tiles one pixel high. Where a layer looks at several pictures of each sample, such as its views, all
        of them.

    Raises
    ------
    LayerNotFoundError, InputError
        If there is no such layer, or no input, or no such sample.
    AxisError
        If the output has no spatial axes, or they are not known.

    Notes
    -----
    Why the arguments come in this order: see `netviz_core.attributions`.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> feature_maps(example_model(), "conv1", np.zeros((2, 1, 8, 8), "float32")).tiles.shape
    (4, 6, 6)
    """
    require_path("feature_maps", {"model": model, "layer": layer, "x": x})
    if isinstance(model, Capture):
        if x is not None:
            raise InputError("a capture already holds its values; give x only with a model")
        activation, source = model[layer], model.backend
        require_entries(activation, model.samples)
        pictures = pictures_of(activation, sample)
    else:
        network = wrap(model)
        x, source = network.input_or_example(x), network.backend
        activation = capture(network, x, _path_of(layer, network))[layer]
        pictures = _with_places(of_sample(network, x, activation, sample))
    require_real(activation.values, f"layer {layer!r}")
    if pictures is None:
        raise AxisError(
            f"the output of layer {layer!r} has the axes {', '.join(activation.axes)} and no images to show; "
            f"see netviz_core.histogram, or name the axes: netviz_core.capture(…, axes=(…)) and "
            f"feature_maps of that capture"
        )
    made = feature_map_grid(pictures, activation.path or "output", limit)
    told = told_sample(sample, activation.sizes.get("batch", 1))
    return of_source(source, replace(made, title=" · ".join(filter(None, (made.title, told)))))


def told_sample(sample: int, count: int) -> str:
    """Which of several samples is shown; empty where there is one."""
    return f"sample {sample % count} of {count:,}" if count > 1 else ""


def pictures_of(array: AxisArray, sample: int) -> AxisArray | None:
    """One sample of what a layer returned; None if there is nothing to see in it."""
    return _with_places(array.select(batch=_within(array, "batch", sample)))


def _with_places(array: AxisArray) -> AxisArray | None:
    """What has places to be seen at; time is one where there is no other."""
    names = set(array.axes)
    if not names <= {"entry", "channel", "time", *SPATIAL_AXES} or names <= {"entry", "channel"}:
        return None
    has_places = bool(names & set(SPATIAL_AXES))
    return AxisArray(array.values, tuple("x" if a == "time" and not has_places else a for a in array.axes))


def feature_map_grid(pictures: AxisArray, name: str, limit: int | None = None) -> FeatureMapGrid:
    """The grid of a layer called `name`; see `pictures_of`."""
    leading = ["entry", "channel", "time", "z"]
    whole = _tiles(pictures, (*leading, "y", "x"), colour=False)
    tiles = whole[: _positive(limit)]
    size = " × ".join(str(n) for axis, n in pictures.sizes.items() if axis not in ("channel", "entry"))
    first = _first_of(limit, whole, "maps")
    return FeatureMapGrid(
        title=f"{name}: {pictures.sizes.get('channel', 1)} channels, {size}{first}",
        tiles=np.array(tiles),
        limits=value_limits(tiles),
        value_label="activation",
        tile_label=_counted(pictures, leading) or "channel",
        **count_nonfinite(tiles)._asdict(),
    )


def _first_of(limit: int | None, whole: np.ndarray[Any, Any], what: str) -> str:
    """What a limit leaves of all tiles, for a title."""
    if limit is None or limit >= len(whole):
        return ""
    return (
        f" · the first {limit:,} of {len(whole):,} {what}"
        if limit > 1
        else f" · the first of {len(whole):,} {what}"
    )


def _counted(array: AxisArray, axes: Sequence[str]) -> str:
    """What a number of a tile counts: the axes of which there are several entries."""
    return " × ".join(axis for axis in axes if array.sizes.get(axis, 1) > 1)


def _path_of(layer: str, network: Network) -> str:
    """The path in the key of a value that a layer returned."""
    return layer if layer in network else re.sub(r"(:\d+)?(#.*)?$", "", layer)


def _within(array: AxisArray, axis: str, index: int) -> int:
    """The index, counted from the front, after checking that it exists."""
    name, entry = {"batch": ("sample", "sample"), "in": ("channel", "input channel")}[axis]
    index, size = as_integer(index, name), array.sizes[axis]
    if not -size <= index < size:
        there = f"are {size} {entry}s" if size != 1 else f"is 1 {entry}"
        raise InputError(f"{name}={index} does not exist; there {there}, counted from 0")
    return index % size


def _positive(limit: int | None) -> int | None:
    if limit is not None and as_integer(limit, "limit") < 1:
        raise InputError(f"limit={limit} leaves nothing to show; give a positive number")
    return limit


def _wants_colour(array: AxisArray, rgb: bool | None, channel: int | None) -> bool:
    inputs = array.sizes.get("in", 1)
    if rgb and inputs != 3:
        raise InputError(f"rgb=True needs three input channels; there are {inputs}")
    return inputs == 3 and channel is None and rgb is not False


def _tiles(array: AxisArray, order: tuple[str, ...], colour: bool) -> np.ndarray[Any, Any]:
    """Bring an array to (n, y, x), or (n, y, x, 3), whatever axes it has."""
    for axis in order:
        if axis not in array.axes:
            array = AxisArray(array.values[..., np.newaxis], (*array.axes, axis))
    if colour:
        order = (*(axis for axis in order if axis != "in"), "in")
    values = array.transpose(*order).values
    return values.reshape(-1, *values.shape[-3 if colour else -2 :])


def fullest_grid(count: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns for `count` tiles such that few places are empty and the picture is about square.

    Examples
    --------
    >>> fullest_grid(32, 5, 5), fullest_grid(512, 28, 28), fullest_grid(17, 3, 3)
    ((4, 8), (23, 23), (3, 6))
    """
    if count == 0:
        return 0, 0
    ideal = math.sqrt(count * height / width)
    columns = np.unique(np.clip(np.arange(int(ideal / 4), int(4 * ideal) + 2), 1, count))[::-1]
    rows = -(-count // columns)
    columns = -(-count // rows)
    uneven = np.abs(np.log(rows * height / (columns * width)))
    costs = uneven + _WEIGHT_OF_GAPS * (1 - count / (rows * columns))
    best = int(np.argmin(np.round(costs, 9)))  # of two that are as good the wider one
    return int(rows[best]), int(columns[best])


def squarest_grid(count: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns for `count` tiles such that the picture is nearly square and no row is empty.

    Examples
    --------
    >>> squarest_grid(32, 5, 5), squarest_grid(1, 9, 9), squarest_grid(17, 1, 8)
    ((6, 6), (1, 1), (9, 2))
    """
    if count == 0:
        return 0, 0
    ideal = math.sqrt(count * height / width)

    def unevenness(columns: int) -> tuple[float, int]:
        rows = -(-count // columns)
        return abs(math.log(rows * height / (columns * width))), rows * columns

    nearby = {min(max(candidate, 1), count) for candidate in (math.floor(ideal), math.ceil(ideal))}
    columns = min(nearby, key=unevenness)
    rows = -(-count // columns)
    return rows, -(-count // rows)
