"""Many histograms at once: a row for each, as dark as its share of the values."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from netviz_core.renderer_api import NAN_COLOUR, POSITIVE_INFINITY_COLOUR, HistogramRows

from ..parts.colours import ColourScale
from ..parts.inches import width_below
from ..parts.row_labels import label_rows, labels_width
from ..parts.style import Style
from ..parts.text import PLAIN, add_footer, say_empty
from ..parts.ticks import fit_ticks
from ..parts.units import axis_exponent, axis_label, in_unit

_WIDTH = 4.6
_ROW_HEIGHT, _LEAST_HEIGHT, _MOST_HEIGHT = 0.2, 1.2, 7.0


def size(view: HistogramRows) -> tuple[float, float]:
    """Width and height in inches."""
    height = min(max(_ROW_HEIGHT * len(view.labels), _LEAST_HEIGHT), _MOST_HEIGHT)
    return _WIDTH + 0.6 * labels_width(view.labels), height


def scale(view: HistogramRows, style: Style) -> ColourScale | None:
    """The colours, from none of a row's values to the largest share of any; roots, so that rare values show."""
    shares = _shares(view)
    if not shares.any():
        return None
    return ColourScale(0.0, float(shares.max()), style.colormap("Blues"), np.sqrt)


def label(view: HistogramRows) -> str:
    """What the colour bar is a scale of."""
    return "share of row"


def draw(ax: Axes, view: HistogramRows, style: Style) -> None:
    """Draw one row for each histogram, from the top."""
    exponent = axis_exponent(float(view.edges[0]), float(view.edges[-1]))
    ax.set_xlabel(axis_label(view.value_label, exponent), **PLAIN)
    colours = scale(view, style)
    if colours is None:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no finite values")
        return
    edges = in_unit(view.edges, exponent)
    rows = len(view.labels)
    mesh = ax.pcolormesh(edges, np.arange(rows + 1) - 0.5, colours.rgba(_shares(view)), rasterized=True)
    mesh.set_mouseover(False)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.grid(False)
    ax.minorticks_off()
    ax.tick_params(labelsize="small", axis="x")
    fit_ticks(ax.xaxis)
    label_rows(ax, view.labels)
    add_footer(ax, _nonfinite(view), width_below(ax))


def _shares(view: HistogramRows) -> np.ndarray:
    totals = view.counts.sum(axis=1, keepdims=True)
    shares: np.ndarray = view.counts / np.maximum(totals, 1)
    return shares


def _nonfinite(view: HistogramRows) -> list[tuple[str | None, str]]:
    counted = (
        (NAN_COLOUR, "NaN", view.nan_counts),
        (POSITIVE_INFINITY_COLOUR, "infinite", view.inf_counts),
        (None, "beyond the edges", view.outside_counts),
    )
    return [
        (colour, f"{int(counts.sum()):,} {name} in {_rows(int((counts > 0).sum()))}")
        for colour, name, counts in counted
        if counts.any()
    ]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
