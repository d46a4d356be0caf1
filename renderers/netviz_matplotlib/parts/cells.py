"""Numbers in the cells of a table: smaller where cells are small, none where there is no room for all."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from .text import LINE, PLAIN, POINTS, text_width

_LARGEST, _SMALLEST = 6.5, 4.5
_AIR = 0.04


class CellNumbers(Artist):
    """Fits the numbers of cells of one size, whatever size they come to have, before they are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: list[tuple[Text, str]] = []
        self.set_zorder(0)
        self.set_in_layout(False)

    def add(self, ax: Axes, x: float, y: float, text: str, colour: Any) -> None:
        """Write a number in the middle of a cell that reaches from half below to half above a place."""
        written = ax.text(x, y, text, ha="center", va="center", fontsize=_LARGEST, color=colour, **PLAIN)
        written.set_in_layout(False)
        self._texts.append((written, text))

    def draw(self, renderer: Any) -> None:
        """Make the numbers as large as fits, or none at all."""
        if not self._texts:
            return
        assert self.axes is not None, "an artist that is drawn is on an Axes"
        (left, top), (right, bottom) = self.axes.transData.transform([(0, 0), (1, 1)])
        inch = renderer.points_to_pixels(POINTS)
        width, height = abs(right - left) / inch - _AIR, abs(top - bottom) / inch - _AIR
        widest = max(text_width(text, FontProperties(size=POINTS)) for _, text in self._texts)
        points = min(_LARGEST, POINTS * width / widest, POINTS * height / LINE)
        for written, text in self._texts:
            written.set_text(text if points >= _SMALLEST else "")
            written.set_fontsize(max(points, _SMALLEST))
