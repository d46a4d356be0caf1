"""Where on pictures the elements of a tensor lie: maps, tokens and windows brought to one grid for each picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..captures.placing import broadcast, hull
from ..captures.samples import is_one_sample, samples_at
from ..captures.stretches import varying
from ..words.arrays import SPATIAL_AXES, AxisArray
from ..words.cards import Record
from ..words.supports import Coordinate, OriginOf, Source, Stretch

Array = np.ndarray[Any, Any]

_ROUNDING = 0.01
"""How much the stretches of two elements may differ and still be one, as a share of a pixel."""


_EVERYWHERE = "has no places on an image that are known: each of its values may depend on all of it"


class Picture(NamedTuple):
    """What one map lies on.

    ``source`` is the input whose places it has; None if it is made within the model, or of several inputs. ``part``
    tells pictures of one sample apart, such as its views or steps of time.
    """

    source: str | None
    sample: int
    part: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Places:
    """Where the elements of a tensor lie.

    Parameters
    ----------
    axes : tuple of str
        The tensor's axes along which elements lie at different places; all others are features.
    pictures : tuple of Picture
    index : numpy.ndarray of int
        ``(picture, [z,] [y,] x)``: which element, counted along `axes`, lies at each place.
    grid : tuple of str
        The names of the places' axes.
    """

    axes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    index: Array
    grid: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many places there are on each picture."""
        return int(np.prod(self.index.shape[1:]))

    def folded(self, array: AxisArray) -> Array:
        """Bring what a layer returned, or its derivative, to ``(picture, channel, [z,] [y,] x)``."""
        features = [axis for axis in array.axes if axis not in self.axes]
        values = array.transpose(*self.axes, *features).values
        values = values.reshape(int(np.prod(values.shape[: len(self.axes)])), -1)
        return np.moveaxis(values[self.index], -1, 1)


@dataclass(frozen=True, eq=False, repr=False)
class Grid(Record):
    """Tokens that are the places of an image.

    Parameters
    ----------
    index : numpy.ndarray of int
        ``(y, x)``: the number of the token that lies at each place; others have none.
    """

    index: Array


def places_of(told: OriginOf, sources: Mapping[str, Source]) -> Places | str:
    """Where the elements of a tensor lie on pictures, if they fill a grid on each of them; else why they do not."""
    if "channel" in told.axes:  # features may be of several places, as where patches are merged
        told = told._replace(origin=broadcast(hull(told.origin, (told.axes.index("channel"),)), told.shape))
    names = {key: sources[key.source].axes[key.axis] for key in told.origin}
    known = {key: varying(stretch) for key, stretch in told.origin.items() if names[key] != "channel"}
    spatial = _spatial(known, names, sources)
    if not spatial:
        return _EVERYWHERE
    axes = tuple(sorted(set[int]().union(*known.values())))
    elements = _Elements(told, axes, sources)
    rows = [_rows_of(elements, source, keys, known, names) for source, keys in spatial.items()]
    is_placed = np.stack([row.is_placed for row in rows])
    samples = np.stack([row.samples for row in rows])
    if not is_placed.any():
        return _EVERYWHERE
    if (is_placed & (samples < 0)).any():
        return "has places, but what the model does to its samples cannot be followed"
    found: list[tuple[Picture, Array]] = []
    pairs = zip(spatial.items(), rows, strict=True)
    for number, ((source, keys), row) in enumerate(pairs):
        is_first = is_placed[number] & ~is_placed[:number].any(axis=0)
        if not is_first.any():
            continue
        is_shared = (is_placed[:, is_first].sum(axis=0) > 1).any()
        name = source if sources[source].is_input and not is_shared else None
        grids = _grids(row, np.flatnonzero(is_first), elements.entries, name)
        if grids is None:
            return f"has values that do not fill a grid of places along {' and '.join(str(names[key]) for key in keys)}"
        found += grids
    shapes = {index.shape for _, index in found}
    if len(shapes) > 1:
        return f"has grids of several sizes, {' and '.join(map(str, sorted(shapes)))}"
    found.sort(key=lambda pair: (pair[0].sample, pair[0].part))
    grid = tuple(str(names[key]) for key in next(iter(spatial.values())))
    pictures, index = zip(*found, strict=True)
    return Places(tuple(told.axes[axis] for axis in axes), pictures, np.stack(index), grid)


def _spatial(
    known: Mapping[Coordinate, set[int]],
    names: Mapping[Coordinate, str | None],
    sources: Mapping[str, Source],
) -> dict[str, list[Coordinate]]:
    """By source the spatial axes along which elements lie at different places, where there are most of them."""
    found: dict[str, list[Coordinate]] = {}
    for name in SPATIAL_AXES:
        for key, axes in known.items():
            if names[key] == name and axes:
                found.setdefault(key.source, []).append(key)
    most = max(map(len, found.values()), default=0)
    best = {source: keys for source, keys in found.items() if len(keys) == most}
    return {source: keys for source, keys in best.items() if sources[source].is_input} or best


