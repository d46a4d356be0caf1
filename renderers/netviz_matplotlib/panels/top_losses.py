"""The examples a model got most wrong: as pictures, or as a table where they are none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes

from netviz_core.renderer_api import LossRow, TopLosses, printable, short_names

from ..parts.colours import ColourScale
from ..parts.inches import height_of, is_laid_out, room_for, width_of
from ..parts.style import Style
from ..parts.table import Column, Table, draw_table
from ..parts.text import add_footer, footer_height, say_empty
from . import overlays

_WIDTH, _HIGHEST, _MOST_ROWS = 7.0, 8.0, 60
_TITLE, _BESIDE = 0.45, 0.1
_CONFUSIONS, _LONGEST_NAME = 3, 24


def size(view: TopLosses) -> tuple[float, float]:
    """Width and height in inches."""
    if view.images is not None:
        return overlays.size(view)
    if not view.rows:
        return 2.4, 2.4
    width, height = _table(view, _WIDTH).size
    return width, min(height, _HIGHEST) + footer_height(_confusions(view), width)


def scale(view: TopLosses, style: Style) -> ColourScale | None:
    """The colours of the heat, if there is any."""
    return overlays.scale(view, style)


def label(view: TopLosses) -> str:
    """What the heat is."""
    return view.value_label


def draw(ax: Axes, view: TopLosses, style: Style) -> None:
    """Draw pictures with their captions, else a table; and what was confused most below."""
    if view.images is not None:
        overlays.draw(ax, view, style, _confusions(view))
        return
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if not view.rows:
        say_empty(ax, "no examples to show")
        return
    ax.set_facecolor("none")
    ax.grid(False)
    width, height = width_of(ax), height_of(ax)
    if is_laid_out(ax):
        width = room_for(ax)[0] - _BESIDE
    table, more = _table(view, width), _more(len(view.rows))
    told = f"no room for {', '.join(table.left_out)}"
    confusions = [*[(None, told)] * bool(table.left_out), *_confusions(view)]
    if is_laid_out(ax):
        whole = room_for(ax)[1] - _TITLE
        height = whole - footer_height(confusions, width)
        if table.size[1] > height:
            height = whole - footer_height([more, *confusions], width)
    left_out = len(view.rows) - draw_table(ax, table, height)
    add_footer(ax, [*[_more(left_out)] * bool(left_out), *confusions], width)


def _more(count: int) -> tuple[None, str]:
    return None, f"and {count:,} more, see .rows"


def _table(view: TopLosses, width: float) -> Table:
    """The rows for which there may be room, in the columns that say something."""
    rows = view.rows[:_MOST_ROWS]
    columns = [
        Column("example", _texts(rows, lambda row: f"{row.index:,}"), is_number=True),
        Column("loss", _texts(rows, lambda row: f"{row.loss:#.4g}"), is_number=True),
        Column("prediction", _texts(rows, lambda row: row.prediction)),
        Column("actual", _texts(rows, lambda row: row.actual)),
        Column("probability", _texts(rows, _probability), is_number=True),
        Column("text", _texts(rows, lambda row: row.text), is_long=True),
    ]
    return Table.of([column for column in columns if any(column.cells)], width)


def _texts(rows: Iterable[LossRow], of: Any) -> tuple[str, ...]:
    return tuple(printable(of(row)) for row in rows)


def _probability(row: LossRow) -> str:
    return "" if row.probability is None else f"{row.probability:.3f}"


def _confusions(view: TopLosses) -> list[tuple[Any, str]]:
    """The pairs of classes confused most, as notes."""
    most = view.confusions[:_CONFUSIONS]
    names = list({name for *both, _ in most for name in both})
    shown = short_names(list(map(printable, names)), _LONGEST_NAME, from_start=True)
    short = dict(zip(names, shown, strict=True))
    pairs: list[tuple[Any, str]] = [
        (None, f"{short[actual]} → {short[prediction]} ({count:,})") for actual, prediction, count in most
    ]
    return [(None, "most confused:"), *pairs] if pairs else []
