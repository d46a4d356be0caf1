"""Room around each Axes for what belongs to it, reckoned at once where matplotlib's own layouts look several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.transforms import Bbox, ScaledTranslation, blended_transform_factory

from .colour_bar import GAP, WIDTH, ColourBar
from .text import LINE, POINTS, text_width

_PAD = 0.05
_LEAST = 0.15
_MUCH = 0.1
_ABOVE_NOTES = 6 / POINTS
_SMALLEST, _ONE_LINE = 5.0, 1.05


class GridLayout(ConstrainedLayoutEngine):
    """Lays out a figure of views in a grid such that all of it is on the paper; others as constrained layout does.

    A title or a note wider than the Axes is moved aside where it would leave its part of the figure.
    """

    def execute(self, fig: Any) -> Any:
        """Give each Axes what the others and all around them leave, which hardly depends on its size."""
        panels = [ax for ax in fig.axes if not isinstance(ax, ColourBar)]
        if not _is_plain(fig, panels):
            return super().execute(fig)
        renderer = fig._get_renderer()
        before = np.array([ax.get_position(original=True).size for ax in panels])
        cells = _lay_out(fig, panels, renderer)
        after = np.array([ax.get_position(original=True).size for ax in panels])
        if (np.abs(after - before) > _MUCH * before).any():
            cells = _lay_out(fig, panels, renderer)  # of another size they may have other numbers
        for ax, cell in zip(panels, cells, strict=True):
            _keep_on_paper(fig, ax, renderer, cell)
        return None


def _is_plain(fig: Any, panels: Sequence[Any]) -> bool:
    """Whether a figure has views in one grid and around them no more than is known here."""
    specs = [ax.get_subplotspec() for ax in fig.axes]
    if not panels or fig.subfigs or fig.legends or not all(specs):
        return False
    return len({spec.get_gridspec() for spec in specs}) == 1 and all(map(_is_known, panels))


def _is_known(ax: Any) -> bool:
    bars = [isinstance(child, ColourBar) for child in ax.child_axes]
    is_bare = ax.get_legend() is None and not any(ax.get_title(side) for side in ("left", "right"))
    return is_bare and len(bars) < 2 and all(bars) and ax.get_subplotspec().num1 == ax.get_subplotspec().num2


@dataclass(frozen=True)
class _Side:
    """What stands along one side of an Axes, in inches: how far labels reach, and with the axis' own name."""

    labels: float
    reach: float


@dataclass(frozen=True)
class _Around:
    """The inches that an Axes needs on each side."""

    left: float
    right: float
    above: float
    below: float

    @classmethod
    def of(cls, fig: Any, ax: Any, renderer: Any) -> _Around:
        """Find them, and put the names of its axes beyond the numbers."""
        for axis in (ax.xaxis, ax.yaxis, *(bar.yaxis for bar in ax.child_axes)):
            axis.get_majorticklabels()  # which are written when they are asked for
        below, left = _side(ax.xaxis, "bottom"), _side(ax.yaxis, "left")
        above, right = _side(ax.xaxis, "top").reach, _side(ax.yaxis, "right").reach
        over_left, over_right = _overhang(ax, ax.get_window_extent(renderer).width / fig.dpi)
        for bar in ax.child_axes:
            right = _beside(bar)
        _place_name(fig, ax, ax.yaxis, -left.labels)
        _place_name(fig, ax, ax.xaxis, -below.labels)
        notes = [note for note in ax.artists if isinstance(note, AnnotationBbox)]
        bottom = below.reach
        if notes:
            named = below.reach - below.labels or ax.xaxis.labelpad / POINTS
            high = sum(note.get_window_extent(renderer).height / fig.dpi for note in notes)
            bottom = below.labels + named + high + _ABOVE_NOTES
        if ax.get_title():
            above += _height(ax.title) + float(ax.titleOffsetTrans.get_matrix()[1, 2]) / fig.dpi
        return cls(
            max(left.reach, over_left) + _PAD,
            max(right, over_right) + _PAD,
            max(above, _PAD) + _PAD,
            max(bottom, _PAD) + _PAD,
        )


