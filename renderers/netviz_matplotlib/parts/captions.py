"""Captions in the free strips of a mosaic, each as wide as its picture at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from netviz_core.renderer_api import MosaicLayout, printable, short_names

from .text import LINE, PLAIN, POINTS, cut, longest_that_fits, ruler

PARTS = " / "
"""What a caption puts between its parts, each of which is shortened by itself."""


class Captions(Artist):
    """The captions of all pictures of a mosaic, which is drawn in units of its pixels.

    Whatever becomes of the Axes (another size, zooming in), letters are made smaller and lines are cut
    such that no caption leaves its place.

    Parameters
    ----------
    layout : MosaicLayout
    captions : sequence of sequence of str
        The lines of each.
    points : float
        The size of letters where there is room.
    """

    def __init__(self, layout: MosaicLayout, captions: Sequence[Sequence[str]], points: float) -> None:
        super().__init__()
        captions = [list(map(printable, lines)) for lines in captions]
        self._layout, self._captions, self._points = layout, captions, points
        self._colour = matplotlib.rcParams["text.color"]
        self._parts = list({part for lines in captions for line in lines for part in line.split(PARTS)})
        self._versions: dict[int, dict[str, str]] = {}
        # It lies within its Axes: layouts need not ask where.
        self.set_in_layout(False)

    def _short(self, most: int) -> dict[str, str]:
        """What becomes of each part where there is room for so many characters."""
        if most not in self._versions:
            self._versions[most] = dict(
                zip(self._parts, short_names(self._parts, most, from_start=True), strict=True)
            )
        return self._versions[most]

    def draw(self, renderer: Any) -> None:
        """Draw the captions that lie within the Axes' limits."""
        if not self.get_visible():
            return
        assert self.axes is not None, "an artist that is drawn is on an Axes"
        layout, to_pixels = self._layout, self.axes.transData
        inch = renderer.points_to_pixels(POINTS)
        (left, top), (right, bottom) = to_pixels.transform([(0, 0), (layout.tile[1], layout.above)])
        width, height = abs(right - left) / inch, abs(top - bottom) / inch
        most_lines = max(map(len, self._captions))
        font = FontProperties(size=min(self._points, height * POINTS / (LINE * (most_lines + 0.4))))
        text = Text(
            fontproperties=font, color=self._colour, ha="center", va="baseline", clip_on=True, **PLAIN
        )
        text.set_figure(self.axes.get_figure())  # type: ignore[arg-type]
        text.set_clip_box(self.axes.bbox)
        line_height = LINE * renderer.points_to_pixels(font.get_size_in_points())
        fits = partial(_fits, width, ruler(font))
        for number, lines in enumerate(self._captions):
            y, x = layout.centre(*divmod(number, layout.columns))
            across, down = to_pixels.transform((x, y - layout.tile[0] / 2))
            for above, line in enumerate(reversed(lines)):
                text.set_position((across, down + line_height * (above + 0.45)))
                text.set_text(fitted(line, fits, self._short))
                text.draw(renderer)
        self.stale = False


def fitted(line: str, fits: Any, short: Callable[[int], Mapping[str, str]]) -> str:
    """A line whose longest parts are shortened until all of it fits."""
    if fits(line):
        return line
    parts = line.split(PARTS)

    def version(most: int) -> str:
        return PARTS.join(short(most)[part] for part in parts)

    def cut_off(most: int) -> str:
        return PARTS.join(cut(part, most) for part in parts)

    longest = max(map(len, parts))
    told = longest_that_fits(version, longest, fits)
    # Where there is room for a few letters alone, names may become the same.
    return told if fits(told) else longest_that_fits(cut_off, longest, fits)


def _fits(width: float, measure: Callable[[str], float], line: str) -> bool:
    return measure(line) <= width
