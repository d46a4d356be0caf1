"""Round numbers for scales that are not even."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FixedLocator, Formatter, MaxNLocator

from .text import POINTS, text_width

_AIR, _UPRIGHT = 0.09, 1.2


class FittingLocator(MaxNLocator):
    """Round numbers, as many as do not run into each other whatever size the axis comes to have.

    Parameters
    ----------
    integer : bool
        Whether there are only whole numbers.
    most : int
        How many steps there are at most.
    """

    def __init__(self, integer: bool = False, most: int = 8) -> None:
        super().__init__(integer=integer, steps=[1, 2, 5, 10] if integer else [1, 2, 2.5, 5, 10])
        self._most = most

    def __call__(self) -> Any:
        axis: Any = self.axis
        low, high = sorted(axis.get_view_interval())
        found: list[list[float]] = []
        for most in range(self._most, 0, -1):
            self.set_params(nbins=most)
            inside = [tick for tick in self.tick_values(low, high) if low <= tick <= high]
            every = _every(axis, inside)
            found += [inside[start::every] for start in range(every)]
            if every == 1 and len(inside) > 1:
                break
        # Of a few that are still too many as many as can be stay.
        return max(found, key=len)


class ThinnedLocator(FixedLocator):
    """Given places, or every second, third … of them where their labels would run into each other."""

    def __call__(self) -> Any:
        axis: Any = self.axis
        own: Any = self
        places: Any = list(own.locs)
        return places[:: _every(axis, places)]


class NamedPlaces(Formatter):
    """Labels by the places that they belong to."""

    def __init__(self, labels: Mapping[float, str]) -> None:
        self._labels = dict(labels)

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self._labels.get(x, "")


def label_axis(axis: Axis, labels: Mapping[float, str]) -> None:
    """Name places of an axis, as many as there is room for; ``set_ticks`` takes far longer over it."""
    axis.set_major_locator(ThinnedLocator(list(labels)))
    axis.set_major_formatter(NamedPlaces(labels))


def fit_ticks(axis: Axis, *, integer: bool = False, most: int = 8) -> None:
    """Number an axis with as many round numbers as there is room for; whole ones in full, with commas."""
    axis.set_major_locator(FittingLocator(integer, most))
    if integer:
        axis.set_major_formatter("{x:,.0f}")


def _every(axis: Any, places: Sequence[float]) -> int:
    """Which of the places can be labelled: with 1 every one, with 2 every second."""
    low, high = sorted(axis.get_view_interval())
    if len(places) < 2 or low == high:
        return 1
    apart: float = min(abs(right - left) for left, right in pairwise(places)) / (high - low) * _length(axis)
    return max(1, ceil(0.98 * _needed(axis, places) / max(apart, 1e-9)))


def _length(axis: Any) -> float:
    box = axis.axes.get_window_extent()
    return float((box.width if axis.axis_name == "x" else box.height) / axis.axes.figure.dpi)


def _needed(axis: Any, ticks: Sequence[float]) -> float:
    """Inches from one number to the next."""
    size = axis.get_major_ticks(1)[0].label1.get_size()
    if axis.axis_name != "x" or axis.get_major_ticks(1)[0].label1.get_rotation() == 90:
        return float(_UPRIGHT * size / POINTS)
    font = FontProperties(size=size)
    return max(text_width(label, font) for label in axis.get_major_formatter().format_ticks(ticks)) + _AIR


def round_ticks(
    low: float, high: float, smallest: float, place: Callable[[Any], Any], apart: float
) -> tuple[float, ...]:
    """Zero, then powers of ten, then halves and fifths of them, as long as they do not crowd.

    Parameters
    ----------
    low, high : float
        Between which they lie.
    smallest : float
        Above zero; none but zero itself is closer to zero.
    place : callable
        Where a number lies on the scale; takes arrays too.
    apart : float
        How far each is from the next at least, in the unit of `place`.

    Examples
    --------
    >>> round_ticks(0, 40, 1, np.sqrt, 1.0)
    (0.0, 1.0, 10.0, 20.0)
    """
    powers = range(floor(log10(max(abs(low), abs(high), smallest))), floor(log10(smallest)) - 1, -1)
    sizes = [float(f"{digit}e{power}") for digit in (1, 5, 2) for power in powers]
    chosen: list[float] = []
    for value in (0.0, *(sign * size for size in sizes if size >= smallest for sign in (1, -1))):
        if low <= value <= high and (np.abs(place(np.array(chosen)) - place(value)) >= apart).all():
            chosen.append(value)
    return tuple(sorted(chosen)) or (low, high)


def tick_text(value: float) -> str:
    """A round number in digits where that is short.

    Examples
    --------
    >>> [tick_text(value) for value in (2000.0, 0.05, -1e-6)]
    ['2,000', '0.05', '−1e−06']
    """
    return f"{value:,g}".replace("-", "\N{MINUS SIGN}")
