"""Titles and notes that fit their place, however long a layer's path is."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.offsetbox import AnnotationBbox, DrawingArea, HPacker, OffsetBox, TextArea, VPacker
from matplotlib.patches import Rectangle

from netviz_core.renderer_api import printable, short_names

from .inches import is_laid_out, room_for

POINTS = 72.0
"""In an inch."""

LINE = 1.25
"""The height of a line, in font sizes."""

HINTED = 1.04
"""How much wider than it should be a line becomes, as letters are put on whole pixels."""

_SHARE, _SMALLER, _LEAST = 0.27, 0.85, 0.6
"""Of a figure's height, for its title; of the size of letters, where it needs more than two lines, and where a word
would not fit into one."""

_MOST_NOTES = 0.45
"""Of a figure's height, for notes."""

_SWATCH, _BESIDE, _BETWEEN = 7.0, 3.0, 10.0
# Paths may hold dollars and underscores: they are shown, never read as formulas.
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}


def set_title(ax: Axes, title: str, width: float, size: str = "medium") -> None:
    """Give `ax` a title in as many lines as fit into `width` inches."""
    text, font = _fitted(
        title, width, size, str(matplotlib.rcParams["axes.titleweight"]), _room_for_title(ax)
    )
    # To ask where labels end takes time, and there are hardly ever any above an Axes.
    is_above = bool(ax.xaxis.get_tick_params()["labeltop"])
    ax.set_title(text, fontproperties=font, y=None if is_above else 1.0, **PLAIN)


def set_figure_title(figure: Figure, title: str, width: float) -> None:
    """Give `figure` a title in as many lines as fit into `width` inches."""
    text, font = _fitted(
        title, width, "large", str(matplotlib.rcParams["figure.titleweight"]), _SHARE * figure.get_figheight()
    )
    figure.suptitle(text, fontproperties=font, **PLAIN)


def title_extra(title: str, width: float, size: str = "medium") -> float:
    """The inches that a title of more than one line takes beyond the first."""
    text, font = _fitted(title, width, size, str(matplotlib.rcParams["axes.titleweight"]), math.inf)
    return text.count("\n") * LINE * font.get_size_in_points() / POINTS


def add_footer(ax: Axes, entries: Sequence[tuple[Any, str]], width: float, aside: float = 0.0) -> None:
    """Write small notes below everything that belongs to the x axis; the first ones, where they would fill the figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    entries : sequence of (key, text)
        The key is a colour, for a small square before the text, a function that makes what stands there of the
        side of such a square in points, or None for nothing.
    width : float
        Inches. What needs more is spread evenly over several lines.
    aside : float
        Inches from the middle of the Axes to that of the notes.
    """
    if not entries:
        return
    font = FontProperties(size="small")
    if is_laid_out(ax):
        entries = _first_notes(entries, width, _MOST_NOTES * room_for(ax)[1])
    entries = _wrapped_entries(entries, font, width)
    lines = _even_lines([_entry_width(colour, text, font) for colour, text in entries], width)
    rows: list[Artist] = [
        HPacker(children=[_entry(*entries[n], font) for n in line], align="center", pad=0, sep=_BETWEEN)
        for line in lines
    ]
    box = VPacker(children=rows, align="center", pad=0, sep=3)
    # The axis' label, even an empty one, lies below the tick labels wherever they end.
    below: Any = ax.xaxis.label
    ax.add_artist(
        AnnotationBbox(
            box, (0.5, 0), xycoords=below, xybox=(aside * POINTS, -4), boxcoords="offset points",
            box_alignment=(0.5, 1), frameon=False, pad=0, annotation_clip=False,
        )
    )  # fmt: skip


def footer_height(entries: Sequence[tuple[Any, str]], width: float) -> float:
    """The inches below an Axes that notes take, with a little air."""
    if not entries:
        return 0.0
    font = FontProperties(size="small")
    entries = _wrapped_entries(entries, font, width)
    lines = _even_lines([_entry_width(colour, text, font) for colour, text in entries], width)
    written = sum(1 + max(entries[number][1].count("\n") for number in line) for line in lines if line)
    return lines_height(len(lines)) + 1.35 * (written - len(lines)) * font.get_size_in_points() / POINTS


