"""Pictures with what a model made of them lying over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..words.arrays import AxisArray
from ..words.cards import NUMBER, TEXT, Told, details, table
from ..words.errors import AxisError
from ..words.text_tables import counted, named
from .base import View

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Overlays(View):
    """Pictures in their own colours, each with a caption and, where there is one, a map of heat over it.

    Parameters
    ----------
    title : str
    images : numpy.ndarray or None
        ``(batch, y, x, 3)``, float32 in [0, 1]; None where the input is no picture, and
        the heat stands alone.
    heat : numpy.ndarray or None
        ``(batch, y, x)`` in [0, 1], of the size of the images; None for pictures alone.
    captions : tuple of str
        One for each picture; may have several lines.
    value_label : str
        What the heat is.
    """

    title: str
    images: Array | None
    heat: Array | None
    captions: tuple[str, ...]
    value_label: str

    @property
    def labels(self) -> tuple[str, ...]:
        """What is written above each picture: its caption, and what else the view knows of it."""
        return self.captions

    def _told(self) -> Told:
        flat = [" · ".join(filter(None, label.split("\n"))) for label in self.labels]
        above = named(list(dict.fromkeys(filter(None, flat))), most=4)
        told = f"{self.title}: {counted(len(flat), 'picture')}{f', above which stands: {above}' if above else ''}"
        each = table(
            {"picture": NUMBER, "": TEXT}, list(enumerate(flat)), lambda row: (f"{row[0]:,}", row[1])
        )
        return Told(told, [details("picture by picture", each)])


def displayed(images: AxisArray, declared: tuple[float, float] | None = None) -> Array:
    """Bring a batch of images to ``(batch, y, x, 3)`` in [0, 1], as they are to be shown.

    Parameters
    ----------
    images : AxisArray
        One channel is shown grey, of more than three the first three.
    declared : (float, float), optional
        The range from black to white, where the model itself says which it expects. Else it is that of the dtype
        (0 … 255 of ``uint8``), or the one of 0 … 1, 0 … 255 and, of integers, 0 … 65535 that the values fill:
        nearly all lie in it and reach beyond a fourth of it. What goes a little beyond is black or white. Anything
        else was normalised in a way that is not known: then each image is stretched from its lowest to its
        highest value.

    Examples
    --------
    >>> bright = AxisArray(np.linspace(0, 1.02, 52).reshape(1, 1, 52), ("batch", "y", "x"))
    >>> displayed(bright)[0, 0, [0, 25, 51], 0].round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    if not {"y", "x"} <= set(images.axes) or not set(images.axes) <= {"batch", "y", "x", "channel"}:
        raise AxisError(f"the axes {', '.join(images.axes)} are not those of images: batch, y, x and channel")
    for axis in ("batch", "channel"):
        if axis not in images.axes:
            images = AxisArray(images.values[np.newaxis], (axis, *images.axes))
    values = images.transpose("batch", "y", "x", "channel").values
    dtype = values.dtype
    values = values[..., :3] if values.shape[-1] >= 3 else np.repeat(values[..., :1], 3, axis=-1)
    shown: Array = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    limits = declared or _range(shown, dtype)
    if limits is not None:
        low, high = limits
        return np.asarray(np.clip((shown - np.float32(low)) / np.float32(high - low), 0, 1))
    lowest, highest = (bound(shown, axis=(1, 2, 3), keepdims=True) for bound in (np.min, np.max))
    stretched: Array = (shown - lowest) / np.maximum(highest - lowest, np.finfo(np.float32).tiny)
    return stretched


_NEARLY_ALL = 0.99
_MARGIN = 0.25
"""How far beyond a range the few others may lie, as a share of it: an enlarged picture overshoots."""


def _range(values: Array, dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """The range that an image's values fill, as their dtype and all of them tell it."""
    if dtype.kind == "b" or dtype == np.uint8 or not values.any():
        return 0.0, 255.0 if dtype == np.uint8 else 1.0
    present = values[values != 0]  # what is black lies in each of them
    for top in (1.0, 255.0) if dtype.kind == "f" else (255.0, 65535.0):
        share = np.mean((present >= 0) & (present <= top))
        beyond = max(-float(present.min()), float(present.max()) - top) / top
        is_filled = top == 1.0 or np.quantile(present, _NEARLY_ALL) > top / 4
        if (share == 1 or (share >= 0.9 and beyond <= _MARGIN)) and is_filled:
            return 0.0, top
    return None


def resized(maps: Array, height: int, width: int) -> Array:
    """Enlarge or shrink maps ``(batch, y, x)`` to ``(batch, height, width)``, linearly between the middles of pixels.

    The same as ``align_corners=False`` in PyTorch, ``half_pixel_centers`` in TensorFlow and
    OpenCV's ``INTER_LINEAR``.

    Examples
    --------
    >>> resized(np.array([[[0.0, 1.0]]]), 1, 4).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    for axis, length in ((1, height), (2, width)):
        before = maps.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * (before / length) - 0.5, 0, before - 1)
        left = np.floor(place).astype(np.intp)
        right = np.minimum(left + 1, before - 1)
        share = (place - left).reshape([-1 if position == axis else 1 for position in range(3)])
        maps = maps.take(left, axis) * (1 - share) + maps.take(right, axis) * share
    return maps


def padded(pictures: Sequence[Array], fill: float) -> Array:
    """Join pictures ``(batch, y, x, …)`` of any size, each in the middle of a frame that holds the largest."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    framed = []
    for picture in pictures:
        missing = height - picture.shape[1], width - picture.shape[2]
        margins = [(lack // 2, lack - lack // 2) for lack in missing]
        widths = [(0, 0), *margins, *[(0, 0)] * (picture.ndim - 3)]
        framed.append(np.pad(picture, widths, constant_values=fill))
    return np.concatenate(framed)


def scaled_to_unit(maps: Array) -> Array:
    """Stretch each map from its lowest to its highest value to [0, 1].

    One without any contrast becomes zero, and one with a NaN nothing but NaN.
    """
    lowest, highest = (bound(maps, axis=(1, 2), keepdims=True) for bound in (np.min, np.max))
    span = highest - lowest
    scaled: Array = np.divide(maps - lowest, span, out=np.zeros_like(maps), where=~(span <= 0))
    return scaled


def without_contrast(maps: Iterable[Array]) -> list[str]:
    """Of each map that tells no place from another, what it is; empty of others.

    Examples
    --------
    >>> without_contrast(np.array([[0.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))
    ['the map is zero everywhere', 'the map is 0.5 everywhere', '']
    """
    return [
        f"the map is {f'{part.flat[0]:.4g}' if part.any() else 'zero'} everywhere"
        if part.size and (part == part.flat[0]).all()
        else ""
        for part in maps
    ]


def told_of_flat(told: Sequence[str], named: Sequence[str] = ()) -> str:
    """The same of all maps in one phrase for a title; `named` is what each map would speak for."""
    count, nothing = sum(map(bool, told)), "the map is zero everywhere"
    if count < len(told):
        return (
            f"{count} of {len(told)} maps {'is' if count == 1 else 'are'} the same everywhere"
            if count
            else ""
        )
    names = sorted(set(named))
    if {*told} == {nothing} and 0 < len(names) < 4:
        return f"nothing speaks for {' or '.join(names)}: {nothing}"
    return told[0] if len({*told}) == 1 else "each map is the same everywhere"


def named_class(index: int, names: Sequence[str] | None) -> str:
    """The name of a class, or its number."""
    return str(names[index]) if names is not None and index < len(names) else str(index)
