"""Two models layer by layer: how far apart what they returned is, what is tolerated, and where they first differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from netviz_core.renderer_api import Comparison, LayerPair, meaning_of, printable, short_names, side_words

from ..parts.cursor import tell_under_cursor
from ..parts.inches import height_of, is_laid_out, room_for, width_of
from ..parts.row_labels import label_columns, labels_width
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
_MOST_WITH_GIVEN = 100
_TICK_APART = 0.22
_FAULT, _GIVEN, _UNKNOWN = "#b2182b", "0.5", "0.5"
_LOOKS = {
    "agrees": ("#4393c3", "o"), "propagates": ("#c8722c", "^"), "differs": (_FAULT, "D"),
    "compensated": ("#8e6bb5", "v"), "rounding": ("#35978f", "s"), "weights": ("#8c510a", "P"),
    "gradient": ("#bf812d", "X"), "suspicion": ("#c51b7d", "d"),
}  # fmt: skip
"""The colour and the marker of each status; every colour has a contrast of 3 on white and on black."""

_TO_BE_SEEN = frozenset({"differs", "weights", "gradient", "suspicion"})
_SIZE, _FAULT_SIZE, _LEAST_SIZE, _ROOMY = 22.0, 30.0, 5.0, 14
"""The areas of markers, and how many of one status there may be on an inch before they become smaller."""

_FAINT, _MOST_BELOW, _MOST_NUMBERS = 0.07, 0.45, 4
_ERROR = "max |a − b| / (rms + |b|)"
_LABEL_LINE, _MOST_LEVELS, _MOST_ABOVE = 0.15, 4, 0.4
_LABEL_GAP, _LONGEST_LABEL = 0.08, 28


@dataclass(frozen=True)
class _Scale:
    """The y axis: powers of ten, with a place for zero below all of them and one for infinity above.

    Parameters
    ----------
    low, high : int
        The powers at both ends.
    """

    low: int
    high: int

    @classmethod
    def of(cls, numbers: Array) -> _Scale:
        """The scale that holds all numbers, and two powers of ten at least."""
        powers = np.log10(numbers[np.isfinite(numbers) & (numbers > 0)])
        low = math.floor(powers.min(initial=math.inf)) if powers.size else -8
        high = math.ceil(powers.max(initial=-math.inf)) if powers.size else 0
        return cls(min(low, high - 2), high)

    @property
    def zero(self) -> float:
        """Where zero lies."""
        return self.low - self._margin

    @property
    def infinity(self) -> float:
        """Where that lies which cannot be compared."""
        return self.high + self._margin

    @property
    def _margin(self) -> float:
        return 0.12 * (self.high - self.low)

    def places(self, numbers: Array) -> Array:
        """Where numbers lie on the axis; what is not a number as if it were infinite."""
        with np.errstate(divide="ignore"):
            powers = np.log10(numbers)
        return np.nan_to_num(powers, nan=self.infinity, posinf=self.infinity, neginf=self.zero)

    def ticks(self, height: float, special: Mapping[float, str]) -> dict[float, str]:
        """The special places, and as many powers of ten as there is room for beside them."""
        inch = 1.12 * (self.infinity - self.zero) / height
        powers = [
            power
            for power in range(self.low, self.high + 1)
            if all(abs(power - other) >= _LABEL_LINE * inch for other in special)
        ]
        step = max(math.ceil(_TICK_APART * inch), 1)
        return {**{float(power): f"1e{power}" for power in powers[::step]}, **special}


def size(view: Comparison) -> tuple[float, float]:
    """Width and height in inches; higher for long names and a long legend, which take some of it."""
    width = min(max(_PER_PAIR * len(view.pairs), _LEAST_WIDTH), _MOST_WIDTH)
    return width, _HEIGHT + labels_width(_names(view)) + footer_height(list(_legend(view, True, 0)), width)


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
    shows_given = len(view.pairs) <= _MOST_WITH_GIVEN
    axis = _Scale.of(np.concatenate([errors, tolerances, *([given] if shows_given else [])]))
    width = room_for(ax)[0] if is_laid_out(ax) else width_of(ax)
    beside = _BESIDE if is_laid_out(ax) else 0.0
    legend = partial(_legend, view, shows_given and bool(np.isfinite(given).any()))
    if is_laid_out(ax) and footer_height(list(legend(1)), width) > _MOST_BELOW * room_for(ax)[1]:
        legend = partial(legend, explains=False)
    height = _name_layers(ax, view, footer_height(list(legend(len(view.faults))), width))
    most_levels = max(int(_MOST_ABOVE * height / _LABEL_LINE), 1)
    labels, unnamed = _labels(view, width - beside, most_levels)
    levels = 1 + max((one.level for one in labels), default=0)
    _draw_axis(ax, axis, errors, given if shows_given else np.zeros(0), levels * _LABEL_LINE, height)
    _draw_tolerance(ax, axis, tolerances)
    if shows_given:
        _draw_given(ax, axis, given, errors)
    _draw_errors(ax, axis, errors, view.pairs)
    _name_faults(ax, axis, view, labels, errors, height)
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
    return max(room - _LABEL_LINE, _LEAST_PLANE / 2)


def _names(view: Comparison) -> list[str]:
    return [printable(pair.path_a or "output") for pair in view.pairs]


def _draw_axis(ax: Axes, axis: _Scale, errors: Array, given: Array, above: float, height: float) -> None:
    """The y axis, so many inches high, with so many of them for labels above all."""
    ink, count = matplotlib.rcParams["text.color"], len(errors)
    special = dict[float, str]()
    if (errors == 0).any() or (given == 0).any():
        special[axis.zero] = "0"
        ax.axhline((axis.zero + axis.low) / 2, color=ink, alpha=0.2, linewidth=0.8, zorder=0)
    if not np.isfinite(errors).all() or np.isinf(given).any():
        special[axis.infinity] = "∞"
        ax.axhline((axis.infinity + axis.high) / 2, color=ink, alpha=0.2, linewidth=0.8, zorder=0)
    ticks = axis.ticks(max(height - above, _TICK_APART), special)
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


def _draw_tolerance(ax: Axes, axis: _Scale, tolerances: Array) -> None:
    """A line, with steps where pairs differ in what is tolerated, and a faint ground below it."""
    ink = matplotlib.rcParams["text.color"]
    places = np.where(tolerances > 0, axis.places(np.maximum(tolerances, 0)), np.nan)
    edges = np.arange(len(places) + 1) - 0.5
    ax.stairs(places, edges, baseline=None, color=ink, linewidth=1.0, linestyle="--", zorder=1)
    ax.fill_between(
        np.repeat(edges, 2)[1:-1], ax.get_ylim()[0], np.repeat(places, 2), color=ink, alpha=_FAINT, linewidth=0,
        zorder=0,
    )  # fmt: skip


def _draw_given(ax: Axes, axis: _Scale, given: Array, errors: Array) -> None:
    """From what layers were given to what they made of it."""
    known = np.flatnonzero(~np.isnan(given))
    low, high = axis.places(given[known]), axis.places(errors[known])
    ax.vlines(known, low, high, color=_GIVEN, linewidth=0.8, zorder=1.5)
    ax.plot(known, low, linestyle="none", marker="_", color=_GIVEN, markersize=5, zorder=1.5)


def _draw_errors(ax: Axes, axis: _Scale, errors: Array, pairs: tuple[LayerPair, ...]) -> None:
    """A marker for each pair by its status; a hollow one for what cannot be compared."""
    places = axis.places(errors)
    width = width_of(ax)
    for status in dict.fromkeys(pair.status for pair in pairs):
        colour, marker = _LOOKS.get(status, (_UNKNOWN, "o"))
        is_such = np.array([pair.status == status for pair in pairs])
        for kind, fill in ((np.isfinite(errors), colour), (~np.isfinite(errors), "none")):
            numbers = np.flatnonzero(is_such & kind)
            if len(numbers):
                ax.scatter(
                    numbers, places[numbers], _marker_size(status, len(numbers) / width), marker=marker,
                    facecolors=fill, edgecolors=colour, linewidths=0.8, zorder=3 if status in _TO_BE_SEEN else 2,
                )  # fmt: skip


def _marker_size(status: str, per_inch: float) -> float:
    """The area of a marker in square points: smaller where many of its status would hide others."""
    largest = _FAULT_SIZE if status in _TO_BE_SEEN else _SIZE
    return min(max(_SIZE * _ROOMY / per_inch, _LEAST_SIZE), largest)


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
    ax: Axes, axis: _Scale, view: Comparison, labels: Sequence[_Label], errors: Array, height: float
) -> None:
    """Lines from above to where differences begin, with names; the first one is ringed."""
    low, high = ax.get_ylim()
    inch = (high - low) / height
    for number, label in enumerate(labels):
        is_first = not number and view.first_divergence is not None
        top = high - label.level * _LABEL_LINE * inch
        bottom = low if is_first else float(axis.places(errors[[int(label.place)]])[0])
        ax.plot([label.place] * 2, [bottom, top], color=_FAULT, linewidth=1.0, zorder=1)
        ax.annotate(
            label.text, (label.place, top), (4 if label.is_left else -4, -1), textcoords="offset points",
            ha="left" if label.is_left else "right", va="top", fontsize="small", annotation_clip=False, zorder=4,
            bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.5}, **PLAIN,
        )  # fmt: skip
    if labels and view.first_divergence is not None and not view.is_between_layers:
        height = float(axis.places(np.array([view.first_divergence.error]))[0])
        ink = matplotlib.rcParams["text.color"]
        ax.plot(
            labels[0].place, height, marker="o", markersize=10, markerfacecolor="none", color=ink, zorder=3
        )


def _legend(
    view: Comparison, has_given: bool, unnamed: int, explains: bool = True
) -> Iterator[tuple[Any, str]]:
    for status, count in Counter(pair.status for pair in view.pairs).items():
        meaning = meaning_of(status) if explains else ""
        yield partial(_key, status), f"{status}: {count:,}" + f" ({meaning})" * bool(meaning)
    if has_given:
        yield _GIVEN, "given: how far their inputs are apart" if explains else "given"
    if used := {pair.tolerance for pair in view.pairs if pair.tolerance > 0}:
        told = " to ".join(f"{value:.2g}" for value in sorted({min(used), max(used)}))
        yield None, f"– – tolerated: {told}"
    if not all(math.isfinite(pair.error) for pair in view.pairs):
        yield None, "∞: cannot be compared"
    if unnamed:
        yield None, f"no room for the names of {unnamed:,} more"


def _key(status: str, side: float) -> Artist:
    """The marker of a status."""
    colour, marker = _LOOKS.get(status, (_UNKNOWN, "o"))
    return Line2D(
        [side / 2], [side / 2], linestyle="none", marker=marker, markersize=0.8 * side, color=colour
    )


def _describe(view: Comparison, x: float, y: float) -> str:
    """What lies under the cursor."""
    number = round(x)
    if not 0 <= number < len(view.pairs):
        return ""
    pair = view.pairs[number]
    a, b = map(side_words, view.names)
    names = f"{pair.path_a or 'output'} of {a}, {pair.path_b or 'output'} of {b}"
    return f"{names}: error {pair.error:.3g}, given {pair.given_error:.3g}, tolerated {pair.tolerance:.3g}"
