"""Figures as bytes, in the format that a file's suffix names."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import imsave

from netviz_core.renderer_api import FileFormatError, as_path, shown

# What to keep out of each format so that the same figure gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "jpg": {},
    "jpeg": {},
    "tif": {},
    "tiff": {},
    "webp": {},
}
_PAD = 0.08

SUFFIXES = tuple(f".{name}" for name in _METADATA)


def is_file(target: object) -> bool:
    """Whether this is a file to be written to, such as a `io.BytesIO`, and not the path of one."""
    return hasattr(target, "write")


def format_of(target: Any, given: Any = None) -> str:
    """The format that is given, or that the suffix of a path names.

    Examples
    --------
    >>> format_of("figures/conv1.PNG")
    'png'
    """
    if given is not None:
        if not isinstance(given, str) or given.lower().removeprefix(".") not in _METADATA:
            raise FileFormatError(f"format={shown(given)} is not written; use one of {', '.join(_METADATA)}")
        return given.lower().removeprefix(".")
    if is_file(target):
        raise FileFormatError(
            f"{shown(target)} has no suffix that names a format; give format=, such as 'png'"
        )
    path = as_path(target)
    suffix = Path(path).suffix
    file_format = suffix.lower().removeprefix(".")
    if file_format not in _METADATA:
        given = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise FileFormatError(
            f"cannot save {os.fspath(path)!r}, which has {given}; use one of {', '.join(SUFFIXES)}"
        )
    return file_format


def encode(figure: Figure, file_format: str, dpi: float, *, trim: bool) -> bytes:
    """Draw `figure` in memory.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    file_format : str
        As `format_of` returns it.
    dpi : float
        Resolution, also that of images within vector formats.
    trim : bool
        Fit the paper to what is drawn instead of keeping the figure's size.
    """
    with _for_print(file_format):
        return _encoded(figure, file_format, dpi, trim)


def _encoded(figure: Figure, file_format: str, dpi: float, trim: bool) -> bytes:
    picture = _drawn_once(figure, dpi, trim) if file_format not in ("svg", "pdf") else None
    buffer = io.BytesIO()
    if picture is not None:
        # Higher levels take twice as long and save next to nothing.
        quick = {"compress_level": 4} if file_format == "png" else None
        imsave(
            buffer,
            picture,
            format="tiff" if file_format == "tif" else file_format,
            origin="upper",
            dpi=dpi,
            pil_kwargs=quick,
        )
        return buffer.getvalue()
    metadata = _METADATA[file_format] or None
    # Said in either case: the user may have set savefig.bbox.
    paper: Any = "tight" if trim else figure.bbox_inches
    figure.savefig(buffer, format=file_format, dpi=dpi, metadata=metadata, bbox_inches=paper, pad_inches=_PAD)
    data = buffer.getvalue()
    return _with_stable_ids(data) if file_format == "svg" else data


def _drawn_once(figure: Figure, dpi: float, trim: bool) -> Any:
    """The pixels of a figure, which `savefig` draws twice; None where it has to."""
    settings = matplotlib.rcParams
    if settings["savefig.transparent"] or settings["savefig.facecolor"] != "auto":
        return None
    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    whole = np.asarray(canvas.buffer_rgba())
    if not trim:
        return whole
    # Compared as single numbers, which is faster than by channels.
    pixels = np.ascontiguousarray(whole).view(np.uint32)[..., 0]
    is_drawn = pixels != pixels[0, 0]
    rows, columns = (np.flatnonzero(is_drawn.any(axis=axis)) for axis in (1, 0))
    height, width = is_drawn.shape
    if not rows.size or rows[0] == 0 or rows[-1] == height - 1 or columns[0] == 0 or columns[-1] == width - 1:
        return None  # it may go on beyond the paper, which `savefig` enlarges then
    pad = round(_PAD * dpi)
    top, left = max(rows[0] - pad, 0), max(columns[0] - pad, 0)
    return whole[top : rows[-1] + 1 + pad, left : columns[-1] + 1 + pad]


@contextmanager
def letters_of(points: float | None) -> Iterator[None]:
    """Draw with letters of a size, in the proportions that the user's settings have."""
    if points is None:
        yield
        return
    with _SETTING, matplotlib.rc_context({"font.size": points}):
        yield


def keep_letters(axes: Iterable[Axes]) -> None:
    """Write down how large the labels of ticks are, which are made only when a figure is drawn."""
    settings: Any = matplotlib.rcParams
    whole = [part for ax in axes for part in (ax, *ax.child_axes)]
    for axis in (axis for ax in whole for axis in (ax.xaxis, ax.yaxis)):
        size = axis.get_tick_params().get("labelsize", settings[f"{axis.axis_name}tick.labelsize"])
        axis.set_tick_params(labelsize=FontProperties(size=size).get_size_in_points())


@contextmanager
def _for_print(file_format: str) -> Iterator[None]:
    """Letters as publishers want them, for one file: TrueType in PDF, text in SVG, unless the user chose otherwise."""
    wanted = {"pdf": ("pdf.fonttype", 42), "svg": ("svg.fonttype", "none")}.get(file_format)
    if wanted is None:
        yield
        return
    name, value = wanted
    with _SETTING:
        settings: Any = matplotlib.rcParams
        standard: Any = matplotlib.rcParamsDefault
        own = settings[name]
        chosen: Any = {name: value if own == standard[name] else own}
        with matplotlib.rc_context(chosen):
            yield


_SETTING = threading.RLock()
"""Settings belong to the process: of two threads that write files, one would put back those of the other."""


def _with_stable_ids(svg: bytes) -> bytes:
    """Number the ids that matplotlib draws at random, in their order.

    ``svg.hashsalt`` would do it too, but is one of the user's rcParams.
    """
    random_ids = dict.fromkeys(re.findall(rb'id="([a-z]+[0-9a-f]{10})"', svg))
    stable = {name: b"netviz%d" % number for number, name in enumerate(random_ids)}
    return re.sub(rb"\b[a-z]+[0-9a-f]{10}\b", lambda match: stable.get(match[0], match[0]), svg)
