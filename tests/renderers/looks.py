"""What can be measured of how a figure looks: contrast, and where its texts lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text


def luminance(colour: Any) -> float:
    """The relative luminance of a colour, as WCAG 2 defines it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: Any, other: Any) -> float:
    """How well two colours stand out from each other: from 1 to 21."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def as_without_green(colours: np.ndarray) -> np.ndarray:
    """Colours ``(…, 3)`` as they are seen without the receptor for green (Machado et al., 2009)."""
    seen = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(linear @ np.transpose(seen), 0, 1)
    return np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)


def faults(figure: Figure) -> list[str]:
    """What is wrong with the texts of a figure, in words; draws it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [
        *_ticks(figure),
        *_touching(figure, canvas),
        *_outside(figure, canvas),
        *_too_faint(figure, canvas),
    ]


def _ticks(figure: Figure) -> Iterator[str]:
    for ax in _all_axes(figure):
        for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
            if not (ax.get_visible() and ax.axison and axis.get_visible()):
                continue
            low, high = sorted(axis.get_view_interval())
            labels = [
                label
                for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=False)
                for label in (tick.label1, tick.label2)
                if label.get_visible() and label.get_text() and low <= place <= high
            ]
            texts = [label.get_text() for label in labels]
            if len(set(texts)) < len(texts):
                yield f"{name} axis: two ticks are called {next(t for t in texts if texts.count(t) > 1)!r}"


def _touching(figure: Figure, canvas: Any) -> Iterator[str]:
    """The first two texts of any kind that run into each other."""
    texts = _texts(figure)
    boxes = [text.get_window_extent(canvas.get_renderer()).padded(-1) for text in texts]
    ends = np.array([box.extents for box in boxes]).reshape(-1, 4)
    for number, (x0, y0, x1, y1) in enumerate(ends):
        others = ends[number + 1 :]
        apart = (others[:, 0] >= x1) | (others[:, 2] <= x0) | (others[:, 1] >= y1) | (others[:, 3] <= y0)
        if not apart.all():
            other = texts[number + 1 + int(np.flatnonzero(~apart)[0])]
            yield f"{texts[number].get_text()!r} and {other.get_text()!r} overlap"
            return


def _outside(figure: Figure, canvas: Any) -> Iterator[str]:
    paper = figure.bbox.padded(1)
    for text in _texts(figure):
        box = text.get_window_extent(canvas.get_renderer())
        if box.x0 < paper.x0 or box.x1 > paper.x1 or box.y0 < paper.y0 or box.y1 > paper.y1:
            yield f"{text.get_text()!r} leaves the figure"


def _too_faint(figure: Figure, canvas: Any) -> Iterator[str]:
    """Texts whose colour is too like what they stand on: the most frequent colour in their place."""
    picture = np.asarray(canvas.buffer_rgba())[..., :3]
    height, width = picture.shape[:2]
    for text in _texts(figure):
        box = text.get_window_extent(canvas.get_renderer())
        x0, x1 = (int(np.clip(x, 0, width)) for x in (box.x0 - 1, box.x1 + 1))
        y0, y1 = (int(np.clip(height - y, 0, height)) for y in (box.y1 + 1, box.y0 - 1))
        place = picture[y0:y1, x0:x1].reshape(-1, 3)
        if not len(place):
            continue
        colours, counts = np.unique(place, axis=0, return_counts=True)
        ground = colours[counts.argmax()] / 255
        found = contrast(text.get_color(), ground)
        if found < 4.5:
            yield f"{text.get_text()!r} has a contrast of {found:.1f}"


def _texts(figure: Figure) -> list[Text]:
    """All texts that are seen, the tick labels of places out of view aside."""
    hidden = {
        id(label)
        for ax in _all_axes(figure)
        for axis in (ax.xaxis, ax.yaxis)
        for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=False)
        for label in (tick.label1, tick.label2)
        if not (
            ax.axison
            and axis.get_visible()
            and min(axis.get_view_interval()) <= place <= max(axis.get_view_interval())
        )
    }
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden
    ]


def _all_axes(figure: Figure) -> list[Any]:
    return [ax for top in figure.axes for ax in (top, *top.child_axes)]
