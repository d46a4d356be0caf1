"""Pictures with captions and heat over them: a whole grid of them as one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.font_manager import FontProperties

from netviz_core.renderer_api import CamOverlay, MosaicLayout, Overlays, mosaic, squarest_grid

from ..parts.captions import PARTS, Captions
from ..parts.colours import ColourScale, nonfinite_entries
from ..parts.inches import height_of, width_below, width_of
from ..parts.mosaic_axes import label_tiles, show_mosaic
from ..parts.style import Style
from ..parts.text import LINE, POINTS, add_footer, say_empty, text_width

Array = np.ndarray[Any, Any]

_WIDEST, _HIGHEST = 6.6, 7.5
_LONGEST_ROW = 4
_MOST_ELONGATED = 6
_LEAST_PIXELS = 64
# A picture narrower than the first has no caption, one wider than the second a readable one.
_NARROWEST, _ROOMY = 0.45, 1.05
_SMALLEST, _LARGEST = 5.0, 8.5
# Where heat is lowest the picture is as it was; where it is highest some of it still shows.
_MOST_HEAT = 0.7
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Plan:
    """How the pictures of a view share a place.

    Parameters
    ----------
    layout : MosaicLayout
    captions : tuple of tuple of str
        The lines of each; none if there is no room for any.
    points : float
        The size of their letters.
    inches : tuple of float
        Width and height of one pixel of the layout.
    """

    layout: MosaicLayout
    captions: tuple[tuple[str, ...], ...]
    points: float
    inches: tuple[float, float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of all in inches."""
        high, wide = self.layout.shape
        return wide * self.inches[0], high * self.inches[1]

    @classmethod
    def of(cls, view: Overlays, width: float, height: float = inf) -> Plan:
        """Fit the pictures into so many inches, each with its caption if that leaves it large enough."""
        bare = cls._without_captions(view, width, height)
        pictures = bare.layout
        picture = pictures.tile[1] * bare.inches[0]
        if not any(view.captions) or picture < _NARROWEST:
            return bare
        points = min(max(_LARGEST * picture / _ROOMY, _SMALLEST), _LARGEST)
        captions = tuple(_lines(label, picture, points) for label in view.labels)
        strip = (max(map(len, captions)) + 0.4) * LINE * points / POINTS
        left = cls._without_captions(view, width, max(height - pictures.rows * strip, 1e-3))
        if left.layout.tile[1] * left.inches[0] < _NARROWEST:
            return bare
        layout = replace(pictures, above=ceil(strip / left.inches[1]))
        return cls(layout, captions, points, left.inches)

    @classmethod
    def _without_captions(cls, view: Overlays, width: float, height: float) -> Plan:
        layout = _layout(view)
        high, wide = layout.shape
        across, down = width / wide, height / high
        if _keeps_aspect(layout):
            across = down = min(across, down)
        elif down == inf:
            stretch = layout.width / layout.height
            down = across * stretch / (_MOST_ELONGATED if stretch > 1 else 1 / _MOST_ELONGATED)
        return cls(layout, (), _LARGEST, (across, down))


def size(view: Overlays) -> tuple[float, float]:
    """Width and height in inches: larger for more pictures, a page at most."""
    if not _shape(view)[0]:
        return 2.4, 2.4
    widest = min(1.4 + 1.6 * _layout(view).columns, _WIDEST)
    highest = Plan.of(view, widest).size[1]
    return Plan.of(view, widest * min(1.0, _HIGHEST / highest)).size


def scale(view: Overlays, style: Style) -> ColourScale | None:
    """The colours of the heat, if there is any."""
    if view.heat is None or not _shape(view)[0]:
        return None
    colours = _heat_colours(style)
    if view.images is None:
        return colours
    # As they look over a picture of middling grey: a reader finds them there, not the bare ones.
    levels = np.linspace(0, 1, 256)
    seen = _laid_over(np.full((256, 3), 0.5), levels, colours)
    return ColourScale(0.0, 1.0, ListedColormap(seen))


def label(view: Overlays) -> str:
    """What the heat is."""
    return view.value_label


