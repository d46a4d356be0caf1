"""Two models layer by layer: how far apart what they returned is, what is tolerated, and where they first differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties

from netviz_core.renderer_api import Comparison, LayerPair, printable

from ..parts.cursor import tell_under_cursor
from ..parts.inches import height_of, width_of
from ..parts.row_labels import label_columns, labels_width
from ..parts.style import Style
from ..parts.text import PLAIN, add_footer, longest_that_fits, say_empty, shortened, text_width

Array = np.ndarray[Any, Any]

_PER_PAIR, _LEAST_WIDTH, _MOST_WIDTH = 0.2, 3.8, 7.0
_HEIGHT = 2.8
_MOST_WITH_GIVEN = 100
_TICK_APART = 0.35
_FIRST = "#b2182b"
_GIVEN, _TOLERANCE = "0.6", "0.25"
_COLOURS = {
    "agrees": "#4393c3", "propagates": "#f4a582", "differs": _FIRST, "compensated": "#b8a0cf",
    "weights": "#8c510a", "gradient": "#bf812d",
}  # fmt: skip
_UNKNOWN = "0.5"


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
        return cls(low, max(high, low + 2))

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

    def ticks(self, height: float) -> dict[float, str]:
        """Powers of ten, as many as there is room for."""
        most = max(int(height / _TICK_APART) - 2, 1)
        step = math.ceil((self.high - self.low) / most)
        return {float(power): f"1e{power}" for power in range(self.low, self.high + 1, step)}


def size(view: Comparison) -> tuple[float, float]:
    """Width and height in inches; higher for long names, which take some of it."""
    width = min(max(_PER_PAIR * len(view.pairs), _LEAST_WIDTH), _MOST_WIDTH)
    return width, _HEIGHT + labels_width(_names(view))


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
    count = len(view.pairs)
    label_columns(ax, _names(view))
    errors, given, tolerances = (
        np.array([getattr(pair, name) for pair in view.pairs], np.float64)
        for name in ("error", "given_error", "tolerance")
    )
    shows_given = count <= _MOST_WITH_GIVEN
    axis = _Scale.of(np.concatenate([errors, tolerances, *([given] if shows_given else [])]))
    _draw_axis(ax, axis, errors, given if shows_given else np.zeros(0), count)
    _draw_tolerance(ax, axis, tolerances)
    if shows_given:
        _draw_given(ax, axis, given, errors)
    _draw_errors(ax, axis, errors, view.pairs)
    _mark_first(ax, axis, view)
    tell_under_cursor(ax, partial(_describe, view))
    add_footer(ax, _legend(view, shows_given and bool(np.isfinite(given).any())), width_of(ax))


def _names(view: Comparison) -> list[str]:
    return [printable(pair.path_a or "output") for pair in view.pairs]


def _draw_axis(ax: Axes, axis: _Scale, errors: Array, given: Array, count: int) -> None:
    ticks = axis.ticks(height_of(ax))
    if (errors == 0).any() or (given == 0).any():
        ticks[axis.zero] = "0"
        ax.axhline((axis.zero + axis.low) / 2, color="0.85", linewidth=0.8, zorder=0)
    if not np.isfinite(errors).all() or np.isinf(given).any():
        ticks[axis.infinity] = "∞"
        ax.axhline((axis.infinity + axis.high) / 2, color="0.85", linewidth=0.8, zorder=0)
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()
    edge = 0.06 * (axis.high - axis.low)
    ax.set_ylim(min(ticks) - edge, max(*ticks, axis.high) + 3 * edge)
    ax.set_xlim(-0.5 - 0.01 * count, count - 0.5 + 0.01 * count)
    ax.set_xlabel("layers of a, in order", **PLAIN)
    ax.set_ylabel("max |a − b| / (rms + |b|)", **PLAIN)
    ax.tick_params(axis="y", labelsize="small")
    ax.grid(False)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_tolerance(ax: Axes, axis: _Scale, tolerances: Array) -> None:
    """A line, with steps where pairs differ in what is tolerated."""
    places = np.where(tolerances > 0, axis.places(np.maximum(tolerances, 0)), np.nan)
    edges = np.arange(len(places) + 1) - 0.5
    ax.stairs(places, edges, baseline=None, color=_TOLERANCE, linewidth=1.0, linestyle="--", zorder=1)


def _draw_given(ax: Axes, axis: _Scale, given: Array, errors: Array) -> None:
    """From what layers were given to what they made of it."""
    known = np.flatnonzero(~np.isnan(given))
    low, high = axis.places(given[known]), axis.places(errors[known])
    ax.vlines(known, low, high, color=_GIVEN, linewidth=0.8, zorder=1.5)
    ax.plot(known, low, linestyle="none", marker="_", color=_GIVEN, markersize=5, zorder=1.5)


def _draw_errors(ax: Axes, axis: _Scale, errors: Array, pairs: tuple[LayerPair, ...]) -> None:
    """A dot for each pair; a cross for what cannot be compared."""
    places, numbers = axis.places(errors), np.arange(len(errors))
    colours = np.array([_COLOURS.get(pair.status, _UNKNOWN) for pair in pairs])
    dots = 22.0 if len(pairs) <= _MOST_WITH_GIVEN else 7.0
    for kind, marker in ((np.isfinite(errors), "o"), (~np.isfinite(errors), "x")):
        if kind.any():
            ax.scatter(
                numbers[kind], places[kind], dots, colours[kind], marker=marker, linewidths=1.2 * (marker == "x"),
                zorder=2,
            )  # fmt: skip


def _mark_first(ax: Axes, axis: _Scale, view: Comparison) -> None:
    first, number = view.first_divergence, view.first_number
    if first is None or number is None:
        return
    count = len(view.pairs)
    place = number - 0.5 if view.is_between_layers else float(number)
    ax.axvline(place, color=_FIRST, linewidth=1.0, alpha=0.6, zorder=1)
    if not view.is_between_layers:
        high = float(axis.places(np.array([first.error]))[0])
        ax.plot(place, high, marker="o", markersize=9, markerfacecolor="none", color=_FIRST, zorder=3)
    is_left = place < (count - 1) / 2
    room = width_of(ax) * max(place + 0.5, count - 0.5 - place) / count - 0.1
    font = FontProperties(size="small")
    ax.annotate(
        _first_words(view, lambda words: text_width(words, font) <= room), (place, 1), (4 if is_left else -4, -1),
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="left" if is_left else "right",
        va="top", fontproperties=font, color=_FIRST, annotation_clip=False, zorder=4, **PLAIN,
    )  # fmt: skip


def _first_words(view: Comparison, fits: Callable[[str], bool]) -> str:
    """The names of both layers, as far as there is room for them."""
    first = view.first_divergence
    assert first is not None
    paths = dict.fromkeys(path for path in (first.path_a, first.path_b) if path)
    names = [printable(path) for path in paths or (first.place,)]
    what = "between:" if view.is_between_layers else "first:"

    def version(most: int) -> str:
        return f"{what} {' / '.join(shortened(name, most) for name in names)}"

    return longest_that_fits(version, max(map(len, names)), fits)


def _legend(view: Comparison, has_given: bool) -> list[tuple[Any, str]]:
    counted = Counter(pair.status for pair in view.pairs)
    entries: list[tuple[Any, str]] = [
        (_COLOURS.get(status, _UNKNOWN), f"{status}: {count:,}") for status, count in counted.items()
    ]
    if has_given:
        entries.append((_GIVEN, "given"))
    if used := {pair.tolerance for pair in view.pairs if pair.tolerance > 0}:
        told = " to ".join(f"{value:.2g}" for value in sorted({min(used), max(used)}))
        entries.append((None, f"– – tolerated: {told}"))
    return entries


def _describe(view: Comparison, x: float, y: float) -> str:
    """What lies under the cursor."""
    number = round(x)
    if not 0 <= number < len(view.pairs):
        return ""
    pair = view.pairs[number]
    names = f"{pair.path_a or 'output'} of a, {pair.path_b or 'output'} of b"
    return f"{names}: error {pair.error:.3g}, given {pair.given_error:.3g}, tolerated {pair.tolerance:.3g}"
