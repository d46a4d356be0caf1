"""The renderer that netviz finds through its entry point."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.subplots import make_subplots

from netviz_core.renderer_api import (
    FileFormatError,
    InputError,
    SideBySide,
    View,
    as_path,
    printable,
    replace_file,
    short_names,
    shown,
    within,
)

from .catalogue import CATALOGUE
from .parts.place import Place
from .parts.style import PIXELS_PER_INCH, Style
from .parts.texts import safe
from .parts.told import told_by

_ID = "netviz"
_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["sendDataToCloud", "lasso2d", "select2d"],
}
_LONGEST_TITLE = 90
_ABOVE, _LINE, _LETTER = 60, 24, 9
"""Pixels above a figure with a title of one line, that a line more takes, and that a letter is wide."""


class PlotlyRenderer:
    """Draws every view of netviz, alone or side by side, with its values under the cursor.

    Files are single pages of HTML that need no network; the same view gives the same bytes.

    Examples
    --------
    >>> from netviz_core import kernels
    >>> from netviz_core.testing import example_model
    >>> type(PlotlyRenderer().plot(kernels(example_model(), "conv1"))).__name__
    'Figure'
    """

    name = "plotly"
    suffixes = (".html",)

    def plot(self, view: View, ax: Any = None, **style: Any) -> go.Figure:
        """Draw `view`.

        Parameters
        ----------
        view : View
        ax : None
            Figures of Plotly have none.
        **style
            See `netviz_plotly.parts.style.Style`.

        Returns
        -------
        plotly.graph_objects.Figure

        Raises
        ------
        UnsupportedError
            If this renderer does not know views of this type.
        InputError
            If an option is not what it should be, or has no effect on this view.
        """
        if ax is not None:
            raise InputError(
                f"ax={shown(ax)} is matplotlib's; the plotly renderer returns a figure of its own: leave ax out"
            )
        look = Style.from_options(style)
        views = view.views if isinstance(view, SideBySide) else (view,)
        CATALOGUE.require_effect(view, look.given)
        panels = [CATALOGUE.panel_for(one) for one in views]
        title = view.title if look.title is None else look.title
        views = tuple(within(one, look.limits) for one in views)
        sizes = [panel.size(one) for panel, one in zip(panels, views, strict=True)]
        titles = _beside(view.titles, sizes) if isinstance(view, SideBySide) else None
        figure = make_subplots(
            1, len(views), subplot_titles=titles, horizontal_spacing=0.3 / (len(views) + 1)
        )
        width, height = look.figsize or (sum(size[0] for size in sizes), max(size[1] for size in sizes))
        figure.update_layout(
            template=look.template(), width=round(PIXELS_PER_INCH * width), height=round(PIXELS_PER_INCH * height),
            title_text=_lines(title),
            margin_t=_ABOVE + _LINE * (_lines(title).count("<br>") + (titles is not None)),
        )  # fmt: skip
        shared = len({getattr(one, "limits", None) for one in views}) == 1 and hasattr(views[0], "limits")
        for number, (panel, one) in enumerate(zip(panels, views, strict=True), 1):
            panel.draw(Place(figure, number, look, not shared or number == len(views)), one)
        return figure

    def save(self, view: View, path: Any, *, format: str | None = None, **style: Any) -> None:
        """Write `view` as one page of HTML, with all that it needs, to exactly `path`.

        Parameters
        ----------
        view : View
        path : str, path or binary file
            Its suffix is html; a file that exists is replaced once the new one is complete.
        format : str, optional
            Instead of the suffix; a file needs one.
        **style
            As for `plot`.

        Raises
        ------
        FileFormatError
            If another format is asked for.
        OSError
            If the file cannot be written.
        """
        is_file = hasattr(path, "write")
        given = f".{format}" if format is not None else "" if is_file else Path(as_path(path)).suffix
        if given.lower() not in self.suffixes:
            raise FileFormatError(
                f"the plotly renderer writes .html alone, not {given or 'a file without a suffix'}; "
                f"pictures such as .png, .svg and .pdf are matplotlib's: leave renderer= out"
            )
        data = self.html(view, **style).encode()
        if is_file:
            path.write(data)
            return
        replace_file(path, lambda unfinished: unfinished.write_bytes(data))

    def html(self, view: View, **style: Any) -> str:
        """The page that `save` writes."""
        figure = self.plot(view, **style)
        page = to_html(figure, config=_CONFIG, include_plotlyjs=True, div_id=_ID)
        title, ground = escape(printable(view.title)), figure.layout.template.layout.paper_bgcolor
        head = f"<title>{title}</title><style>body {{background: {ground}; margin: 0}}</style></head>"
        return str(page.replace("</head>", head, 1))

    def png(self, view: View) -> bytes:
        """Refused: pictures are matplotlib's.

        Raises
        ------
        FileFormatError
        """
        raise FileFormatError("the plotly renderer makes no PNG; pictures are those of renderer='matplotlib'")

    def under_cursor(self, figure: go.Figure) -> Iterator[str]:
        """Everything that a figure tells under the cursor, as its users read it."""
        for trace in figure.data:
            yield from told_by(trace)


def _beside(titles: Sequence[str], sizes: Sequence[tuple[float, float]]) -> list[str]:
    """Titles of views side by side, so short that none runs into the next, and still apart."""
    room = min(width for width, _ in sizes) * PIXELS_PER_INCH / _LETTER
    return [safe(name) for name in short_names([printable(title) for title in titles], max(int(room), 8))]


def _lines(title: str) -> str:
    """A title in lines that are not too long for a page."""
    lines = [""]
    for part in re.split(r"(?<!×) (?!×)", printable(title)):
        if lines[-1] and len(lines[-1]) + len(part) > _LONGEST_TITLE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}".strip()
    return "<br>".join(map(safe, lines))
