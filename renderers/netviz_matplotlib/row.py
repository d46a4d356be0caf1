"""Several views of one kind next to one another, with one scale for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netviz_core.renderer_api import InputError, SideBySide

from .catalogue import Panel
from .parts.colour_bar import WIDTH, ColourBar, add_colour_bar, fill_colour_bar
from .parts.colours import ColourScale
from .parts.inches import height_of, width_of
from .parts.style import Style
from .parts.text import set_figure_title, set_title, title_extra
from .single import LEFT, RIGHT

_PAGE = 7.0
_LEAST_PANEL, _MOST_PANEL = 2.0, 3.0
_LONGEST_ROW = 4
_TITLE, _APART = 0.4, 0.2


@dataclass(frozen=True)
class Row:
    """An `Arrangement` of views side by side, in more than one row where there are many."""

    view: SideBySide
    style: Style
    panels: Sequence[Panel]

    def figure_size(self) -> tuple[float, float]:
        rows, columns = self._grid()
        width, height = self._panel_size()
        whole = columns * (width + LEFT) + RIGHT
        title = _TITLE + title_extra(self._title(), whole - LEFT, "large") if self._title() else 0.0
        own = max(title_extra(text, self._title_width(whole)) for text in self.view.titles)
        return whole, rows * (height + self._around() + own) + title

    def draw_on(self, figure: Figure) -> Any:
        rows, columns = self._grid()
        width, _ = self._panel_size()
        scale = self._common_scale()
        ratios = [width] * columns + [WIDTH] * (scale is not None)
        grid = figure.add_gridspec(rows, len(ratios), width_ratios=ratios)
        axes = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(self.panels))]
        self._draw(axes, self._title_width(figure.get_figwidth()))
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
        parts = zip(axes, self._scales(), self.panels, self.view.views, strict=True)
        for ax, scale, panel, view in parts:
            if scale is not None:
                add_colour_bar([ax], scale, panel.label(view))

    def _title_width(self, whole: float) -> float:
        """The inches for the title of one view, in a figure that is so wide."""
        beside = RIGHT if self._common_scale() is not None else 0.0
        return min(self._panel_size()[0] + LEFT / 2, (whole - beside) / self._grid()[1] - _APART)

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
        rows, columns = self._grid()
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
