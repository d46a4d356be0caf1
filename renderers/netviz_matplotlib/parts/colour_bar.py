"""A colour bar as high as what it explains, whatever the aspect of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.transforms import Bbox

from .colours import ColourScale
from .inches import figure_of
from .ticks import round_ticks, tick_text
from .units import axis_exponent, axis_label, in_unit

WIDTH = 0.12
GAP = 0.1
_APART, _SMALLEST_TICK = 0.14, 1e-4


def add_colour_bar(axes: Sequence[Axes], scale: ColourScale, label: str) -> None:
    """Draw a colour bar to the right of `axes`, which lie on one figure and keep their size."""
    owner = max(axes, key=lambda ax: (ax.get_position().x1, ax.get_position().y1))
    place = owner.inset_axes((1, 0, 0.1, 1))
    place.set_axes_locator(partial(_beside, tuple(axes)))
    _fill(place, scale, label)


def fill_colour_bar(place: Axes, axes: Sequence[Axes], scale: ColourScale, label: str) -> None:
    """Make an Axes that stands to the right of `axes` their colour bar, as high as they are."""
    place.set_axes_locator(partial(_as_high_as, tuple(axes)))
    _fill(place, scale, label)


def _fill(place: Axes, scale: ColourScale, label: str) -> None:
    if scale.transform is None:
        exponent = axis_exponent(scale.low, scale.high)
        norm = Normalize(in_unit(scale.low, exponent), in_unit(scale.high, exponent))
    else:
        exponent = 0
        norm = Normalize(scale.transform(scale.low), scale.transform(scale.high))
    bar = figure_of(place).colorbar(ScalarMappable(norm, scale.colormap), cax=place)
    if scale.transform is not None:
        _say_true_values(bar, scale, scale.transform)
    bar.set_label(axis_label(label, exponent), parse_math=False)
    bar.ax.tick_params(labelsize="small")


def _say_true_values(bar: Colorbar, scale: ColourScale, transform: Callable[[Any], Any]) -> None:
    """Number a bar whose colours are an even scale of something else."""
    smallest = max(_SMALLEST_TICK * scale.high, 5e-324)
    apart = _APART * (transform(scale.high) - transform(scale.low))
    ticks = round_ticks(scale.low, scale.high, smallest, transform, apart)
    bar.set_ticks([transform(tick) for tick in ticks], labels=[tick_text(tick) for tick in ticks])
    bar.ax.minorticks_off()


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
