"""Names of rows and columns beside a picture: all of them where they fit, else some."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties

from netviz_core.renderer_api import printable, short_names

from .inches import height_of, width_of
from .text import PLAIN, ruler
from .ticks import label_axis

_SHORTEST, _LONGEST = 14, 36
_SIZE = "x-small"
_LINE = 0.14
_MOST_NAMES = 80
"""About as many as can stand on a page."""


def label_rows(ax: Axes, names: Sequence[str], height: float | None = None) -> None:
    """Name rows whose middles lie at 0, 1, 2, …: every one, or as many as there is room for in so many inches."""
    every = max(1, ceil(len(names) * _LINE / max(height or height_of(ax), _LINE)))
    _name_places(ax.yaxis, names, every, _most(width_of(ax)))
    ax.tick_params(labelsize=_SIZE, axis="y", length=0)


def label_columns(ax: Axes, names: Sequence[str], width: float | None = None) -> None:
    """Name columns whose middles lie at 0, 1, 2, …, from below; as many as there is room for in so many inches."""
    every = max(1, ceil(len(names) * _LINE / max(width or width_of(ax), _LINE)))
    _name_places(ax.xaxis, names, every, _most(height_of(ax)))
    ax.tick_params(labelsize=_SIZE, axis="x", length=0, labelrotation=90)


def _name_places(axis: Axis, names: Sequence[str], every: int, most: int) -> None:
    label_axis(axis, dict(zip(range(0, len(names), every), _shown(names[::every], most), strict=True)))
    for tick in axis.get_major_ticks():
        for label in (tick.label1, tick.label2):
            label.set(**PLAIN)


def _shown(names: Sequence[str], most: int) -> list[str]:
    """Names as they are written; the outermost model's own is empty."""
    return short_names([printable(name or "output") for name in names], most)


def _most(width: float) -> int:
    """Characters of a name beside a picture of so many inches."""
    return min(max(round(9 * width), _SHORTEST), _LONGEST)


def labels_width(names: Sequence[str], beside: float = inf) -> float:
    """Inches that the widest name takes, beside a picture of so many inches."""
    most = _LONGEST if beside == inf else _most(beside)
    some = names[:: max(1, ceil(len(names) / _MOST_NAMES))]
    return max(map(ruler(FontProperties(size=_SIZE)), _shown(some, most)), default=0.0)
