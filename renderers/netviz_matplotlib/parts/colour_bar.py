"""A colour bar as high as what it explains, whatever the aspect of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from .colours import ColourScale
from .inches import figure_of
from .text import PLAIN
from .ticks import fit_ticks, label_axis, round_ticks, tick_text
from .units import axis_exponent, axis_label, in_unit

WIDTH = 0.12
GAP = 0.1
_APART, _SMALLEST_TICK, _MOST_STEPS = 0.14, 1e-4, 4


class ColourBar(Axes):
    """An Axes with all colours of a scale, and their numbers to the right; matplotlib's own takes three times as long.

    Attributes
    ----------
    scale : ColourScale
    """

    scale: ColourScale


def add_colour_bar(axes: Sequence[Axes], scale: ColourScale, label: str) -> None:
    """Draw a colour bar to the right of `axes`, which lie on one figure and keep their size."""
    owner = max(axes, key=lambda ax: (ax.get_position().x1, ax.get_position().y1))
    place: Any = owner.inset_axes((1, 0, 0.1, 1), axes_class=ColourBar)
    place.set_axes_locator(partial(_beside, tuple(axes)))
    _fill(place, scale, label)


def fill_colour_bar(place: ColourBar, axes: Sequence[Axes], scale: ColourScale, label: str) -> None:
    """Make an Axes that stands to the right of `axes` their colour bar, as high as they are."""
    place.set_axes_locator(partial(_as_high_as, tuple(axes)))
    _fill(place, scale, label)


def _fill(place: ColourBar, scale: ColourScale, label: str) -> None:
    exponent = 0 if scale.transform else axis_exponent(scale.low, scale.high)
    to_axis = scale.transform or partial(in_unit, exponent=exponent)
    low, high = (float(to_axis(end)) for end in (scale.low, scale.high))
    place.scale = scale
    place.xaxis.set_visible(False)
    colours = scale.palette[:, np.newaxis]
    image = place.imshow(
        colours, extent=(0, 1, low, high), origin="lower", aspect="auto", interpolation="nearest"
    )
    image.set_mouseover(False)
    place.grid(False)
    place.yaxis.tick_right()
    place.yaxis.set_label_position("right")
    place.tick_params(labelsize="small")
    place.minorticks_off()
    if scale.transform is None:
        fit_ticks(place.yaxis, most=_MOST_STEPS)
    else:
        # Colours are an even scale of something else: true values are said.
        smallest = max(_SMALLEST_TICK * scale.high, 5e-324)
        ticks = round_ticks(scale.low, scale.high, smallest, scale.transform, _APART * (high - low))
        label_axis(place.yaxis, {float(scale.transform(tick)): tick_text(tick) for tick in ticks})
    place.set_ylabel(axis_label(label, exponent), **PLAIN)


def _beside(axes: Sequence[Axes], place: Axes, renderer: Any) -> Bbox:
    """Where an added bar lies, found anew for each drawing, in fractions of the figure."""
    boxes = _around(axes, renderer)
    # Positions are fractions of the innermost figure, which may be a part of the whole.
    inch = figure_of(place).dpi / place.figure.bbox.width
    return Bbox.from_bounds(boxes.x1 + GAP * inch, boxes.y0, WIDTH * inch, boxes.height)


def _as_high_as(axes: Sequence[Axes], place: Axes, renderer: Any) -> Bbox:
    boxes, own = _around(axes, renderer), place.get_position(original=True)
    return Bbox.from_bounds(own.x0, boxes.y0, own.width, boxes.height)


def _around(axes: Sequence[Axes], renderer: Any) -> Bbox:
    return Bbox.union([_box(ax, renderer) for ax in axes])


def _box(ax: Axes, renderer: Any) -> Bbox:
    locator: Any = ax.get_axes_locator()
    ax.apply_aspect(locator(ax, renderer) if locator else None)
    return ax.get_position()