def _lay_out(fig: Any, panels: Sequence[Any], renderer: Any) -> list[tuple[float, float]]:
    """Place all Axes; returns from where to where each has the figure for itself, in inches across."""
    width, height = fig.get_size_inches()
    around = [_Around.of(fig, ax, renderer) for ax in panels]
    places = [(ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start) for ax in panels]

    def most(side: str, axis: int) -> list[float]:
        found = [0.0] * (1 + max(place[axis] for place in places))
        for place, own in zip(places, around, strict=True):
            found[place[axis]] = max(found[place[axis]], getattr(own, side))
        return found

    common: list[Any] = [ax for ax in fig.axes if isinstance(ax, ColourBar)]
    for bar in common:
        bar.yaxis.get_majorticklabels()
    beside = max((_beside(bar) + _PAD for bar in common), default=0.0)
    title = _height(fig._suptitle) + _PAD if fig.get_suptitle() else 0.0
    across, after = _spans(most("left", 1), most("right", 1), 0.0, beside, width)
    down, _ = _spans(most("above", 0), most("below", 0), title, 0.0, height)
    for ax, (row, column) in zip(panels, places, strict=True):
        (x0, x1), (y0, y1) = across[column], down[row]
        # As constrained layout does it.
        ax._set_position(Bbox([[x0 / width, 1 - y1 / height], [x1 / width, 1 - y0 / height]]))
        ax.apply_aspect()
    if title:
        fig._suptitle.set_y(1 - _PAD / height)
    for bar in common:
        x0 = after[-1] + GAP
        bar._set_position(Bbox([[x0 / width, 0], [(x0 + WIDTH) / width, 1]]))
    for bar in (*common, *(bar for ax in panels for bar in ax.child_axes)):
        bar.apply_aspect(bar.get_axes_locator()(bar, renderer))
        bar.yaxis.get_majorticklabels()  # which are others where it is less high
        _place_name(fig, bar, bar.yaxis, WIDTH + _side(bar.yaxis, "right").labels)
        _keep_name_on_paper(fig, bar.yaxis, bar.get_window_extent(renderer))
    ends = [0.0, *after]
    return [(ends[column], ends[column + 1]) for _, column in places]


def _beside(bar: Any) -> float:
    """The inches that a colour bar needs beside an Axes."""
    return GAP + WIDTH + _side(bar.yaxis, "right").reach


def _spans(
    before: Sequence[float], behind: Sequence[float], first: float, last: float, whole: float
) -> tuple[list[tuple[float, float]], list[float]]:
    """Where equal parts of a length begin and end, with so much before and behind each; and where that ends."""
    margins = first + sum(before) + sum(behind) + last
    scale = min(1.0, (1 - _LEAST) * whole / margins)
    each, at = (whole - scale * margins) / len(before), scale * first
    spans, ends = [], []
    for own, next_own in zip(before, behind, strict=True):
        spans.append((at + scale * own, at + scale * own + each))
        at = spans[-1][1] + scale * next_own
        ends.append(at)
    return spans, ends


def _side(axis: Any, side: str) -> _Side:
    """How far what belongs to an axis reaches to one side."""
    labels = 0.0
    for tick in axis.get_major_ticks():
        text = tick.label2 if side in ("top", "right") else tick.label1
        if text.get_visible() and text.get_text():
            across = _height(text) if side in ("top", "bottom") else _width(text)
            labels = max(labels, across + (tick.get_pad() + tick.get_tick_padding()) / POINTS)
        if tick.tick2line.get_visible() if side in ("top", "right") else tick.tick1line.get_visible():
            labels = max(labels, tick.get_tick_padding() / POINTS)
    if axis.get_label_position() != side or not axis.get_label_text():
        return _Side(labels, labels)
    return _Side(labels, labels + axis.labelpad / POINTS + _lines(axis.label))


