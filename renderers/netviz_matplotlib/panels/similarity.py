"""Layers of one model by layers of another: how alike they are, on one scale from 0 to 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from netviz_core.renderer_api import SimilarityMatrix

from ..parts.cells import CellNumbers
from ..parts.colours import ColourScale, ink_on, nonfinite_entries, scale_for
from ..parts.cursor import tell_under_cursor
from ..parts.inches import height_of, is_laid_out, room_for, width_of
from ..parts.row_labels import label_columns, label_rows, labels_width
from ..parts.style import Style
from ..parts.text import PLAIN, add_footer, footer_height, number, say_empty

_CELL = 0.2
_LEAST, _MOST = 2.2, 5.0
_MOST_WITH_NUMBERS = 12
_CELL_WITH_NUMBER = 0.36
_MOST_NAMED = 3
_BAR, _ABOVE, _LABEL, _LEAST_SIDE, _LINE = 0.6, 0.65, 0.25, 0.9, 0.15
"""Inches for the colour bar, for what stands above and below, for the label beside, of the matrix, and of a line."""


def size(view: SimilarityMatrix) -> tuple[float, float]:
    """Width and height in inches; larger for long names, which take some of it."""
    cell = _CELL_WITH_NUMBER if _has_numbers(view) else _CELL
    rows, columns = (min(max(cell * count, _LEAST), _MOST) for count in view.values.shape)
    width = columns + labels_width(_names(view.keys_a))
    below = footer_height([*nonfinite_entries(view.values), *_reasons(view)], width)
    return width, rows + labels_width(_names(view.keys_b)) + below


def scale(view: SimilarityMatrix, style: Style) -> ColourScale | None:
    """The colours; the same for all matrices."""
    return scale_for((0.0, 1.0), style) if view.values.size else None


def label(view: SimilarityMatrix) -> str:
    """What the colours are a scale of."""
    return "linear CKA"


def draw(ax: Axes, view: SimilarityMatrix, style: Style) -> None:
    """Draw layers of a down and layers of b across."""
    rows, columns = view.values.shape
    colours = scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, f"no values: {rows} × {columns}")
        return
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    picture = colours.rgba(view.values)
    image = ax.imshow(picture, extent=extent, aspect="auto", interpolation="antialiased")
    image.set_mouseover(False)
    tell_under_cursor(ax, partial(_describe, view))
    ax.grid(False)
    ax.minorticks_off()
    notes = [*nonfinite_entries(view.values), *_reasons(view)]
    width, across = _name_layers(ax, view, notes)
    ax.set_ylabel(f"a ({rows:,})", **PLAIN)
    ax.set_xlabel(f"b ({columns:,})", **PLAIN)
    if _has_numbers(view):
        _write_numbers(ax, view, picture)
    _hatch_undefined(ax, view.values)
    add_footer(ax, notes, width, -across / 2)


def _name_layers(ax: Axes, view: SimilarityMatrix, notes: Sequence[tuple[Any, str]]) -> tuple[float, float]:
    """Name rows and columns, or number them where names would leave too little of the matrix.

    Returns
    -------
    tuple of float
        The inches that there are across, and those that the names of rows take.
    """
    rows, columns = _names(view.keys_a), _names(view.keys_b)
    if not is_laid_out(ax):
        label_rows(ax, rows)
        label_columns(ax, columns)
        return width_of(ax), 0.0
    whole, high = room_for(ax)
    whole -= _BAR
    high -= _ABOVE + footer_height(notes, whole)
    across, down = labels_width(rows, width_of(ax)), labels_width(columns, height_of(ax))
    if min(whole - across, high - down) < _LEAST_SIDE:
        rows, columns = [str(n) for n in range(len(rows))], [str(n) for n in range(len(columns))]
        across, down = labels_width(rows), labels_width(columns)
    label_rows(ax, rows, max(high - down, _LINE))
    label_columns(ax, columns, max(whole - _LABEL - across, _LINE))
    return whole, across


def _hatch_undefined(ax: Axes, values: np.ndarray[Any, Any]) -> None:
    """Hatch the rows and columns without a number, which are not told by their colour alone."""
    rows, columns = values.shape
    is_nan = np.isnan(values)
    spans = [(-0.5, row - 0.5, columns, 1) for row in np.flatnonzero(is_nan.all(axis=1)).tolist()]
    if not is_nan.all():
        spans += [(column - 0.5, -0.5, 1, rows) for column in np.flatnonzero(is_nan.all(axis=0)).tolist()]
    for left, top, width, height in spans:
        ax.add_patch(
            Rectangle((left, top), width, height, fill=False, hatch="////", edgecolor="black", linewidth=0)
        )


def _reasons(view: SimilarityMatrix) -> Iterator[tuple[None, str]]:
    """Why there is no number, with the layers of which it is so."""
    by_reason: dict[str, list[str]] = {}
    for remark in view.undefined:
        by_reason.setdefault(remark.reason, []).append(f"{(remark.key or 'output')!r} of {remark.model}")
    for reason, layers in by_reason.items():
        more = f" and {len(layers) - _MOST_NAMED:,} more" if len(layers) > _MOST_NAMED else ""
        yield None, f"NaN: {', '.join(layers[:_MOST_NAMED])}{more}: {reason}"


def _names(keys: tuple[str, ...]) -> list[str]:
    return [key or "output" for key in keys]


def _has_numbers(view: SimilarityMatrix) -> bool:
    return bool(max(view.values.shape) <= _MOST_WITH_NUMBERS)


def _write_numbers(ax: Axes, view: SimilarityMatrix, picture: np.ndarray[Any, Any]) -> None:
    numbers = CellNumbers()
    for row, column in np.argwhere(np.isfinite(view.values)):
        value = float(view.values[row, column])
        numbers.add(ax, column, row, number(round(value, 2)), ink_on(picture[row, column, :3] / 255))
    ax.add_artist(numbers)


def _describe(view: SimilarityMatrix, x: float, y: float) -> str:
    """What lies under the cursor."""
    row, column = round(y), round(x)
    rows, columns = view.values.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return ""
    a, b = _names(view.keys_a)[row], _names(view.keys_b)[column]
    return f"{a} of a, {b} of b: {view.values[row, column]:.4g}"
