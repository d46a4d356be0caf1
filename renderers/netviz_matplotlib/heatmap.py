"""A matrix, every number in its place."""

from __future__ import annotations

from functools import partial

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from netviz_core.views.heatmap import Heatmap

from .colours import ColourScale, nonfinite_entries, scale_for
from .inches import width_of
from .style import Style
from .text import PLAIN, add_footer, say_empty

_WIDTH = 4.8
_LEAST_HEIGHT, _MOST_HEIGHT = 1.6, 4.8
_VECTOR_HEIGHT = 0.6


def size(view: Heatmap) -> tuple[float, float]:
    """Width and height in inches: square values where the shape allows, never a mere line."""
    rows, columns = view.values.shape
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
    rows, columns = view.values.shape
    ax.set_xlabel(_axis_label(view.column_axis, columns), **PLAIN)
    colours = scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, f"no values: {rows} × {columns}")
        return
    picture = colours.rgba(view.values)
    image = ax.imshow(picture, origin="upper", aspect="auto", interpolation="antialiased")
    image.set_mouseover(False)
    ax.format_coord = partial(_describe, view)  # type: ignore[method-assign]
    ax.grid(False)
    ax.minorticks_off()
    ax.tick_params(labelsize="small")
    _number(ax.xaxis, columns)
    if rows > 1:
        _number(ax.yaxis, rows)
        ax.set_ylabel(_axis_label(view.row_axis, rows), **PLAIN)
    else:
        ax.set_yticks([])
    add_footer(ax, nonfinite_entries(view.values), width_of(ax))


def _number(axis: Axis, count: int) -> None:
    if count > 1:
        axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    else:
        axis.set_ticks([0])


def _axis_label(axis: str, count: int) -> str:
    return f"{axis} ({count:,})" if axis else ""


def _describe(view: Heatmap, x: float, y: float) -> str:
    """What lies under the cursor."""
    row, column = round(y), round(x)
    if not (0 <= row < view.values.shape[0] and 0 <= column < view.values.shape[1]):
        return ""
    place = f"{view.row_axis or 'row'} {row}, {view.column_axis or 'column'} {column}"
    return f"{place}: {view.values[row, column]:.4g}"