def draw(ax: Axes, view: Overlays, style: Style, notes: Sequence[tuple[Any, str]] = ()) -> None:
    """Draw all pictures as one image with their captions, and `notes` below."""
    if not _shape(view)[0]:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no pictures to show")
        return
    plan = Plan.of(view, width_of(ax), height_of(ax))
    layout = plan.layout
    picture = mosaic(np.arange(layout.count), layout, partial(_painted, view, _heat_colours(style)))
    show_mosaic(ax, picture, layout, _keeps_aspect(layout), partial(_describe, view, layout))
    ax.set_facecolor("none")
    if plan.captions:
        ax.set(xticks=[], yticks=[])
        ax.add_artist(Captions(layout, plan.captions, plan.points))
    else:
        label_tiles(ax, "picture", layout)
    add_footer(ax, [*_notes(view, plan), *notes], width_below(ax))


def _shape(view: Overlays) -> tuple[int, int, int]:
    """How many pictures there are, and how high and wide each is; none if they have no pixels."""
    shown = view.images if view.images is not None else view.heat
    if shown is None or shown.size == 0:
        return 0, 0, 0
    count, height, width = shown.shape[:3]
    return count, height, width


def _layout(view: Overlays) -> MosaicLayout:
    count, height, width = _shape(view)
    if count <= _LONGEST_ROW and width <= 2 * height:
        grid = (1, count)
    else:
        # A caption takes about a fifth of a picture's height.
        grid = squarest_grid(count, 6 * max(height, width // _MOST_ELONGATED), 5 * width)
    return MosaicLayout.of(count, height, width, grid, _LEAST_PIXELS)


def _keeps_aspect(layout: MosaicLayout) -> bool:
    """Whether pixels can be square; a picture much longer than wide would be a mere line."""
    return 1 / _MOST_ELONGATED <= layout.width / layout.height <= _MOST_ELONGATED


def _lines(caption: str, width: float, points: float) -> tuple[str, ...]:
    """The lines of a caption; where letters have their full size, long ones are broken between parts."""
    lines = caption.splitlines()
    if points < _LARGEST:
        return tuple(lines)
    font = FontProperties(size=points)
    return tuple(
        piece
        for line in lines
        for piece in ([line] if text_width(line, font) <= width else line.replace(PARTS, " /\n").splitlines())
    )


def _heat_colours(style: Style) -> ColourScale:
    return ColourScale(0.0, 1.0, style.colormap("plasma"))


def _painted(view: Overlays, colours: ColourScale, numbers: Array) -> Array:
    """The pictures of these numbers with heat over them: ``(n, y, x, 4)``, uint8."""
    heat = None if view.heat is None else view.heat[numbers]
    if view.images is None:
        assert heat is not None, "a view without pictures has heat"
        return colours.rgba(heat)
    picture = np.clip(np.nan_to_num(view.images[numbers]), 0, 1)
    painted = np.full((*picture.shape[:3], 4), 255, np.uint8)
    painted[..., :3] = np.round(255 * (picture if heat is None else _laid_over(picture, heat, colours)))
    return painted


def _laid_over(picture: Array, heat: Array, colours: ColourScale) -> Array:
    """The picture where there is little heat, mostly the heat where there is much.

    As the hues of the heat come those of the picture go, so that heat is read off its colour bar over any picture.
    """
    level = np.where(np.isfinite(heat), np.clip(heat, 0, 1), 1)[..., np.newaxis]
    share = np.where(np.isfinite(heat)[..., np.newaxis], _MOST_HEAT * level, 1)
    grey = (picture @ _LUMINANCE)[..., np.newaxis] if picture.shape[-1] == 3 else picture
    blended: Array = (1 - share) * (picture + level * (grey - picture)) + share * (
        colours.rgba(heat)[..., :3] / 255
    )
    return blended


def _notes(view: Overlays, plan: Plan) -> list[tuple[Any, str]]:
    notes: list[tuple[Any, str]] = [] if view.heat is None else [*nonfinite_entries(view.heat)]
    if any(view.captions) and not plan.captions:
        notes.append((None, "too many pictures for captions"))
    elif isinstance(view, CamOverlay):
        has_shares = any(share is not None for share in view.shares)
        if has_shares or any(caption[:1].isdigit() for caption in view.captions):
            notes.append((None, f"above each picture: its class{' / its probability' * has_shares}"))
    return notes


def _describe(view: Overlays, layout: MosaicLayout, x: float, y: float) -> str:
    """What lies under the cursor."""
    found = layout.locate(y, x)
    if found is None:
        return ""
    place = "picture {}, y={}, x={}".format(*found)
    return place if view.heat is None else f"{place}: {view.heat[found]:.4g}"