def _overhang(ax: Axes, width: float) -> tuple[float, float]:
    """How far the numbers below an Axes reach beyond its ends."""
    low, high = ax.get_xlim()
    left = right = 0.0
    for tick, place in zip(ax.xaxis.get_major_ticks(), ax.xaxis.get_majorticklocs(), strict=False):
        half, at = _width(tick.label1) / 2, (place - low) / (high - low) * width
        if 0 <= at <= width and tick.label1.get_visible():
            left, right = max(left, half - at), max(right, half - (width - at))
    return left, right


def _width(text: Any) -> float:
    """Inches across; of one that stands upright, of its lines."""
    return _lines(text) if text.get_rotation() == 90 else _length(text)


def _height(text: Any) -> float:
    return _length(text) if text.get_rotation() == 90 else _lines(text)


def _length(text: Any) -> float:
    font: FontProperties = text.get_fontproperties()
    return max(text_width(line, font) for line in text.get_text().split("\n"))


def _lines(text: Any) -> float:
    """Inches from the top of the first line to the bottom of the last, which have no air around them."""
    return float((_ONE_LINE + LINE * text.get_text().count("\n")) * text.get_size() / POINTS)


def _place_name(fig: Any, ax: Any, axis: Any, inches: float) -> None:
    """Put the name of an axis beyond its labels, for which matplotlib would look where they end."""
    pad = axis.labelpad / POINTS
    away = inches + (pad if inches > 0 else -pad)
    inch = fig.dpi_scale_trans + ScaledTranslation(0, 0, ax.transAxes)
    if axis.axis_name == "x":
        axis.set_label_coords(0.5, away, blended_transform_factory(ax.transAxes, inch))
    else:
        axis.set_label_coords(away, 0.5, blended_transform_factory(inch, ax.transAxes))


def _keep_on_paper(fig: Any, ax: Axes, renderer: Any, cell: tuple[float, float]) -> None:
    box, inch = ax.get_window_extent(renderer), fig.dpi
    edges = fig.bbox.x0 + (cell[0] + _PAD) * inch, fig.bbox.x0 + (cell[1] - _PAD) * inch
    for axis in (ax.xaxis, ax.yaxis):
        _keep_name_on_paper(fig, axis, box)
    ax.title.set_x(0.5)
    if ax.get_title():
        half = _length(ax.title) * inch / 2
        middle = (box.x0 + box.x1) / 2
        ax.title.set_x(0.5 + _aside(middle - half, middle + half, edges) / box.width)
    for note in ax.artists:
        if isinstance(note, AnnotationBbox):
            around = note.get_window_extent(renderer)
            x, y = note.xyann
            note.xyann = (x + _aside(around.x0, around.x1, edges) * POINTS / inch, y)


def _keep_name_on_paper(fig: Any, axis: Any, box: Bbox) -> None:
    """Make the name of an axis smaller, and move it along the axis, where it is longer than the figure."""
    if not axis.get_label_text():
        return
    along = "x" if axis.axis_name == "x" else "y"
    low, high = (getattr(fig.bbox, f"{along}{end}") / fig.dpi for end in (0, 1))
    first, last = (getattr(box, f"{along}{end}") / fig.dpi for end in (0, 1))
    room, needed = high - low - 2 * _PAD, _length(axis.label)
    if needed > room:
        axis.label.set_size(max(axis.label.get_size() * room / needed, _SMALLEST))
        needed = _length(axis.label)
    middle = (first + last) / 2
    aside = _aside(middle - needed / 2, middle + needed / 2, (low + _PAD, high - _PAD))
    x, y = axis.label.get_position()
    share = 0.5 + aside / (last - first)
    axis.label.set_position((share, y) if along == "x" else (x, share))


def _aside(first: float, last: float, edges: tuple[float, float]) -> float:
    """How far something is to be moved so that it lies between edges."""
    low, high = edges
    if last - first >= high - low:
        return (low + high - first - last) / 2
    return max(low - first, 0.0) + min(high - last, 0.0)
