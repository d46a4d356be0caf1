"""A matrix, every number in its place."""

from __future__ import annotations

from functools import partial

from matplotlib.axes import Axes
from matplotlib.axis import Axis

from netviz_core.renderer_api import NAN_COLOUR, POSITIVE_INFINITY_COLOUR, Heatmap

from ..parts.colours import ColourScale, clipped_entries, nonfinite_entries, scale_for
from ..parts.cursor import tell_under_cursor
from ..parts.inches import width_below
from ..parts.style import Style
from ..parts.text import PLAIN, add_footer, say_empty
from ..parts.ticks import fit_ticks

_WIDTH = 4.8
_LEAST_HEIGHT, _MOST_HEIGHT = 1.6, 4.8
_VECTOR_HEIGHT = 0.6
_MOST_GROUP_LABELS = 8
_BOUNDARY = "0.15"


def size(view: Heatmap) -> tuple[float, float]:
    """Width and height in inches: square values where the shape allows, never a mere line."""
    rows, columns = view.full_shape
    if rows == 1:
        return _WIDTH, _VECTOR_HEIGHT
    return _WIDTH, min(max(_WIDTH * rows / max(columns, 1), _LEAST_HEIGHT), _MOST_HEIGHT)


def scale(view: Heatmap, style: Style) -> ColourScale | None:
    """The colours."""
    return scale_for(view.limits, style) if view.values.size else None


def label(view: Heatmap) -> str:
    """What the colour bar is a scale of."""
    return view.value_label


def draw(ax: Axes, view: Heatmap, style: Style) -> None:
    """Draw rows down and columns across."""
    rows, columns = view.full_shape
    ax.set_xlabel(_axis_label(view.column_axis, columns), **PLAIN)
    colours = scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, f"no values: {rows} × {columns}")
        return
    picture = colours.rgba(view.values)
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    image = ax.imshow(picture, extent=extent, origin="upper", aspect="auto", interpolation="antialiased")
    image.set_mouseover(False)
    tell_under_cursor(ax, partial(_describe, view))
    ax.grid(False)
    ax.minorticks_off()
    ax.tick_params(labelsize="small")
    _number(ax.xaxis, columns, view.column_groups)
    if rows > 1:
        _number(ax.yaxis, rows, view.row_groups)
        ax.set_ylabel(_axis_label(view.row_axis, rows), **PLAIN)
    else:
        ax.set_yticks([])
    for edge in _boundaries(rows, view.row_groups):
        ax.axhline(edge, color=_BOUNDARY, linewidth=0.8)
    for edge in _boundaries(columns, view.column_groups):
        ax.axvline(edge, color=_BOUNDARY, linewidth=0.8)
    add_footer(ax, [*clipped_entries(view.values, style.limits), *_nonfinite(view)], width_below(ax))


def _nonfinite(view: Heatmap) -> list[tuple[str, str]]:
    """What is not finite, counted in the weight itself where blocks of it are shown."""
    if view.shape is None:
        return nonfinite_entries(view.values)
    counts = ((NAN_COLOUR, view.nan_count, "NaN"), (POSITIVE_INFINITY_COLOUR, view.inf_count, "infinite"))
    return [(colour, f"{count:,} {name}") for colour, count, name in counts if count]


def _number(axis: Axis, count: int, groups: tuple[str, ...]) -> None:
    """Name the groups, where there are some, else number the entries."""
    if groups:
        size, every = count / len(groups), -(-len(groups) // _MOST_GROUP_LABELS)
        centres = [size * (index + 0.5) - 0.5 for index in range(len(groups))]
        axis.set_ticks(centres[::every], groups[::every])
    elif count > 1:
        fit_ticks(axis, integer=True)
        axis.set_major_formatter("{x:.0f}")  # as shapes are written in titles
    else:
        axis.set_ticks([0])


def _boundaries(count: int, groups: tuple[str, ...]) -> list[float]:
    """Where one group ends and the next begins."""
    return [index * count / len(groups) - 0.5 for index in range(1, len(groups))]


def _axis_label(axis: str, count: int) -> str:
    return f"{axis} ({count})" if axis else ""


def _describe(view: Heatmap, x: float, y: float) -> str:
    """What lies under the cursor."""
    rows, columns = view.full_shape
    row, column = round(y), round(x)
    if not (0 <= row < rows and 0 <= column < columns):
        return ""
    shown_rows, shown_columns = view.values.shape
    value = view.values[row * shown_rows // rows, column * shown_columns // columns]
    place = f"{view.row_axis or 'row'} {row}, {view.column_axis or 'column'} {column}"
    return f"{place}: {value:.4g}" if view.shape is None else f"around {place}: {value:.4g}"
