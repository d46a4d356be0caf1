"""Values become colours, whatever they are: NaN and infinities have colours of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_rgb, to_rgba_array

from netviz_core.renderer_api import (
    NAN_COLOUR,
    NEGATIVE_INFINITY_COLOUR,
    POSITIVE_INFINITY_COLOUR,
    Limits,
    as_float64,
)

from .style import Style

Array = np.ndarray[Any, Any]

_BLOCK = 2**18


@dataclass(frozen=True)
class LogOfOneAnd:
    """The transform ``log(1 + factor · value)``; equal to another of the same factor."""

    factor: float

    def __call__(self, values: Any) -> Any:
        return np.log1p(self.factor * np.asarray(values))


@dataclass(frozen=True, eq=False)
class ColourScale:
    """Finite limits and the colours between them.

    Parameters
    ----------
    low, high : float
        Values beyond them get the colour at the end.
    colormap : matplotlib.colors.Colormap
    transform : callable, optional
        Of which colours are an even scale: NumPy's ``sqrt`` or ``log1p``, where little shall show beside much.
    """

    low: float
    high: float
    colormap: Colormap
    transform: Callable[[Any], Any] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColourScale):
            return NotImplemented
        own, others = ((scale.low, scale.high, scale.transform) for scale in (self, other))
        return own == others and self.colormap == other.colormap

    @cached_property
    def palette(self) -> Array:
        """Its colours: ``(256, 4)``, uint8."""
        palette: Array = self.colormap(np.linspace(0.0, 1.0, 256), bytes=True)
        return palette

    def rgba(self, values: Array) -> Array:
        """The colour of every value: ``(…, 4)``, uint8."""
        # A colour is moved as one number.
        palette = np.ascontiguousarray(self.palette).view(np.uint32)[:, 0]
        colours = np.empty((*values.shape, 4), np.uint8)
        # In blocks, so that a large array does not stand in memory once more as float64.
        rows = max(1, _BLOCK // max(1, math.prod(values.shape[1:])))
        for start in range(0, len(values), rows):
            block = slice(start, start + rows)
            palette.take(self.levels(values[block]), out=colours[block].view(np.uint32)[..., 0], mode="clip")
            _mark_nonfinite(colours[block], values[block])
        return colours

    def rgb_rgba(self, values: Array) -> Array:
        """The colour of every red, green and blue value in ``(…, 3)``: ``(…, 4)``, uint8."""
        colours = np.full((*values.shape[:-1], 4), 255, np.uint8)
        colours[..., :3] = self.levels(values)
        _mark_nonfinite(colours, values, channel_axis=-1)
        return colours

    def levels(self, values: Array) -> Array:
        """Where values lie on the scale, from 0 to 255; NaN as 0. Overflows nowhere."""
        places: Array = as_float64(values)
        np.clip(places, self.low, self.high, out=places)
        places[np.isnan(places)] = self.low
        low, high = self.low, self.high
        if self.transform is not None:
            places, low, high = (self.transform(ends) for ends in (places, low, high))
        elif not math.isfinite(high - low):
            # Half of everything has the same ratios, and a difference that is finite.
            places, low, high = places / 2, low / 2, high / 2
        places -= low
        places /= high - low
        places *= 255
        return np.rint(places, out=places).astype(np.uint8)


def ink_on(colour: Any) -> str:
    """Black or white, whichever is easier to read on a colour; its contrast is 4.5 at least.

    Examples
    --------
    >>> ink_on((1.0, 1.0, 0.6)), ink_on("navy")
    ('black', 'white')
    """
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)
    )
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > _MIDDLE else "white"


_MIDDLE = 0.179
"""The relative luminance, as WCAG defines it, on which black and white have the same contrast."""


def scale_for(limits: Limits, style: Style) -> ColourScale:
    """The user's colours, or diverging ones for limits centred on zero and sequential ones else."""
    low, high = limits
    return ColourScale(low, high, style.colormap("RdBu_r" if low == -high else "viridis"))


def nonfinite_entries(values: Array) -> list[tuple[str, str]]:
    """For each kind of value that is not finite and occurs: its colour, and how many there are."""
    if not np.issubdtype(values.dtype, np.inexact):
        return []
    kinds = (
        (NAN_COLOUR, "NaN", np.isnan(values)),
        (POSITIVE_INFINITY_COLOUR, "+inf", np.isposinf(values)),
        (NEGATIVE_INFINITY_COLOUR, "-inf", np.isneginf(values)),
    )
    counted = [(colour, name, int(mask.sum())) for colour, name, mask in kinds]
    return [(colour, f"{count:,} {name}") for colour, name, count in counted if count]


def clipped_entries(values: Array, limits: Limits | None) -> list[tuple[None, str]]:
    """What limits that somebody asked for leave out: it is drawn in the colours of the ends."""
    if limits is None or not values.size:
        return []
    beyond = np.isfinite(values) & ((values < limits[0]) | (values > limits[1]))
    share = 100 * beyond.mean()
    return [(None, f"{share:.2g} % of the values are beyond the limits")] if share else []


def _mark_nonfinite(colours: Array, values: Array, channel_axis: int | None = None) -> None:
    if not np.issubdtype(values.dtype, np.inexact) or np.isfinite(values).all():
        return
    for colour, is_such in (
        (NEGATIVE_INFINITY_COLOUR, np.isneginf),
        (POSITIVE_INFINITY_COLOUR, np.isposinf),
        (NAN_COLOUR, np.isnan),
    ):
        mask: Array = is_such(values)
        colours[mask if channel_axis is None else mask.any(axis=channel_axis)] = np.round(
            to_rgba_array(colour)[0] * 255
        )