def lines_height(count: int) -> float:
    """The inches below an Axes that so many lines of notes take, each shorter than the figure is wide."""
    size = FontProperties(size="small").get_size_in_points()
    return (count * (1.35 * size + 3) + 4) / POINTS if count else 0.0


def _first_notes(
    entries: Sequence[tuple[Any, str]], width: float, height: float
) -> Sequence[tuple[Any, str]]:
    """As many notes as so many inches hold; an ellipsis stands for the others."""
    for count in range(len(entries), 0, -1):
        shown = [*entries[:count], *[(None, "…")] * (count < len(entries))]
        if footer_height(shown, width) <= height:
            return shown
    return [(None, "…")]


def number(value: float) -> str:
    """A number in three digits, with the minus sign that axes have."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def shortened(text: str, most: int) -> str:
    """At most `most` characters of a path: its beginning, and more of its end, which tells most.

    Examples
    --------
    >>> shortened("encoder.blocks.11.attention.query", 18)
    'encod…ention.query'
    """
    kept = most - 1
    return text if len(text) <= most else f"{text[: kept // 3]}…{text[kept // 3 - kept :]}"


def cut(text: str, most: int) -> str:
    """At most `most` characters of a text, from its beginning."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def longest_that_fits(versions: Callable[[int], str], most: int, fits: Callable[[str], bool]) -> str:
    """The last of the texts `versions(1)` … `versions(most)`, each longer than the one before, that fits."""
    number = bisect_left(range(2, most + 1), True, key=lambda number: not fits(versions(number)))
    return versions(number + 1)


