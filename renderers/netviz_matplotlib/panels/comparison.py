"""Two models layer by layer: how far apart what they returned is, what is tolerated, and where they first differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from netviz_core.renderer_api import Comparison, LayerPair, meaning_of, printable, short_names, side_words

from ..parts.cursor import tell_under_cursor
from ..parts.inches import height_of, is_laid_out, room_for, width_of
from ..parts.powers import LABEL_LINE, TICK_APART, Powers, mark_break
from ..parts.row_labels import label_columns, labels_width
from ..parts.status_marks import FAULT, draw_mark, draw_marks, key_of, marked_together
from ..parts.style import Style
from ..parts.text import (
    HINTED,
    PLAIN,
    add_footer,
    footer_height,
    longest_that_fits,
    ruler,
    say_empty,
    text_width,
    wrapped,
)

Array = np.ndarray[Any, Any]

_PER_PAIR, _LEAST_WIDTH, _MOST_WIDTH = 0.2, 3.8, 7.0
_HEIGHT, _LEAST_PLANE, _AROUND, _BESIDE = 2.3, 1.2, 0.75, 0.7
_GIVEN, _MOST_WITH_GIVEN = "0.5", 18
"""The colour of what layers were given, and how many an inch of that there may be."""

_WHISKER = Path(
    [(0.0, 1.0), (0.0, -1.0), (-0.6, -1.0), (0.6, -1.0)], [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO]
)
_FAINT, _MOST_BELOW, _MOST_NUMBERS = 0.07, 0.45, 4
_ERROR = "max |a − b| / (rms + |b|)"
_MOST_LEVELS, _MOST_ABOVE = 4, 0.4
_LABEL_GAP, _LONGEST_LABEL = 0.08, 28


def size(view: Comparison) -> tuple[float, float]:
    """Width and height in inches; higher for long names and a long legend, which take some of it."""
    width = min(max(_PER_PAIR * len(view.pairs), _LEAST_WIDTH), _MOST_WIDTH)
    together = marked_together([pair.status for pair in view.pairs], width)
    return width, _HEIGHT + labels_width(_names(view)) + footer_height(
        list(_legend(view, True, together, 0)), width
    )


def scale(view: Comparison, style: Style) -> None:
    """The colours are explained below."""


def label(view: Comparison) -> str:
    """There is no colour bar to be labelled."""
    return ""


def draw(ax: Axes, view: Comparison, style: Style) -> None:
    """Draw pairs of layers across, in order, and errors up."""
    if not view.pairs:
        ax.set(xticks=[], yticks=[])
        say_empty(ax, "no pair of layers")
        return
    errors, given, tolerances = (
        np.array([getattr(pair, name) for pair in view.pairs], np.float64)
        for name in ("error", "given_error", "tolerance")
    )
    width = room_for(ax)[0] if is_laid_out(ax) else width_of(ax)
    beside = _BESIDE if is_laid_out(ax) else 0.0
    shows_given = len(view.pairs) <= _MOST_WITH_GIVEN * (width - beside)
    axis = Powers.of(np.concatenate([errors, tolerances, *([given] if shows_given else [])]))
    statuses = [pair.status for pair in view.pairs]
    together = marked_together(statuses, width - beside)
    legend = partial(_legend, view, shows_given and bool(np.isfinite(given).any()), together)
    if is_laid_out(ax) and footer_height(list(legend(1)), width) > _MOST_BELOW * room_for(ax)[1]:
        legend = partial(legend, explains=False)
    height = _name_layers(ax, view, footer_height(list(legend(len(view.faults))), width))
    most_levels = max(int(_MOST_ABOVE * height / LABEL_LINE), 1)
    labels, unnamed = _labels(view, width - beside, most_levels)
    levels = 1 + max((one.level for one in labels), default=0)
    _draw_axis(ax, axis, errors, given if shows_given else np.zeros(0), levels * LABEL_LINE, height)
    _draw_tolerance(ax, axis, tolerances, together)
    if shows_given:
        _draw_given(ax, axis, given, errors)
    draw_marks(ax, axis.places(errors), errors, statuses, together, view.first_number)
    _name_faults(ax, axis, view, labels, errors, height)
    _ring_first(ax, axis, view)
    ax.set_xlabel(f"layers of {printable(side_words(view.names[0]))}, in order", **PLAIN)
    tell_under_cursor(ax, partial(_describe, view))
    add_footer(ax, list(legend(unnamed)), width, -beside / 2)


def _name_layers(ax: Axes, view: Comparison, below: float) -> float:
    """Name layers below the plane, or number them if too little of it would be left; returns how high it will be."""
    label_columns(ax, _names(view))
    if not is_laid_out(ax):
        return height_of(ax)
    font = FontProperties(size="x-small")
    longest = max(text_width(label.get_text(), font) for label in ax.get_xticklabels())
    room = room_for(ax)[1] - _AROUND - below
    if room - longest >= _LEAST_PLANE:
        return room - longest
    count = len(view.pairs)
    ticks = MaxNLocator(_MOST_NUMBERS, integer=True).tick_values(0, count - 1)
    numbers = [number for number in dict.fromkeys(map(int, ticks)) if 0 <= number < count]
    ax.set_xticks(numbers, [f"{number:,}" for number in numbers])
    ax.tick_params(axis="x", labelsize="x-small", labelrotation=0)
    return max(room - LABEL_LINE, _LEAST_PLANE / 2)


def _names(view: Comparison) -> list[str]:
    return [printable(pair.path_a or "output") for pair in view.pairs]


def _draw_axis(ax: Axes, axis: Powers, errors: Array, given: Array, above: float, height: float) -> None:
    """The y axis, so many inches high, with so many of them for labels above all."""
    count = len(errors)
    special = dict[float, str]()
    if (errors == 0).any() or (given == 0).any():
        special[axis.zero] = "0"
        mark_break(ax, (axis.zero + axis.low) / 2)
    if not np.isfinite(errors).all() or np.isinf(given).any():
        special[axis.infinity] = "∞"
        mark_break(ax, (axis.infinity + axis.high) / 2)
    ticks = axis.ticks(max(height - above, TICK_APART), special)
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()
    edge = 0.06 * (axis.high - axis.low)
    low, high = min(*ticks, axis.low) - edge, max(*ticks, axis.high) + edge
    ax.set_ylim(low, low + (high - low) / (1 - min(above / height, 0.6)))
    ax.set_xlim(-0.5 - 0.01 * count, count - 0.5 + 0.01 * count)
    font = FontProperties(size=matplotlib.rcParams["axes.labelsize"])
    ax.set_ylabel(wrapped(_ERROR, lambda line: text_width(line, font) <= max(height, _LEAST_PLANE)), **PLAIN)
    ax.tick_params(axis="y", labelsize="small")
    ax.grid(False)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_tolerance(ax: Axes, axis: Powers, tolerances: Array, together: int) -> None:
    """A line, with steps where pairs differ in what is tolerated, and a faint ground below it.

    Of layers that share a mark it is the least that is tolerated.
    """
    ink = matplotlib.rcParams["text.color"]
    starts = np.arange(0, len(tolerances), together)
    least = np.minimum.reduceat(tolerances, starts)
    places = np.where(least > 0, axis.places(np.maximum(least, 0)), np.nan)
    edges = np.append(starts, len(tolerances)) - 0.5
    ax.stairs(places, edges, baseline=None, color=ink, linewidth=1.0, linestyle="--", zorder=1)
    ax.fill_between(
        np.repeat(edges, 2)[1:-1], ax.get_ylim()[0], np.repeat(places, 2), color=ink, alpha=_FAINT, linewidth=0,
        zorder=0,
    )  # fmt: skip


def _draw_given(ax: Axes, axis: Powers, given: Array, errors: Array) -> None:
    """From what layers were given to what they made of it."""
    known = np.flatnonzero(~np.isnan(given))
    low, high = axis.places(given[known]), axis.places(errors[known])
    ax.vlines(known, low, high, color=_GIVEN, linewidth=0.8, zorder=1.5)
    ax.plot(known, low, linestyle="none", marker="_", color=_GIVEN, markersize=5, zorder=1.5)


@dataclass(frozen=True)
class _Label:
    """The name of a fault above the plane.

    Parameters
    ----------
    place : float
        Across.
    text : str
    is_left : bool
        Whether its place is at its left end.
    level : int
        In which line from above.
    """

    place: float
    text: str
    is_left: bool
    level: int


def _labels(view: Comparison, width: float, levels: int) -> tuple[list[_Label], int]:
    """The names of the faults for which there is room, the first before all, and how many others there are."""
    count, measure = len(view.pairs), ruler(FontProperties(size="small"))
    inch = width / max(count, 1)
    taken: list[list[tuple[float, float]]] = [[] for _ in range(min(levels, _MOST_LEVELS))]
    labels, unnamed = list[_Label](), 0
    for place, version, most in _faults(view):
        x = (place + 0.5) * inch
        is_left = x < width / 2
        room = max(x, width - x) - _LABEL_GAP

        def fits(words: str, room: float = room) -> bool:
            return HINTED * measure(words) <= room

        text = longest_that_fits(version, most, fits)
        long = HINTED * measure(text) + _LABEL_GAP
        start, end = (x, x + long) if is_left else (x - long, x)
        level = next(
            (n for n, spans in enumerate(taken) if all(end <= low or high <= start for low, high in spans)),
            None,
        )
        if level is None:
            unnamed += 1
            continue
        taken[level].append((start, end))
        labels.append(_Label(place, text, is_left, level))
    return labels, unnamed


def _faults(view: Comparison) -> Iterator[tuple[float, Callable[[int], str], int]]:
    """Where each fault lies, its words in versions of different length, and how long the longest is."""
    first, number = view.first_divergence, view.first_number
    if first is None or number is None:
        return
    numbers = (view.number_of(fault.pair) for fault in view.faults)
    others = [other for other in dict.fromkeys(numbers) if other not in (None, number)]
    paths = [_paths(pair) for pair in (first, *(view.pairs[other] for other in others))]
    for place, (other, own) in enumerate(zip((number, *others), paths, strict=True)):
        what = "" if place else "between: " if view.is_between_layers else "first: "

        def version(most: int, what: str = what, own: Sequence[str] = own) -> str:
            names = [name for each in paths for name in each]
            short = dict(zip(names, short_names(names, most), strict=True))
            return what + " / ".join(short[name] for name in own)

        longest = max(map(len, own))
        x = other - 0.5 if not place and view.is_between_layers else float(other)
        yield x, version, longest if not place else min(longest, _LONGEST_LABEL)


def _paths(pair: LayerPair) -> list[str]:
    """What the two layers of a pair are called, once if they are called the same."""
    paths = dict.fromkeys(path for path in (pair.path_a, pair.path_b) if path)
    return [printable(path) for path in paths or (pair.place,)]


def _name_faults(
    ax: Axes, axis: Powers, view: Comparison, labels: Sequence[_Label], errors: Array, height: float
) -> None:
    """Lines from above to where differences begin, with names."""
    low, high = ax.get_ylim()
    inch = (high - low) / height
    for number, label in enumerate(labels):
        is_first = not number and view.first_divergence is not None
        top = high - label.level * LABEL_LINE * inch
        bottom = low if is_first else float(axis.places(errors[[int(label.place)]])[0])
        ax.plot([label.place] * 2, [bottom, top], color=FAULT, linewidth=1.0, zorder=1)
        ax.annotate(
            label.text, (label.place, top), (4 if label.is_left else -4, -1), textcoords="offset points",
            ha="left" if label.is_left else "right", va="top", fontsize="small", annotation_clip=False, zorder=4,
            bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.5}, **PLAIN,
        )  # fmt: skip


def _ring_first(ax: Axes, axis: Powers, view: Comparison) -> None:
    """A ring around the mark of the first divergence, which has its own."""
    first, number = view.first_divergence, view.first_number
    if first is None or number is None or view.is_between_layers:
        return
    place, height = np.array([number]), axis.places(np.array([first.error]))
    draw_mark(ax, place, height, first.status, is_hollow=not math.isfinite(first.error))
    ink = matplotlib.rcParams["text.color"]
    ax.plot(place, height, "o", markersize=10, markerfacecolor="none", color=ink, zorder=3, clip_on=False)


def _legend(
    view: Comparison, has_given: bool, together: int, unnamed: int, explains: bool = True
) -> Iterator[tuple[Any, str]]:
    for status, count in Counter(pair.status for pair in view.pairs).items():
        meaning = meaning_of(status) if explains else ""
        yield partial(key_of, status), f"{status}: {count:,}" + f" ({meaning})" * bool(meaning)
    if has_given:
        yield _whisker, "given: how far their inputs are apart" if explains else "given (inputs)"
    if used := {pair.tolerance for pair in view.pairs if pair.tolerance > 0}:
        told = " to ".join(f"{value:.2g}" for value in sorted({min(used), max(used)}))
        yield None, f"– – tolerated: {told}"
    if together > 1:
        how = ": at the largest error of each status, with a line to the smallest" if explains else ""
        yield None, f"{together} layers in a row share marks{how}"
    if not all(math.isfinite(pair.error) for pair in view.pairs):
        yield None, "∞: cannot be compared"
    if unnamed:
        yield None, f"no room for the names of {unnamed:,} more"


def _whisker(side: float) -> Artist:
    """The line from what a layer was given, for the legend."""
    return Line2D([side / 2], [side / 2], marker=_WHISKER, markersize=side, color=_GIVEN, linestyle="none")


def _describe(view: Comparison, x: float, y: float) -> str:
    """What lies under the cursor."""
    number = round(x)
    if not 0 <= number < len(view.pairs):
        return ""
    pair = view.pairs[number]
    a, b = map(side_words, view.names)
    names = f"{pair.path_a or 'output'} of {a}, {pair.path_b or 'output'} of {b}"
    return f"{names}: error {pair.error:.3g}, given {pair.given_error:.3g}, tolerated {pair.tolerance:.3g}"
