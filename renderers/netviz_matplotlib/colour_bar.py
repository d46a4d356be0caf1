"""A colour bar as high as what it explains, whatever the aspect of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.transforms import Bbox

from .colours import ColourScale
from .units import axis_exponent, axis_label

WIDTH = 0.12
GAP = 0.1


def add_colour_bar(axes: Sequence[Axes], scale: ColourScale, label: str) -> None:
    """Draw one colour bar to the right of all `axes`, which lie on one figure."""
    owner = max(axes, key=lambda ax: (ax.get_position().x1, ax.get_position().y1))
    place = owner.inset_axes((1, 0, 0.1, 1))
    place.set_axes_locator(partial(_beside, tuple(axes)))
    exponent = axis_exponent(scale.low, scale.high)
    norm = Normalize(scale.low / 10.0**exponent, scale.high / 10.0**exponent)
    bar = owner.get_figure(root=True).colorbar(ScalarMappable(norm, scale.colormap), cax=place)
    bar.set_label(axis_label(label, exponent), parse_math=False)
    bar.ax.tick_params(labelsize="small")


def _beside(axes: Sequence[Axes], place: Axes, renderer: Any) -> Bbox:
    """Where the bar lies, found anew for each drawing, in fractions of the figure."""
    boxes = Bbox.union([_box(ax, renderer) for ax in axes])
    figure = place.get_figure(root=False)
    inch = figure.get_figure(root=True).dpi / figure.bbox.width
    return Bbox.from_bounds(boxes.x1 + GAP * inch, boxes.y0, WIDTH * inch, boxes.height)


def _box(ax: Axes, renderer: Any) -> Bbox:
    locator = ax.get_axes_locator()
    ax.apply_aspect(locator(ax, renderer) if locator else None)
    return ax.get_position()
