"""Layers by measures: a number for each, every measure on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..words.cards import MOST_ROWS, NAME, NUMBER, TEXT, Record, Told, details, table
from ..words.text_tables import counted, named
from .base import View


@dataclass(frozen=True, eq=False, repr=False)
class MeasureLine(Record):
    """One line of a table of measures: a layer, or several of which the same is said.

    Parameters
    ----------
    name : str
        The layer's path; of several, the container that holds them and no others, or the first and the last.
    count : int
        How many layers it stands for.
    low, high : numpy.ndarray
        ``(measures,)``: the least and the largest value of these layers; NaN where none has one.
    finding : str
        What is to be said of them, in a word or two.
    is_marked : bool
        Whether they are to be looked at first.
    """

    name: str
    count: int
    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]
    finding: str
    is_marked: bool

    @property
    def cells(self) -> list[str]:
        """Each measure in three digits, as a range if these layers differ in it; a dash where there is none."""
        return [_cell(*ends) for ends in zip(self.low.tolist(), self.high.tolist(), strict=True)]


@dataclass(frozen=True, eq=False, repr=False)
class LayerMeasures(View):
    """A table of numbers to be seen at a glance.

    Parameters
    ----------
    title : str
    layers : tuple of str
        The path of each row, in the model's order.
    measures : tuple of str
        What each column is, the most important first.
    values : numpy.ndarray
        ``(layers, measures)``, float64; NaN where there is none.
    marked : tuple of bool
        Which rows are to be looked at first.
    findings : tuple of str, optional
        What is to be said of each row, in a word or two; empty for most.
    """

    title: str
    layers: tuple[str, ...]
    measures: tuple[str, ...]
    values: np.ndarray[Any, Any]
    marked: tuple[bool, ...]
    findings: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def note(self) -> str:
        """A sentence that is to be read with the table; empty for none."""
        return ""

    def lines(self, at_most: int) -> tuple[MeasureLine, ...]:
        """The table line by line, as it is to be read; views that can be folded have one line for several layers."""
        return tuple(self.line_of((row,)) for row in range(len(self.layers)))

    def line_of(self, rows: Sequence[int], name: str = "") -> MeasureLine:
        """One line for these rows, of all of which the same is said."""
        values, first = self.values[list(rows)], rows[0]
        return MeasureLine(
            name or self.layers[first] or "output",
            len(rows),
            np.fmin.reduce(values),
            np.fmax.reduce(values),
            self.findings[first] if self.findings else "",
            self.marked[first],
        )

    def _told(self) -> Told:
        odd = [
            layer or "output" for layer, is_marked in zip(self.layers, self.marked, strict=True) if is_marked
        ]
        where = f"; {counted(len(odd), 'layer')} to be looked at: {named(odd, most=4)}" if odd else ""
        return Told(f"{self.title}{where}", [details("layer by layer", self._table())], "odd" if odd else "")

    def _table(self, at_most: int = MOST_ROWS) -> str:
        """The lines as a card has them."""
        lines = self.lines(at_most)
        columns = {"layer": NAME, "layers": NUMBER, **dict.fromkeys(self.measures, NUMBER), "finding": TEXT}
        is_folded = any(line.count > 1 for line in lines)
        return table(
            columns,
            lines,
            lambda line: [line.name, f"{line.count:,}" if is_folded else "", *line.cells, line.finding],
            lambda line: line.is_marked,
        )

    @property
    def shares(self) -> np.ndarray[Any, Any]:
        """The size of each value in [0, 1] beside the largest of its column; NaN where there is none."""
        with np.errstate(invalid="ignore"):
            sizes = np.abs(np.where(np.isinf(self.values), np.nan, self.values))
            largest = np.fmax.reduce(sizes, axis=0, initial=0.0, keepdims=True)
            shares = np.divide(sizes, largest, out=np.zeros_like(sizes), where=largest > 0)
        shares[np.isnan(sizes)] = np.nan
        shares[np.isinf(self.values)] = 1.0
        return shares


def _cell(low: float, high: float) -> str:
    if np.isnan(low):
        return "–"
    ends = dict.fromkeys(
        f"{end:,.0f}" if end.is_integer() and abs(end) < 1e6 else f"{end:.3g}" for end in (low, high)
    )
    return " … ".join(ends).replace("-", "\N{MINUS SIGN}")
