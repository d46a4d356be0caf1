"""Several views of one kind next to one another, with one scale for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netviz_core.renderer_api import InputError, SideBySide

from .catalogue import AxesPanel
from .parts.colour_bar import WIDTH, ColourBar, add_colour_bar, fill_colour_bar
from .parts.colours import ColourScale
from .parts.inches import LEFT, RIGHT, height_of, width_of
from .parts.style import Style
from .parts.text import set_figure_title, set_title, title_extra

_PAGE = 7.0
_LEAST_PANEL, _MOST_PANEL = 2.0, 3.0
_LONGEST_ROW = 4
_TITLE, _APART = 0.4, 0.2
_ENOUGH, _ROOMY, _WITH_BAR, _SMALLEST = 0.6, 1.9, 2.4, 0.6
"""Inches of a view with which a row stays one; at which letters have their full size, without and with a colour bar of
its own; the least share."""


@dataclass(frozen=True)
class Row:
    """An `Arrangement` of views side by side, in more than one row where there are many."""

    view: SideBySide
    style: Style
    panels: Sequence[AxesPanel]

    def figure_size(self) -> tuple[float, float]:
        rows, columns = self._grid
        width, height = self._panel_size()
        whole = columns * (width + LEFT) + RIGHT
        title = _TITLE + title_extra(self._title(), whole - LEFT, "large") if self._title() else 0.0
        own = max(title_extra(text, self._title_width(whole)) for text in self.view.titles)
        return whole, rows * (height + self._around() + own) + title

    def letters(self, width: float) -> float | None:
        share = width / self._grid[1] / (_WITH_BAR if len(self._runs()) > 1 else _ROOMY)
        return max(share, _SMALLEST) * _letters() if share < 1 else None

    def draw_on(self, figure: Figure) -> Any:
        rows, columns = self._grid
        width, _ = self._panel_size()
        scale = self._common_scale()
        ratios = [width] * columns + [WIDTH] * (scale is not None)
        grid = figure.add_gridspec(rows, len(ratios), width_ratios=ratios)
        axes = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(self.panels))]
        self._draw(axes, self._title_width(figure.get_figwidth()))
        for row in range(0, len(axes), columns):
            _say_once(axes[row : row + columns])
        if scale is not None:
            bar: Any = figure.add_subplot(grid[:, -1], axes_class=ColourBar)
            fill_colour_bar(bar, axes, scale, self._common_label())
        else:
            self._explain_each(axes)
        if self._title():
            set_figure_title(figure, self._title(), figure.get_figwidth() - LEFT)
        return np.array(axes, object)

    def draw_into(self, ax: Any) -> Any:
        axes = self._divide(ax) if isinstance(ax, Axes) else self._one_for_each(ax)
        self._draw(axes, width_of(axes[0]))
        scale = self._common_scale()
        if scale is not None:
            add_colour_bar(axes if isinstance(ax, Axes) else axes[-1:], scale, self._common_label())
        else:
            self._explain_each(axes)
        return np.array(axes, object)

    def _draw(self, axes: Sequence[Axes], title_width: float) -> None:
        parts = zip(axes, self.view.views, self.panels, self.view.titles, strict=True)
        for ax, view, panel, title in parts:
            panel.draw(ax, view, self.style)
            set_title(ax, title, title_width)
            ax.set_anchor("N")  # what is less high than its place leaves no gap above

    def _scales(self) -> list[ColourScale | None]:
        if not self.style.colorbar:
            return [None] * len(self.panels)
        parts = zip(self.panels, self.view.views, strict=True)
        return [panel.scale(view, self.style) for panel, view in parts]

    def _common_scale(self) -> ColourScale | None:
        """The scale of all views, if they have the same."""
        scales = [scale for scale in self._scales() if scale is not None]
        return scales[0] if scales and all(scale == scales[0] for scale in scales) else None

    def _common_label(self) -> str:
        labels = [panel.label(view) for panel, view in zip(self.panels, self.view.views, strict=True)]
        return " / ".join(dict.fromkeys(labels))

    def _explain_each(self, axes: Sequence[Axes]) -> None:
        """A colour bar for each scale, beside the last of those next to each other that have it."""
        for places, scale, label in self._runs():
            add_colour_bar([axes[place] for place in places], scale, label)

    def _runs(self) -> list[tuple[list[int], ColourScale, str]]:
        """The places of views next to each other that have a scale in common, with it and what it is of."""
        runs = list[tuple[list[int], ColourScale, str]]()
        columns = self._grid[1]
        for place, (scale, panel, view) in enumerate(
            zip(self._scales(), self.panels, self.view.views, strict=True)
        ):
            if scale is None:
                continue
            if (
                runs
                and place % columns
                and runs[-1] == ([*range(runs[-1][0][0], place)], scale, panel.label(view))
            ):
                runs[-1][0].append(place)
            else:
                runs.append(([place], scale, panel.label(view)))
        return runs

    def _title_width(self, whole: float) -> float:
        """The inches for the title of one view, in a figure that is so wide."""
        rows, columns = self._grid
        bars, size = len(self._runs()) / rows, _letters() / 10
        own = RIGHT if bars >= columns else 0.0
        room = whole - size * (LEFT + RIGHT * bars)
        return min(self._panel_size()[0] + LEFT / 2, room / columns + size * (own - _APART))

    def _title(self) -> str:
        return self.view.title if self.style.title is None else self.style.title

    @cached_property
    def _grid(self) -> tuple[int, int]:
        """Rows and columns: few views in a row, or as many as leave most room for each in a figure of a size given."""
        count = len(self.panels)
        longest = count if count <= _LONGEST_ROW else min(math.ceil(math.sqrt(count)), _LONGEST_ROW)
        if self.style.figsize is None:
            return -(-count // longest), longest
        room = {columns: self._room(columns, *self.style.figsize) for columns in range(longest, 0, -1)}
        columns = longest if room[longest] > _ENOUGH else max(room, key=room.__getitem__)
        return -(-count // columns), columns

    def _room(self, columns: int, width: float, height: float) -> float:
        """How wide each view would about be in a figure of this size, with so many in a row."""
        scales, count = self._scales(), len(self.panels)
        bars = sum(scale is not None for scale in scales[:1])
        bars += sum(one != other is not None for one, other in pairwise(scales))
        size = min(max(width / columns / (_WITH_BAR if bars > 1 else _ROOMY), _SMALLEST), 1.0)
        wide = width / columns - size * (LEFT / columns + RIGHT * bars / count)
        high = (height - _TITLE * bool(self._title())) / -(-count // columns) - size * self._around()
        own, own_height = self.panels[0].size(self.view.views[0])
        return min(wide, high * own / own_height)

    def _panel_size(self) -> tuple[float, float]:
        """All alike: as wide as the page allows, as high as the highest needs."""
        sizes = [panel.size(view) for panel, view in zip(self.panels, self.view.views, strict=True)]
        widest = max(width for width, _ in sizes)
        width = min(max(_PAGE / self._grid[1] - LEFT, _LEAST_PANEL), _MOST_PANEL, widest)
        return width, max(height * width / own for own, height in sizes)

    def _around(self) -> float:
        return max(panel.around for panel in self.panels)

    def _one_for_each(self, given: Any) -> list[Axes]:
        axes = list(np.ravel(np.asarray(given, object)))
        if len(axes) != len(self.panels) or not all(isinstance(ax, Axes) for ax in axes):
            described = f"a {type(given).__name__}" + (f" of {len(axes)}" if len(axes) > 1 else "")
            needed = f"one matplotlib Axes to divide, or a sequence of {len(self.panels)}, one for each view"
            raise InputError(f"ax is {described}; give {needed}")
        return axes

    def _divide(self, host: Axes) -> list[Axes]:
        """Panels within one Axes, whose own axes give way."""
        rows, columns = self._grid
        host.set_axis_off()
        if self._title():
            set_title(host, self._title(), width_of(host), "large")
        # Room for what stands around each panel, as far as the place given allows.
        left = min(LEFT / width_of(host), 0.3 / columns)
        around = min(self._around() / height_of(host), 0.4 / rows)
        width, height = (1 + left) / columns - left, 1 / rows - around
        corners = [divmod(i, columns) for i in range(len(self.panels))]
        return [
            host.inset_axes((column * (width + left), 1 - (row + 1) / rows + around / 2, width, height))
            for row, column in corners
        ]


def _letters() -> float:
    size: float = matplotlib.rcParams["font.size"]
    return size


def _say_once(axes: Sequence[Axes]) -> None:
    """Leave out the numbers and the name of a y axis that are those of the one before."""
    for one, other in reversed(list(pairwise(axes))):
        if _vertical(one) == _vertical(other):
            other.set_ylabel("")
            other.tick_params(axis="y", labelleft=False)


def _vertical(ax: Axes) -> tuple[Any, ...]:
    """What stands beside a y axis."""
    return ax.get_ylabel(), ax.get_ylim(), [text.get_text() for text in ax.get_yticklabels()]
