"""Layers by measures: a line for each layer, a column for each measure, each on a scale of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from netviz_core.renderer_api import LayerMeasures, MeasureLine, printable

from ..parts.colours import ColourScale, ink_on
from ..parts.cursor import tell_under_cursor
from ..parts.inches import height_of, is_laid_out, room_for, width_of
from ..parts.row_labels import label_rows, labels_width
from ..parts.style import Style
from ..parts.text import PLAIN, add_footer, cut, footer_height, say_empty, text_width

Array = np.ndarray[Any, Any]

_ROW_HEIGHT, _LEAST_ROW, _LEAST_NUMBER = 0.18, 0.15, 0.1
_LEAST_WIDTH, _LEAST_HEIGHT, _MOST_HEIGHT, _MOST_LINES = 2.0, 1.0, 9.0, 50
_ABOVE, _MOST_BELOW, _LONGEST_NOTE = 0.65, 0.35, 50
_AIR, _BESIDE = 0.14, 0.06
_COLOURS, _DARKEST, _NO_VALUE = "Blues", 0.75, 0.15
_MARK = "#d6604d"
_ALARM, _WARNING = "▲", "△"
_HEAD, _CELL = "x-small", "xx-small"


@dataclass(frozen=True)
class _Table:
    """What of a view there is room for.

    Parameters
    ----------
    lines : sequence of MeasureLine
    columns : sequence of int
        Which measures are shown.
    heads : sequence of str
        What each measure is called; with the least and the largest value where no numbers are shown.
    edges : numpy.ndarray
        Where columns begin and end, in inches.
    has_numbers : bool
    has_words : bool
        Whether findings are said in words, or by their marks alone.
    """

    lines: Sequence[MeasureLine]
    columns: Sequence[int]
    heads: Sequence[str]
    edges: Array
    has_numbers: bool
    has_words: bool = True

    @classmethod
    def of(cls, view: LayerMeasures, width: float, height: float) -> _Table:
        """Fold layers, and leave columns out, no more than needed in so many inches."""
        most = min(max(int(height / _LEAST_ROW), 1), _MOST_LINES)
        lines = view.lines(most)
        has_numbers = len(lines) * _LEAST_NUMBER <= max(height, most * _LEAST_ROW)
        heads = [name.replace(" ", "\n") for name in view.measures]
        if not has_numbers:
            whole = view.line_of(range(len(view.layers)))
            heads = [
                f"{head}\n{cell.replace(' ', chr(10), 1)}"
                for head, cell in zip(heads, whole.cells, strict=True)
            ]
        widths = _widths(heads, lines if has_numbers else ())
        table = cls(lines, (), (), np.zeros(1), has_numbers)
        if width - table.beside < min(widths):
            table = replace(table, has_words=False)
        columns = _most_important(view, widths, width - table.beside)
        edges = np.cumsum([0.0, *(widths[column] for column in columns)])
        if sum(widths) + table.beside < width < np.inf:
            edges *= (width - table.beside) / edges[-1]
        return replace(table, columns=columns, heads=[heads[column] for column in columns], edges=edges)

    def finding(self, line: MeasureLine) -> str:
        """What is said beside a line."""
        mark = _ALARM if line.is_marked else _WARNING if line.finding else ""
        said = (line.finding or "well" * (line.count > 1)) if self.has_words else ""
        return " ".join(filter(None, (mark, said, f"×{line.count:,}" if line.count > 1 else "")))

    @cached_property
    def beside(self) -> float:
        """Inches that findings need to the right of all columns."""
        font = FontProperties(size=_HEAD)
        longest = max((text_width(self.finding(line), font) for line in self.lines), default=0.0)
        return longest + 2 * _BESIDE if longest else 0.0

    @property
    def width(self) -> float:
        """Of all columns."""
        return float(self.edges[-1])

    @property
    def middles(self) -> Array:
        """The middle of each column."""
        return (self.edges[:-1] + self.edges[1:]) / 2


def size(view: LayerMeasures) -> tuple[float, float]:
    """Width and height in inches; wider for long names, which take some of it."""
    if not view.values.size:
        return _LEAST_WIDTH, _LEAST_HEIGHT
    table = _Table.of(view, np.inf, _MOST_HEIGHT)
    height = min(max(_ROW_HEIGHT * len(table.lines), _LEAST_HEIGHT), _MOST_HEIGHT)
    width = max(table.width, _LEAST_WIDTH) + table.beside + labels_width(_names(table.lines))
    return width, height + footer_height(list(_notes(view, table)), width)


def scale(view: LayerMeasures, style: Style) -> ColourScale | None:
    """None: each column has a scale of its own, in numbers."""
    return None


def label(view: LayerMeasures) -> str:
    """There is no colour bar to be labelled."""
    return ""


def draw(ax: Axes, view: LayerMeasures, style: Style) -> None:
    """Draw layers down and measures across."""
    if not view.values.size:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no layer" if not view.layers else "no measure")
        return
    width, names_width, height, explains = width_of(ax), 0.0, height_of(ax), True
    table = _Table.of(view, width, height)
    if is_laid_out(ax):
        width, height = room_for(ax)
        names_width = labels_width(_names(table.lines), width_of(ax))
        explains = footer_height(list(_notes(view, table)), width - _AIR) <= _MOST_BELOW * height
        below = footer_height(list(_notes(view, table, explains)), width - _AIR)
        height = max(height - _ABOVE - below, _LEAST_ROW)
        table = _Table.of(view, width - names_width, height)
    colours = _colours(view, table, style)
    rows = len(table.lines)
    image = ax.pcolorfast(table.edges, np.arange(rows + 1) - 0.5, np.round(255 * colours).astype(np.uint8))
    image.set_mouseover(False)
    ax.set(xlim=(0, table.width + table.beside), ylim=(rows - 0.5, -0.5))
    tell_under_cursor(ax, partial(_describe, view, table))
    ax.grid(False)
    ax.minorticks_off()
    ax.spines[:].set_visible(False)
    ax.set_xticks(table.middles, table.heads, **PLAIN)
    ax.tick_params(axis="x", labelsize=_HEAD, length=0, bottom=False, labelbottom=False, labeltop=True)
    label_rows(ax, _names(table.lines), height)
    _say_findings(ax, table, height)
    if table.has_numbers:
        _write_numbers(ax, table, colours)
    add_footer(ax, list(_notes(view, table, explains)), width - _AIR, -names_width / 2)


def _names(lines: Sequence[MeasureLine]) -> list[str]:
    return [printable(line.name) for line in lines]


def _widths(heads: Sequence[str], lines: Sequence[MeasureLine]) -> list[float]:
    """The inches that each column needs for its name and its numbers."""
    head, cell = FontProperties(size=_HEAD), FontProperties(size=_CELL)
    cells = [line.cells for line in lines]
    return [
        _AIR
        + max(
            *(text_width(part, head) for part in name.split("\n")),
            *(text_width(row[column], cell) for row in cells),
            0.0,
        )
        for column, name in enumerate(heads)
    ]


def _most_important(view: LayerMeasures, widths: Sequence[float], room: float) -> list[int]:
    """The columns that fit, one at least; first those go that are the same in all layers, then the later ones."""
    lowest, highest = np.fmin.reduce(view.values), np.fmax.reduce(view.values)
    kept = list(range(len(widths)))
    for column in sorted(kept, key=lambda column: (lowest[column] != highest[column], -column)):
        if sum(widths[other] for other in kept) <= room + 1e-6 or len(kept) == 1:
            break
        kept.remove(column)
    return kept


def _colours(view: LayerMeasures, table: _Table, style: Style) -> Array:
    """``(lines, columns, 4)``: the darker, the larger beside the largest of its column."""
    sizes = np.array([np.fmax(np.abs(line.low), np.abs(line.high)) for line in table.lines])[:, table.columns]
    finite = np.where(np.isfinite(sizes), sizes, 0.0)
    largest = finite.max(axis=0)
    shares = np.divide(finite, largest, out=np.zeros_like(finite), where=largest > 0)
    shares[np.isposinf(sizes)] = 1.0
    colours: Array = style.colormap(_COLOURS)(_DARKEST * shares)
    colours[np.isnan(sizes)] = _no_value()
    return colours


def _no_value() -> tuple[float, ...]:
    return to_rgba(matplotlib.rcParams["text.color"], _NO_VALUE)


def _say_findings(ax: Axes, table: _Table, height: float) -> None:
    """Frame what is marked, and write what is to be said beside each line; lines too low for words share them."""
    rows = range(len(table.lines))
    least, last = len(rows) * _LEAST_ROW / height, -np.inf
    for (is_marked, finding), run in groupby(
        rows, lambda row: (table.lines[row].is_marked, table.lines[row].finding)
    ):
        together = list(run)
        if is_marked:
            corner = 0.0, together[0] - 0.5
            ax.add_patch(
                Rectangle(
                    corner, table.width, len(together), fill=False, edgecolor=_MARK, linewidth=1.2, zorder=3
                )
            )
        middle = together[len(together) // 2]
        if table.has_numbers:
            said = [(row, table.lines[row]) for row in together]
        elif (is_marked or finding) and middle - last >= least:
            said, last = [(middle, replace(table.lines[middle], count=len(together)))], middle
        else:
            said = []
        for row, line in said:
            ax.text(table.width + _BESIDE, row, table.finding(line), fontsize=_HEAD, va="center", **PLAIN)


def _write_numbers(ax: Axes, table: _Table, colours: Array) -> None:
    for row, line in enumerate(table.lines):
        for place, column in enumerate(table.columns):
            has_value = not np.isnan(line.low[column])
            ax.text(
                table.middles[place], row, line.cells[column], ha="center", va="center", fontsize=_CELL,
                color=ink_on(colours[row, place]) if has_value else matplotlib.rcParams["text.color"],
            )  # fmt: skip


def _notes(view: LayerMeasures, table: _Table, explains: bool = True) -> Iterator[tuple[Any, str]]:
    """What explains the figure, and what it leaves out; that alone where there is no room for more."""
    if view.note:
        yield None, view.note if explains else cut(view.note, _LONGEST_NOTE)
    if explains or not table.has_words:
        yield from _explanations(table)
    if len(table.lines) < len(view.layers):
        yield None, f"{len(view.layers):,} layers in {len(table.lines)} lines, ×: a range"
    if left := [name for column, name in enumerate(view.measures) if column not in table.columns]:
        yield None, f"no room for {', '.join(left)}"


def _explanations(table: _Table) -> Iterator[tuple[Any, str]]:
    if any(line.is_marked for line in table.lines):
        yield None, f"{_ALARM} alarm"
    if any(line.finding and not line.is_marked for line in table.lines):
        yield None, f"{_WARNING} warning"
    if any(np.isnan(line.low[table.columns]).any() for line in table.lines):
        yield _no_value(), "no value"
    yield None, "darker: larger in its column"
    if not table.has_numbers:
        yield None, "above: least … largest"


def _describe(view: LayerMeasures, table: _Table, x: float, y: float) -> str:
    """What lies under the cursor."""
    row, place = round(y), int(np.searchsorted(table.edges, x, side="right")) - 1
    if not (0 <= row < len(table.lines) and 0 <= place < len(table.columns)):
        return ""
    line, column = table.lines[row], table.columns[place]
    return f"{line.name}, {view.measures[column]}: {line.cells[column]}"
