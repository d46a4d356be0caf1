"""A table of texts, in letters of one size, whose cells are broken or cut to fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from netviz_core.renderer_api import short_names

from .inches import figure_of
from .text import HINTED, LINE, PLAIN, POINTS, cut, longest_that_fits, ruler, text_width, wrapped

_POINTS = 8.0
_BETWEEN = 0.18
_AIR = 0.5
_NARROWEST, _NAME_SHARE, _LEAST_TEXT = 5.0, 0.16, 1.4
_MOST_LINES, _LONGEST_TEXT = 3, 300
_LEAST_ZOOM, _LEAST_COLUMNS = 0.65, 2


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
    cells : tuple of str
        One for each row.
    is_number : bool
        Stands on the right, and is never cut.
    is_long : bool
        Takes what the others leave.
    width : float
        Inches at full size; found by `Table.of`.
    """

    name: str
    cells: tuple[str, ...]
    is_number: bool = False
    is_long: bool = False
    width: float = 0.0


@dataclass(frozen=True)
class Table:
    """Columns whose cells fit into their widths.

    Parameters
    ----------
    columns : tuple of Column
    zoom : float
        How large it is drawn; 1 at full size.
    left_out : tuple of str
        The names of columns for which there is no room.
    """

    columns: tuple[Column, ...]
    zoom: float
    left_out: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """The size of letters."""
        return _POINTS * self.zoom

    @classmethod
    def of(cls, columns: Sequence[Column], width: float) -> Table:
        """Fit columns into so many inches, all of it made smaller if they are few, the last left out if very few."""
        for count in range(len(columns), _LEAST_COLUMNS, -1):
            table = cls._of(columns[:count], width)
            if table.zoom >= _LEAST_ZOOM:
                break
        else:
            count, table = _LEAST_COLUMNS, cls._of(columns[:_LEAST_COLUMNS], width)
        return replace(table, left_out=tuple(column.name for column in columns[count:]))

    @classmethod
    def _of(cls, columns: Sequence[Column], width: float) -> Table:
        font = FontProperties(size=_POINTS)
        natural = [_natural(column, font) for column in columns]
        between = _BETWEEN * (len(columns) - 1)
        least = [min(own, _most(column, 0.0)) for column, own in zip(columns, natural, strict=True)]
        room = max(width, min(sum(natural) + between, _NARROWEST, sum(least) + between))
        widths = [min(own, _most(column, room)) for column, own in zip(columns, natural, strict=True)]
        room = max(room, sum(widths) + between)
        left = room - sum(widths) - between
        return cls(
            tuple(
                _fitted(column, min(natural[n], widths[n] + left * column.is_long), font)
                for n, column in enumerate(columns)
            ),
            width / room,
        )

    @property
    def line(self) -> float:
        """The height of a line in inches."""
        return LINE * self.points / POINTS

    @property
    def heights(self) -> list[float]:
        """The height of each row in inches, the names of the columns being the first."""
        rows = zip(*((column.name, *column.cells) for column in self.columns), strict=True)
        return [(1 + max(cell.count("\n") for cell in row) + _AIR) * self.line for row in rows]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return self.rights[-1], sum(self.heights)

    @property
    def rights(self) -> list[float]:
        """Where each column ends, in inches."""
        ends = accumulate(column.width + _BETWEEN for column in self.columns)
        return [(end - _BETWEEN) * self.zoom for end in ends]


def draw_table(ax: Axes, table: Table, height: float) -> int:
    """Draw the rows that fit into so many inches from the top of an Axes.

    Returns
    -------
    int
        How many rows there was room for.
    """
    bottoms = list(accumulate(table.heights))
    shown = max(2, sum(bottom <= height * 1.001 for bottom in bottoms))
    tops = [0.0, *bottoms[: shown - 1]]
    # Inches from the upper left corner of the Axes, wherever that comes to lie.
    corner = ScaledTranslation(0, 1, ax.transAxes)  # type: ignore[arg-type] # which is affine, and typed as any
    inches = figure_of(ax).dpi_scale_trans + corner
    for column, right in zip(table.columns, table.rights, strict=True):
        x = right - (0.0 if column.is_number else column.width * table.zoom)
        for cell, top in zip((column.name, *column.cells), tops, strict=False):
            for number, line in enumerate(cell.split("\n")):
                ax.text(
                    x, -top - table.line * (_AIR / 2 + 0.75 + number), line, transform=inches,
                    ha="right" if column.is_number else "left",
                    fontsize=table.points, fontweight="normal" if top else "bold", **PLAIN,
                )  # fmt: skip
    for y in (0.0, bottoms[0], bottoms[shown - 1]):
        ax.add_artist(Line2D([0, table.rights[-1]], [-y, -y], transform=inches, linewidth=0.8, color="0.5"))
    return shown - 1


def _natural(column: Column, font: FontProperties) -> float:
    bold = FontProperties(size=font.get_size_in_points(), weight="bold")
    measure = ruler(font)
    return HINTED * max(text_width(column.name, bold), *(measure(_one_line(cell)) for cell in column.cells))


def _most(column: Column, width: float) -> float:
    """The inches that a column is given at most, before those of long texts get what is left."""
    if column.is_number:
        return math.inf
    return _LEAST_TEXT if column.is_long else max(_NAME_SHARE * width, 0.8)


def _fitted(column: Column, width: float, font: FontProperties) -> Column:
    fits = partial(_fits, width + 1e-6, ruler(font))
    if not column.is_long:
        column = replace(column, cells=_distinct(column.cells, fits))
    return replace(column, width=width, cells=tuple(_cell(cell, fits) for cell in column.cells))


def _distinct(cells: Sequence[str], fits: Callable[[str], bool]) -> tuple[str, ...]:
    """Names that need no more lines than a cell has, shortened against one another."""

    def version(most: int) -> str:
        return max(
            short_names(cells, most, from_start=True), key=lambda name: wrapped(name, fits).count("\n")
        )

    def is_short(name: str) -> bool:
        return wrapped(name, fits).count("\n") < _MOST_LINES

    longest = max(map(len, cells), default=1)
    most = next(
        (most for most in (longest, 48, 36, 28, 22, 16, 12) if most <= longest and is_short(version(most))), 8
    )
    return tuple(short_names(cells, most, from_start=True))


def _cell(text: str, fits: Callable[[str], bool]) -> str:
    """A text in lines that fit, the last one cut where there would be too many."""
    lines = wrapped(_one_line(text), fits).split("\n")
    if len(lines) <= _MOST_LINES:
        return "\n".join(lines)
    last = lines[_MOST_LINES - 1]
    kept = longest_that_fits(lambda most: f"{last[:most].rstrip()}…", len(last), fits)
    return "\n".join([*lines[: _MOST_LINES - 1], kept])


def _one_line(text: str) -> str:
    return cut(" ".join(text.split()), _LONGEST_TEXT)


def _fits(width: float, measure: Callable[[str], float], line: str) -> bool:
    return HINTED * measure(line) <= width
