"""Names of rows and columns beside a picture: all of them where they fit, else some."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties

from .inches import height_of, width_of
from .text import PLAIN, cut, longest_that_fits, shortened, text_width

_SHORTEST, _LONGEST = 14, 36
_SIZE = "x-small"
_LINE = 0.14


def label_rows(ax: Axes, names: Sequence[str], height: float | None = None) -> None:
    """Name rows whose middles lie at 0, 1, 2, …: every one, or as many as there is room for in so many inches."""
    every = max(1, ceil(len(names) * _LINE / max(height or height_of(ax), _LINE)))
    ax.set_yticks(range(0, len(names), every), short_names(names, _most(width_of(ax)))[::every], **PLAIN)
    ax.tick_params(labelsize=_SIZE, axis="y", length=0)


def label_columns(ax: Axes, names: Sequence[str]) -> None:
    """Name columns whose middles lie at 0, 1, 2, …, from below; as many as there is room for."""
    every = max(1, ceil(len(names) * _LINE / max(width_of(ax), _LINE)))
    ax.set_xticks(range(0, len(names), every), short_names(names, _most(height_of(ax)))[::every], **PLAIN)
    ax.tick_params(labelsize=_SIZE, axis="x", length=0, labelrotation=90)


def _most(width: float) -> int:
    """Characters of a name beside a picture of so many inches."""
    return min(max(round(9 * width), _SHORTEST), _LONGEST)


def labels_width(names: Sequence[str], ax: Axes | None = None) -> float:
    """Inches that the widest name takes; beside rows of an Axes, if that is given."""
    font = FontProperties(size=_SIZE)
    most = _LONGEST if ax is None else _most(width_of(ax))
    return max((text_width(name, font) for name in short_names(names, most)), default=0.0)


def short_names(names: Sequence[str], most: int = _LONGEST) -> list[str]:
    """Paths of at most `most` characters: where some are longer, without what all begin with, their parts cut.

    Examples
    --------
    >>> short_names(["backbone.encoder.stages.0.blocks.11.depthwise.conv", "backbone.encoder.stages.0.head"])
    ['…blocks.11.depthwise.conv', '…head']
    """
    if all(len(name) <= most for name in names):
        return list(names)
    parts = [re.findall(r"[^./]*[./]?", name) for name in names]
    same = 0
    while all(len(own) > same + 2 and own[same] == parts[0][same] for own in parts) and len(names) > 1:
        same += 1
    mark = "…" if same else ""
    return [mark + _short(own[same:], most - len(mark)) for own in parts]


def _short(parts: Sequence[str], longest: int) -> str:
    """A path whose longest parts are cut until it is short enough, which spares its numbers."""

    def version(most: int) -> str:
        return "".join(
            part if len(part) <= most + 1 else f"{cut(part[:-1], most)}{part[-1]}" for part in parts
        )

    text = longest_that_fits(version, max(map(len, parts)), lambda name: len(name) <= longest)
    return shortened(text, longest)