class _Elements:
    """The elements of a tensor along some of its axes, one behind the other."""

    def __init__(self, told: OriginOf, axes: Sequence[int], sources: Mapping[str, Source]) -> None:
        self._origin, self.sources = told.origin, sources
        self._once = tuple(slice(None) if axis in axes else 0 for axis in range(len(told.shape)))
        shape = tuple(told.shape[axis] for axis in axes)
        self.entries = np.arange(np.prod(shape)) // int(np.prod(shape[1:]))
        """Which entry of its first axis each belongs to."""

    def stretch(self, key: Coordinate) -> Stretch:
        return Stretch(*(end[self._once].reshape(-1) for end in self._origin[key]))

    def samples(self, source: str) -> Array:
        """The sample of each element; -1 where it may be of several."""
        found = samples_at(self._origin, self._once, self.sources, source)
        return found if found.size else np.full(len(self.entries), -1)


class _Rows(NamedTuple):
    """What is known of each element with regard to one source."""

    is_placed: Array
    samples: Array
    parts: Array
    centres: Array


def _rows_of(
    elements: _Elements,
    source: str,
    keys: Sequence[Coordinate],
    known: Mapping[Coordinate, set[int]],
    names: Mapping[Coordinate, str | None],
) -> _Rows:
    stretches = [(elements.stretch(key), elements.sources[source].shape[key.axis]) for key in keys]
    is_somewhere = np.all([low < high for (low, high), _ in stretches], axis=0)
    is_part = np.any([high - low < size - _ROUNDING for (low, high), size in stretches], axis=0)
    others = [
        key
        for key in known
        if key.source == source and key.axis and names[key] not in SPATIAL_AXES and known[key]
    ]
    parts = [np.nan_to_num(elements.stretch(key).low, posinf=-1) for key in others]
    centres = [
        (np.where(is_somewhere, low, 0) + np.where(is_somewhere, high, 0)) / 2 for (low, high), _ in stretches
    ]
    return _Rows(
        is_somewhere & is_part,
        elements.samples(source),
        np.stack([np.zeros_like(is_somewhere, float), *parts], axis=-1)[:, 1:],
        np.round(np.stack(centres, axis=-1) / _ROUNDING).astype(np.int64),
    )


def _is_part(key: Coordinate, elements: _Elements) -> bool:
    """Whether an axis tells pictures of one sample apart, rather than samples."""
    return key.axis > 0 or is_one_sample(elements.sources[key.source])


def _grids(
    rows: _Rows, members: Array, entries: Array, source: str | None
) -> list[tuple[Picture, Array]] | None:
    """The pictures of some elements, and which of them lies where; None if they fill no grid."""
    keys = np.column_stack([rows.samples, rows.parts])[members].astype(int)
    places = np.column_stack([keys, rows.centres[members]])
    if len(np.unique(places, axis=0)) < len(places):
        # As of an image and its mirror image, or of windows that overlap: each entry is a picture.
        keys = np.column_stack([keys, entries[members]])
    pictures, owners = np.unique(keys, axis=0, return_inverse=True)
    found = []
    for number, (sample, *part) in enumerate(pictures.tolist()):
        own = members[owners.reshape(-1) == number]
        centres = rows.centres[own]
        shape = tuple(len(np.unique(column)) for column in centres.T)
        order = np.lexsort(centres.T[::-1])
        if len(own) != np.prod(shape) or len(np.unique(centres, axis=0)) != len(own):
            return None
        found.append((Picture(source, sample, tuple(part)), own[order].reshape(shape)))
    return found


def by_names(told: OriginOf, samples: int, source: str | None = None) -> Places | str:
    """Where the elements of a tensor lie by the names of its axes alone, which somebody else answers for."""
    sizes = dict(zip(told.axes, told.shape, strict=True))
    grid = tuple(axis for axis in SPATIAL_AXES if axis in sizes)
    if not grid or not set(sizes) <= {"batch", "channel", "time", *grid}:
        return f"has no places on an image: its axes are {', '.join(told.axes)}"
    entries = sizes.get("batch", 1)
    if entries != samples:
        return f"has {entries} entries for {samples} samples"
    axes = tuple(axis for axis in told.axes if axis in ("batch", "time", *grid))
    index = AxisArray(
        np.arange(np.prod([sizes[axis] for axis in axes])).reshape([sizes[axis] for axis in axes]), axes
    )
    for axis in ("batch", "time"):
        if axis not in axes:
            index = AxisArray(index.values[..., np.newaxis], (*index.axes, axis))
    values = index.transpose("batch", "time", *grid).values
    parts = [(step,) for step in range(sizes["time"])] if "time" in sizes else [()]
    pictures = tuple(Picture(source, sample, part) for sample in range(entries) for part in parts)
    return Places(axes, pictures, values.reshape(-1, *values.shape[2:]), grid)
