"""An Axes that holds a mosaic: the picture itself, and the numbers of its tiles."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from netviz_core.renderer_api import MosaicLayout, TilePlan

from .colours import ink_on
from .cursor import tell_under_cursor
from .inches import height_of, width_of
from .mosaic_image import MosaicImage
from .text import PLAIN
from .ticks import label_axis


def show_mosaic(
    ax: Axes, picture: Any, layout: MosaicLayout, keeps_aspect: bool, describe: Callable[[float, float], str]
) -> None:
    """Lay a mosaic into an Axes, in the coordinates of its layout; `describe` says what is under the cursor."""
    high, wide = layout.shape
    image = MosaicImage(ax, layout, extent=(0, wide, high, 0), origin="upper", interpolation="antialiased")
    image.set_data(picture)
    image.set_clip_path(ax.patch)
    ax.add_image(image)
    ax.set_aspect("equal" if keeps_aspect else "auto")
    ax.set(xlim=(0, wide), ylim=(high, 0))
    image.set_mouseover(False)
    tell_under_cursor(ax, describe)
    if matplotlib.rcParams["axes.grid"]:
        ax.grid(False)  # which makes ticks that nobody needs
    ax.spines[:].set_visible(False)


def label_tiles(ax: Axes, tile_label: str, layout: MosaicLayout) -> None:
    """Say the number of each row's first tile, and how much further each column is."""
    ax.minorticks_off()
    ax.tick_params(length=0, labelsize="small")
    several_rows, several_columns = layout.rows > 1, layout.columns > 1
    rows = some(layout.rows, height_of(ax) / 0.22) if several_rows else ()
    columns = some(layout.columns, width_of(ax) / 0.4) if several_columns else ()
    sign = "+" if several_rows else ""
    label_axis(ax.yaxis, {layout.centre(row, 0)[0]: str(row * layout.columns) for row in rows})
    label_axis(ax.xaxis, {layout.centre(0, column)[1]: f"{sign}{column}" for column in columns})
    if several_rows:
        ax.set_ylabel(tile_label, **PLAIN)
    elif several_columns:
        ax.set_xlabel(tile_label, **PLAIN)


def label_axes(ax: Axes, plan: TilePlan) -> None:
    """Number the entries of the first axis down and those of the others across; lines part what belongs together."""
    ax.minorticks_off()
    ax.tick_params(length=0, labelsize="small")
    layout, group = plan.layout, plan.view.group
    (first, _), (second, seconds), *rest = plan.view.axes
    downs, acrosses, *_ = plan.entries
    inner, groups = group // seconds, max(layout.columns // group, 1)
    high, wide = height_of(ax) / 0.22, width_of(ax) / 0.4
    ax.set_ylabel(first, **PLAIN)
    rows = some(layout.rows, high)
    label_axis(ax.yaxis, {layout.centre(row, 0)[0]: str(downs[row * groups]) for row in rows})
    each = "".join(f", each with {length:,} {axis}" for axis, length in rest)
    if groups == 1:
        shown = some(min(seconds, -(-layout.columns // inner)), wide)
        label_axis(ax.xaxis, {_middle(layout, n * inner, inner): str(acrosses[n]) for n in shown})
        ax.set_xlabel(second + each, **PLAIN)
        step = inner
    else:
        shown = some(groups, wide) if plan.is_whole else range(0)
        label_axis(ax.xaxis, {_middle(layout, n * group, group): f"+{n}" for n in shown})
        ax.set_xlabel(f"{first}, each with {seconds:,} {second}{each}", **PLAIN)
        step = group
    if step > 1:
        for column in range(step, layout.columns, step):
            ax.axvline(
                column * layout.pitch[1] - layout.gap / 2,
                color=ink_on(ax.get_facecolor()),
                linewidth=0.8,
            )


def _middle(layout: MosaicLayout, first: int, count: int) -> float:
    last = min(first + count, layout.columns) - 1
    return (layout.centre(0, first)[1] + layout.centre(0, last)[1]) / 2


def some(count: int, most: float) -> range:
    """Every, or every second, fifth, tenth …, of `count` numbers: at most ten, and at most `most`."""
    steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    return range(0, count, next(step for step in steps if count <= step * max(min(most, 10), 2)))
