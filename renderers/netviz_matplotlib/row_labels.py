"""Names of rows beside a picture: all of them where they fit, else some."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties

from .inches import height_of
from .text import PLAIN, shortened, text_width

_LONGEST = 36
_SIZE = "x-small"
_LINE = 0.14


def label_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name rows whose middles lie at 0, 1, 2, …: every one, or as many as there is room for."""
    every = max(1, ceil(len(names) * _LINE / max(height_of(ax), _LINE)))
    ax.set_yticks(range(0, len(names), every), [_shown(name) for name in names[::every]], **PLAIN)
    ax.tick_params(labelsize=_SIZE, axis="y", length=0)


def labels_width(names: Sequence[str]) -> float:
    """Inches that the widest name takes."""
    font = FontProperties(size=_SIZE)
    longest = sorted({_shown(name) for name in names}, key=len)[-8:]
    return max((text_width(name, font) for name in longest), default=0.0)


def _shown(name: str) -> str:
    return shortened(name, _LONGEST)