def say_empty(ax: Axes, text: str) -> None:
    """Write into an Axes why there is nothing to see."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontstyle="italic")


def _wrapped_entries(
    entries: Sequence[tuple[Any, str]], font: FontProperties, width: float
) -> list[tuple[Any, str]]:
    measure = ruler(font)

    def fitting(colour: Any) -> Callable[[str], bool]:
        room = width - _beside(colour)
        return lambda line: measure(line) <= room

    return [(colour, wrapped(text, fitting(colour))) for colour, text in entries]


def _even_lines(widths: Sequence[float], most: float) -> list[list[int]]:
    """The places of entries in as few lines as can be, no line longer than `most` and all about as long."""

    def filled(width: float) -> list[list[int]]:
        lines: list[list[int]] = [[]]
        for number in range(len(widths)):
            if lines[-1] and sum(widths[other] for other in lines[-1]) + widths[number] > width:
                lines.append([])
            lines[-1].append(number)
        return lines

    fewest = len(filled(most))
    narrower = most * np.linspace(0.3, 1.0, 15)
    return next(lines for lines in map(filled, narrower) if len(lines) == fewest)


def _entry_width(colour: Any, text: str, font: FontProperties) -> float:
    return max(map(ruler(font), text.split("\n"))) + _beside(colour)


def _beside(colour: Any) -> float:
    """The inches that an entry needs beside its text."""
    return (_BETWEEN + (_SWATCH + _BESIDE) * (colour is not None)) / POINTS


def _entry(colour: Any, text: str, font: FontProperties) -> OffsetBox:
    words = TextArea(text, textprops={"fontproperties": font, **PLAIN})
    if colour is None:
        return words
    square = DrawingArea(_SWATCH, _SWATCH)
    square.add_artist(
        colour(_SWATCH)
        if callable(colour)
        else Rectangle((0, 0), _SWATCH, _SWATCH, facecolor=colour, edgecolor="none")
    )
    return HPacker(children=[square, words], align="center", pad=0, sep=_BESIDE)


def _room_for_title(ax: Axes) -> float:
    """The inches that a title may be high."""
    figure = ax.get_figure(root=True)
    return _SHARE * figure.get_figheight() if isinstance(figure, Figure) else math.inf


def _fitted(title: str, width: float, size: str, weight: str, height: float) -> tuple[str, FontProperties]:
    font = FontProperties(size=size, weight=weight)
    measure = ruler(font)
    title = "\n".join(map(printable, title.splitlines()))
    text = wrapped(title, lambda line: measure(line) <= width)
    longest = max((measure(word) for word in _words(title)), default=0.0)
    smaller = max(min(_SMALLER if text.count("\n") > 1 else 1.0, width / max(longest, 1e-9)), _LEAST)
    if smaller < 1:
        font.set_size(smaller * font.get_size_in_points())
        width /= smaller
        text = wrapped(title, lambda line: measure(line) <= width)
    if height == math.inf:
        return text, font
    most = max(int(height / (LINE * font.get_size_in_points() / POINTS)), 1)
    if text.count("\n") >= most:
        text = _shortened_title(title, most, lambda line: measure(line) <= width)
    return text, font


def _shortened_title(title: str, most: int, fits: Callable[[str], bool]) -> str:
    """As much of a title as so many lines hold: of its longest part, a path, what tells most."""
    parts = title.split(" · ")
    longest = max(range(len(parts)), key=lambda number: len(parts[number]))

    def version(length: int) -> str:
        (short,) = short_names([parts[longest]], length)
        return " · ".join([*parts[:longest], short, *parts[longest + 1 :]])

    lengths = range(len(parts[longest]), 3, -1)
    told = (wrapped(version(length), fits) for length in lengths)
    return next((text for text in told if text.count("\n") < most), wrapped(version(4), fits))


def wrapped(text: str, fits: Callable[[str], bool]) -> str:
    """The text in lines that fit."""
    return "\n".join(line for given in text.splitlines() for line in _lines(given, fits))


def _words(text: str) -> list[str]:
    """What no line break should cut."""
    return [word for part in text.split() for word in re.split("|".join(_BREAKS[1:-1]), part)]


def _lines(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break one line where a reader would: before a new part, else between words, else in one, as in `_BREAKS`."""
    lines = [""]
    for piece in _pieces(text, fits):
        if lines[-1] and not fits((lines[-1] + piece).rstrip(" ·")):
            lines.append("")
        lines[-1] += piece
    return [line.strip(" ").removesuffix(" ·") for line in lines]


_BREAKS = (
    r"(?<=· )",
    r"(?<=\s)(?<!\d )(?<!× )(?![×/])",
    r"(?<=[/_:-])(?![\s\d:])|(?<=[.,])(?![\d\s])",
    r"(?<=[a-z\d])(?=[A-Z])|(?=[(\[{])",
    r"(?<=\s)|(?<=\d)(?=×)",
    r"(?<=.)",
)
"""Where a line is broken, the best places first: parts, words, parts of a path, words written as one, numbers with
what they count, and last anywhere."""


def _pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    pieces = [text]
    for pattern in _BREAKS:
        pieces = [
            smaller
            for piece in pieces
            for smaller in ([piece] if fits(piece.rstrip(" ·")) else re.split(pattern, piece))
        ]
    return pieces


def text_width(text: str, font: FontProperties) -> float:
    """Of one line, in inches."""
    return ruler(font)(text)


def ruler(font: FontProperties) -> Callable[[str], float]:
    """What measures lines of a font, in inches; to look for the font takes as long as to measure with it."""
    path, size = findfont(font), font.get_size_in_points() / POINTS
    return lambda text: size * sum(_advance(character, path) for character in text)


@lru_cache(maxsize=4096)
def _advance(character: str, path: Any) -> float:
    """The width of a character, in font sizes; kerning aside, which hardly changes a line but costs much time."""
    font = get_font(path)
    if not font.get_char_index(ord(character)):
        return 1.0  # drawn from another font, or as a box
    glyph = font.load_char(ord(character), flags=LoadFlags.NO_HINTING | LoadFlags.NO_SCALE)
    return float(glyph.horiAdvance / font.units_per_EM)
