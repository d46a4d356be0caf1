"""One view in one Axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netviz_core.renderer_api import InputError, View

from .catalogue import AxesPanel
from .parts.colour_bar import add_colour_bar
from .parts.inches import LEFT, RIGHT, width_of
from .parts.style import Style
from .parts.text import set_title, title_extra


@dataclass(frozen=True)
class Single:
    """An `Arrangement` of one view."""

    view: View
    style: Style
    panel: AxesPanel

    def figure_size(self) -> tuple[float, float]:
        width, height = self.panel.size(self.view)
        width += self.panel.beside
        return width, height + self.panel.around + title_extra(self._title(), _title_width(width))

    def letters(self, width: float) -> None:
        """Letters stay as they are: what is written makes way by itself."""

    def draw_on(self, figure: Figure) -> Axes:
        width, height = figure.get_size_inches()
        left, right, around = LEFT / width, RIGHT / width, self.panel.around / height
        # About where the layout will put it, for what is fitted to the size of an Axes.
        if left + right < 0.6 and around < 0.6:
            figure.subplotpars.update(left, around / 2, 1 - right, 1 - around / 2)
        return self._draw(figure.add_subplot(), _title_width(width))

    def draw_into(self, ax: Any) -> Axes:
        if not isinstance(ax, Axes):
            raise InputError(f"ax is a {type(ax).__name__}; give a matplotlib Axes, or none for a new figure")
        return self._draw(ax, width_of(ax))

    def _draw(self, ax: Axes, title_width: float) -> Axes:
        self.panel.draw(ax, self.view, self.style)
        scale = self.panel.scale(self.view, self.style)
        if scale is not None and self.style.colorbar:
            add_colour_bar([ax], scale, self.panel.label(self.view))
        set_title(ax, self._title(), title_width)
        return ax

    def _title(self) -> str:
        return self.view.title if self.style.title is None else self.style.title


def _title_width(width: float) -> float:
    """The inches for a title of a figure that is so wide."""
    return width - max(LEFT, RIGHT)
