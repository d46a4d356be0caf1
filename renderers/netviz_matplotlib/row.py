"""Several views of one kind next to one another, with one scale for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netviz_core.errors import InputError
from netviz_core.views.histogram import Histogram
from netviz_core.views.side_by_side import SideBySide

from .colour_bar import add_colour_bar
from .histogram import Frame, draw_in
from .panels import Panel
from .single import ABOVE, BELOW, LEFT, RIGHT
from .style import Style
from .text import height_of, set_figure_title, set_title, width_of

_PAGE = 7.0
_LEAST_PANEL, _MOST_PANEL = 2.0, 3.0
_LONGEST_ROW = 4


@dataclass(frozen=True)
class Row:
    """An `Arrangement` of views side by side, in more than one row where there are many."""

    view: SideBySide
    style: Style
    panels: Sequence[Panel]

    def figure_size(self) -> tuple[float, float]:
        rows, columns = self._grid()
        width, height = self._panel_size()
        title = ABOVE if self._title() else 0.0
        return columns * (width + LEFT) + RIGHT, rows * (height + ABOVE + BELOW) + title

    def draw_on(self, figure: Figure) -> Any:
        rows, columns = self._grid()
        grid = figure.add_gridspec(rows, columns)
        axes = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(self.panels))]
        self._draw(axes, self._panel_size()[0] + LEFT / 2)
        if self._title():
            set_figure_title(figure, self._title(), figure.get_figwidth() - LEFT)
        return np.array(axes, object)

    def draw_into(self, ax: Any) -> Any:
        if isinstance(ax, Axes):
            axes = self._divide(ax)
        else:
            axes = list(np.ravel(np.asarray(ax, object)))
            if len(axes) != len(self.panels) or not all(isinstance(one, Axes) for one in axes):
                given = f"{len(axes)} objects" if len(axes) != 1 else f"a {type(axes[0]).__name__}"
                raise InputError(
                    f"ax is {given}; give one matplotlib Axes to divide, or {len(self.panels)}: one for each view"
                )
        self._draw(axes, width_of(axes[0]))
        return np.array(axes, object)

    def _draw(self, axes: Sequence[Axes], title_width: float) -> None:
        views: Sequence[Any] = self.view.views
        if all(isinstance(view, Histogram) for view in views):
            frame = Frame.around(views)
            for ax, view in zip(axes, views, strict=True):
                draw_in(frame, ax, view)
        else:
            for ax, view, panel in zip(axes, views, self.panels, strict=True):
                panel.draw(ax, view, self.style)
        for ax, title in zip(axes, self.view.titles, strict=True):
            set_title(ax, title, title_width)
        if self.style.colorbar:
            self._add_colour_bars(axes)

    def _add_colour_bars(self, axes: Sequence[Axes]) -> None:
        """One for all where all have the same scale; else one for each."""
        parts = list(zip(axes, self.panels, self.view.views, strict=True))
        explained = [
            (ax, scale, panel.label(view))
            for ax, panel, view in parts
            if (scale := panel.scale(view, self.style)) is not None
        ]
        if not explained:
            return
        first = explained[0][1]
        same_figure = len({ax.get_figure(root=False) for ax in axes}) == 1
        if same_figure and all(scale == first for _, scale, _ in explained):
            labels = dict.fromkeys(label for *_, label in explained)
            add_colour_bar(axes, first, " / ".join(labels))
        else:
            for ax, scale, label in explained:
                add_colour_bar([ax], scale, label)

    def _title(self) -> str:
        return self.view.title if self.style.title is None else self.style.title

    def _grid(self) -> tuple[int, int]:
        count = len(self.panels)
        columns = count if count <= _LONGEST_ROW else min(math.ceil(math.sqrt(count)), _LONGEST_ROW)
        return -(-count // columns), columns

    def _panel_size(self) -> tuple[float, float]:
        """All alike: as wide as the page allows, as high as the highest needs."""
        sizes = [panel.size(view) for panel, view in zip(self.panels, self.view.views, strict=True)]
        widest = max(width for width, _ in sizes)
        width = min(max(_PAGE / self._grid()[1] - LEFT, _LEAST_PANEL), _MOST_PANEL, widest)
        return width, max(height * width / own for own, height in sizes)

    def _divide(self, host: Axes) -> list[Axes]:
        """Panels within one Axes that was given, whose own axes then give way."""
        rows, columns = self._grid()
        host.set_axis_off()
        # Room for what stands around each panel, as far as the place given allows.
        left = min(LEFT / width_of(host), 0.3 / columns)
        above = min((ABOVE + BELOW) / height_of(host), 0.4 / rows)
        width = (1 + left) / columns - left
        height = 1 / rows - above
        if self._title():
            set_title(host, self._title(), width_of(host), "large")
        return [
            host.inset_axes((column * (width + left), 1 - (row + 1) * (height + above) + above / 2, width, height))
            for row, column in (divmod(i, columns) for i in range(len(self.panels)))
        ]
