"""Marks of layers that are compared: each status has a colour and a shape, and many layers in a row share marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .inches import width_of

Array = np.ndarray[Any, Any]

FAULT, UNKNOWN = "#b2182b", "0.5"
_LOOKS = {
    "agrees": ("#4393c3", "o"), "propagates": ("#c8722c", "^"), "differs": (FAULT, "D"),
    "compensated": ("#8e6bb5", "v"), "rounding": ("#35978f", "s"), "weights": ("#8c510a", "P"),
    "gradient": ("#bf812d", "X"), "suspicion": ("#c51b7d", "d"),
}  # fmt: skip
"""The colour and the marker of each status; every colour has a contrast of 3 on white and on black."""

_TO_BE_SEEN = frozenset({"differs", "weights", "gradient", "suspicion"})
_SIZE, _FAULT_SIZE, _ROOMY = 22.0, 30.0, 14
"""The areas of marks, and how many of one status there may be on an inch before they become smaller."""

_MOST_PER_INCH, _SHARED_SIZE = 20, 9.0
"""How many marks there may be on an inch before layers share them."""


def marked_together(statuses: Sequence[str], width: float) -> int:
    """How many layers in a row share marks on so many inches; 1 where each has its own, by their statuses."""
    if len(statuses) <= _MOST_PER_INCH * width:
        return 1
    return math.ceil(len(statuses) * len(set(statuses)) / max(_MOST_PER_INCH * width, 1))


def draw_marks(
    ax: Axes, heights: Array, errors: Array, statuses: Sequence[str], together: int, first: int | None = None
) -> None:
    """A mark for each layer, or for each status of the layers that share one; a hollow one without a finite error.

    The first divergence shares none.
    """
    known = list(dict.fromkeys(statuses))
    is_alone = np.arange(len(statuses)) == (-1 if first is None or together == 1 else first)
    for place, status in enumerate(known):
        is_such = np.array([other == status for other in statuses])
        for kind in (np.isfinite(errors), ~np.isfinite(errors)):
            numbers = np.flatnonzero(is_such & kind & ~is_alone)
            if not len(numbers):
                continue
            is_hollow = not np.isfinite(errors[numbers[0]])
            if together == 1:
                draw_mark(ax, numbers, heights[numbers], status, len(numbers) / width_of(ax), is_hollow)
            else:
                aside = together * (place - (len(known) - 1) / 2) / (len(known) + 1)
                _draw_shared(ax, numbers, heights, status, together, aside, is_hollow)


def draw_mark(
    ax: Axes, x: Array, y: Array, status: str, per_inch: float = 0.0, is_hollow: bool = False
) -> None:
    """Marks of one status; smaller where many of it would hide others."""
    largest = _FAULT_SIZE if status in _TO_BE_SEEN else _SIZE
    _scatter(ax, x, y, status, min(_SIZE * _ROOMY / max(per_inch, 1.0), largest), is_hollow)


def key_of(status: str, side: float) -> Artist:
    """The mark of a status, for a legend."""
    colour, marker = _LOOKS.get(status, (UNKNOWN, "o"))
    return Line2D(
        [side / 2], [side / 2], linestyle="none", marker=marker, markersize=0.8 * side, color=colour
    )


def _draw_shared(
    ax: Axes, numbers: Array, heights: Array, status: str, together: int, aside: float, is_hollow: bool
) -> None:
    """A mark at the largest of those that share it, with a line to the smallest; each status beside the others."""
    groups, starts = np.unique(numbers // together, return_index=True)
    highest, lowest = (extreme.reduceat(heights[numbers], starts) for extreme in (np.maximum, np.minimum))
    last = np.minimum((groups + 1) * together, len(heights)) - 1
    middles = np.clip((groups * together + last) / 2 + aside, 0, len(heights) - 1)
    colour, _ = _LOOKS.get(status, (UNKNOWN, "o"))
    ax.vlines(middles, lowest, highest, color=colour, linewidth=1.0, zorder=1.6)
    _scatter(ax, middles, highest, status, _SHARED_SIZE, is_hollow)


def _scatter(ax: Axes, x: Array, y: Array, status: str, size: float, is_hollow: bool) -> None:
    colour, marker = _LOOKS.get(status, (UNKNOWN, "o"))
    ax.scatter(
        x, y, size, marker=marker, facecolors="none" if is_hollow else colour, edgecolors=colour, linewidths=0.8,
        zorder=3 if status in _TO_BE_SEEN else 2,
    )  # fmt: skip
