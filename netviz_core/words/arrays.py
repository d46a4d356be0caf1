"""Arrays whose axes have names: nobody counts positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .cards import Telling, Told, details, fields_of, verbatim
from .errors import AxisError, InputError, as_integer, nearest
from .given import shown
from .optional import needed
from .ranges import range_told

_MOST_WRITTEN = 200
"""Of more values only those at the ends are written out."""

SPATIAL_AXES = ("z", "y", "x")
_CANONICAL_ORDER = ("batch", "time", "channel", *SPATIAL_AXES)


def positional_axes(rank: int, first: str = "batch") -> tuple[str, ...]:
    """Names for axes of which nothing is known: ``batch, axis1, axis2, …``."""
    return (first, *(f"axis{i}" for i in range(1, rank)))[:rank]


def canonical_axes(axes: Sequence[str]) -> tuple[str, ...]:
    """Order known activation axes as netviz does: batch, time, channel, z, y, x.

    Axes that netviz does not name (``axis1``, a user's own) make the order
    meaningful only to its owner, who then gets it back as it was.

    Examples
    --------
    >>> canonical_axes(("batch", "y", "x", "channel"))
    ('batch', 'channel', 'y', 'x')
    >>> canonical_axes(("batch", "axis1", "channel"))
    ('batch', 'axis1', 'channel')
    """
    if set(axes) <= set(_CANONICAL_ORDER):
        return tuple(sorted(axes, key=_CANONICAL_ORDER.index))
    return tuple(axes)


def as_names(axes: Any) -> tuple[str, ...]:
    """The names of axes, given as an argument.

    Raises
    ------
    AxisError
        If they are none.
    """
    wanted = "give a sequence of names, such as ('batch', 'y', 'x', 'channel')"
    if isinstance(axes, str):
        raise AxisError(f"axes={shown(axes)} is one string; {wanted}")
    if not isinstance(axes, Sequence) or not all(isinstance(axis, str) for axis in axes):
        raise AxisError(f"axes={shown(axes)} are no names; {wanted}")
    return tuple(axes)


def require_known_axes(axes: Sequence[str]) -> None:
    """Refuse names of an input's axes that tell no backend how to lay it out.

    Raises
    ------
    AxisError
    """
    for axis in as_names(axes):
        if axis not in _CANONICAL_ORDER:
            hint = nearest(axis, _CANONICAL_ORDER, limit=len(_CANONICAL_ORDER))
            raise AxisError(f"{shown(axis)} does not say how an input is laid out; {hint}")


def shape_text(shape: Sequence[int], axes: Sequence[str]) -> str:
    """A shape with the names of its axes.

    Examples
    --------
    >>> shape_text((2, 64), ("batch", "channel"))
    'batch=2, channel=64'
    """
    return ", ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True))


def as_float64(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A copy in float64, also of memory that nobody wrote: of a signalling NaN in it, NumPy alone would warn."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


@dataclass(frozen=True, eq=False)
class AxisArray(Telling):
    """A NumPy array and the names of its axes.

    Parameters
    ----------
    values : numpy.ndarray
        The numbers, of any dtype.
    axes : tuple of str
        One distinct name for each dimension of `values`.

    Raises
    ------
    AxisError
        If the names do not fit the dimensions or one is used twice.

    Examples
    --------
    >>> image = AxisArray(np.zeros((2, 28, 28, 3)), ("batch", "y", "x", "channel"))
    >>> image.transpose("batch", "channel", "y", "x").shape
    (2, 3, 28, 28)
    >>> image.select(batch=0, channel=1).axes
    ('y', 'x')
    """

    values: np.ndarray[Any, Any]
    axes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values))
        axes = as_names(self.axes)
        object.__setattr__(self, "axes", axes)
        if len(axes) != self.values.ndim:
            raise AxisError(
                f"{len(axes)} axis names {axes} were given for an array of shape "
                f"{self.values.shape}; give one name for each of its {self.values.ndim} dimensions"
            )
        if len(set(axes)) != len(axes):
            raise AxisError(f"the axis names {axes} are not distinct; each axis needs its own")

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self.values.shape)

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each axis, by its name."""
        return dict(zip(self.axes, self.values.shape, strict=True))

    def transpose(self, *axes: str) -> AxisArray:
        """Put the axes into another order, without a copy.

        Parameters
        ----------
        *axes : str
            Every axis once, in the order wanted.

        Raises
        ------
        AxisError
            If `axes` is not a permutation of this array's axes.
        """
        if sorted(axes) != sorted(self.axes):
            raise AxisError(f"cannot transpose axes {self.axes} to {shown(axes)}; name each of them once")
        order = [self.axes.index(axis) for axis in axes]
        return self._with(self.values.transpose(order), tuple(axes))

    def canonical(self) -> AxisArray:
        """The same values with netviz' order of axes (see `canonical_axes`), without a copy."""
        order = canonical_axes(self.axes)
        return self if order == self.axes else self.transpose(*order)

    def select(self, **indexers: int | slice) -> AxisArray:
        """Take one index, or a slice, along named axes, without a copy.

        Parameters
        ----------
        **indexers : int or slice
            An integer drops the axis, a slice keeps it.

        Raises
        ------
        AxisError
            If there is no such axis.
        InputError
            If an integer lies outside the axis.
        """
        index: list[int | slice] = [slice(None)] * len(self.axes)
        for axis, where in indexers.items():
            if axis not in self.axes:
                raise AxisError(f"there is no axis {shown(axis)}; {nearest(axis, self.axes)}")
            position = self.axes.index(axis)
            size = self.values.shape[position]
            where = where if isinstance(where, slice) else as_integer(where, axis)
            if not isinstance(where, slice) and not -size <= where < size:
                raise InputError(f"index {where} lies outside axis {axis!r}, which has {size} entries")
            index[position] = where
        kept = tuple(a for a, i in zip(self.axes, index, strict=True) if isinstance(i, slice))
        return self._with(self.values[tuple(index)], kept)

    def to_xarray(self) -> Any:
        """The same array as an `xarray.DataArray`, sharing memory.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        xarray = needed("xarray", "to_xarray()")
        return xarray.DataArray(self.values, dims=self.axes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False and dtype is not None and np.dtype(dtype) != self.values.dtype:
            raise ValueError(f"{self.values.dtype} values cannot become {dtype} without a copy")
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def _with(self, values: np.ndarray[Any, Any], axes: tuple[str, ...]) -> AxisArray:
        return AxisArray(values, axes)

    def _summary(self) -> str:
        return f"({shape_text(self.shape, self.axes)}) {self.values.dtype}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._summary()}>"

    def _told(self) -> Told:
        first = self.select(**dict.fromkeys(self.axes[:-2], 0)) if self.values.size else self
        where = shape_text([0] * len(self.axes[:-2]), self.axes[:-2])
        values = np.array2string(first.values, threshold=_MOST_WRITTEN, max_line_width=100)
        return Told(
            f"{self._summary()} {range_told(self.values)}",
            [
                details(f"values at {where}" if where else "values", verbatim(values)),
                details("data", fields_of(self)),
            ],
        )


@dataclass(frozen=True, eq=False, repr=False)
class Scores(AxisArray):
    """The scores behind a part of a model's output, of which a softmax or sigmoid made probabilities.

    Parameters
    ----------
    values, axes
        As for `AxisArray`.
    squashed_by : {"softmax", "sigmoid"}
        What they went into.
    """

    squashed_by: str


@dataclass(frozen=True, eq=False, repr=False)
class Activation(AxisArray):
    """What one layer returned, at the moment it returned it.

    Parameters
    ----------
    values : numpy.ndarray
        The numbers; ``float32`` where the native dtype is a narrower float.
    axes : tuple of str
        Their names, canonical where known: ``batch, channel, y, x``.
    path : str
        The layer's path.
    call : int
        Which of the layer's calls during the pass this is, from 0.
    leaf : str
        Which part of a structured output, such as ``"1.0"``; empty for a single tensor.
    dtype : str
        The native dtype's name, such as ``"bfloat16"``.
    """

    path: str = ""
    call: int = 0
    leaf: str = ""
    dtype: str = ""

    def _with(self, values: np.ndarray[Any, Any], axes: tuple[str, ...]) -> Activation:
        return Activation(values, axes, self.path, self.call, self.leaf, self.dtype)

    def _summary(self) -> str:
        return f"{self.path!r} {super()._summary()}"


def images(array: Any, axes: Sequence[str] = ("batch", "y", "x", "channel")) -> AxisArray:
    """Name the axes of a batch of images, so that any backend can lay it out for itself.

    Parameters
    ----------
    array : array_like, picture of Pillow, or list of them
        One value for each name in `axes`, kept as it is, in whatever range. Where there is one axis less, the
        channels decide which is missing: with one, three or four of them it is a single image, which is given a
        batch axis; else they are grey images (MNIST, scikit-learn's digits), which are given a channel axis.
    axes : sequence of str
        The axes as they stand in `array`.

    Returns
    -------
    AxisArray
        With the axes in the order given.

    Raises
    ------
    AxisError
        If the names do not fit the array.

    Examples
    --------
    >>> images(np.zeros((8, 28, 28, 1))).sizes
    {'batch': 8, 'y': 28, 'x': 28, 'channel': 1}
    >>> images(np.zeros((1797, 8, 8))).sizes
    {'batch': 1797, 'y': 8, 'x': 8, 'channel': 1}
    >>> images(np.zeros((28, 28, 3))).sizes
    {'batch': 1, 'y': 28, 'x': 28, 'channel': 3}
    """
    values = _opened(array)
    require_known_axes(axes)
    names = tuple(axes)
    if values.dtype.kind not in "biuf":
        raise AxisError(
            f"{shown(array)} is no array of real numbers; give an array, a picture, or a list of them: of a file, "
            f"PIL.Image.open(path)"
        )
    if values.ndim == len(names) - 1 and (missing := _missing_axis(values.shape, names)):
        values = np.expand_dims(values, names.index(missing))
    if values.ndim != len(names):
        raise AxisError(
            f"an array of shape {values.shape} has not the axes {', '.join(names)} of a batch of images; give it "
            f"these, such as array[None, :, :, None] of one grey image, or name its own with axes="
        )
    return AxisArray(values, names)


def _opened(array: Any) -> np.ndarray[Any, Any]:
    """An array as it is, and pictures of Pillow, as NumPy."""
    several = array if isinstance(array, (list, tuple)) else [array]
    of_palettes = [picture.mode for picture in several if getattr(picture, "mode", None) in ("P", "PA")]
    if of_palettes:
        raise AxisError(
            f"a picture in mode {of_palettes[0]!r} holds places in a palette and no colours; give "
            f"picture.convert('RGB')"
        )
    try:
        return np.asarray([np.asarray(one) for one in several] if several is array else array)
    except (TypeError, ValueError, RuntimeError) as error:
        shapes = dict.fromkeys(str(np.shape(one)) for one in several)
        if len(shapes) > 1:
            raise AxisError(
                f"pictures of several sizes were given ({', '.join(list(shapes)[:3])}); bring them to one, such as "
                f"with picture.resize((224, 224))"
            ) from error
        from .decoding import reason_of  # here, as it brings pathlib along

        raise AxisError(f"{shown(array)} cannot be read as an array: {reason_of(error)}") from error


_CHANNELS_OF_IMAGES = (1, 3, 4)


def _missing_axis(shape: tuple[int, ...], names: tuple[str, ...]) -> str:
    """Which of the axes an array has not, that has one axis less; empty if neither can be missing."""
    if "batch" not in names or "channel" not in names:
        return "batch" if "batch" in names else ""
    channels = shape[[name for name in names if name != "batch"].index("channel")]
    return "batch" if channels in _CHANNELS_OF_IMAGES else "channel"


class Nonfinite(NamedTuple):
    """How many values are not finite."""

    nan_count: int
    inf_count: int


def count_nonfinite(values: np.ndarray[Any, Any]) -> Nonfinite:
    """Count NaN and infinities; integers and booleans have none."""
    if not np.issubdtype(values.dtype, np.inexact):
        return Nonfinite(0, 0)
    return Nonfinite(int(np.isnan(values).sum()), int(np.isinf(values).sum()))
