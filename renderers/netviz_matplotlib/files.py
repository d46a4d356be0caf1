"""Figures as bytes, in the format that a file's suffix names."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from netviz_core.renderer_api import FileFormatError

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


SUFFIXES = tuple(f".{name}" for name in _METADATA)


def format_of(path: str | Path) -> str:
    """The format that the suffix of `path` names.

    Examples
    --------
    >>> format_of("figures/conv1.PNG")
    'png'
    """
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
    buffer = io.BytesIO()
    metadata = _METADATA[file_format] or None
    # Said in either case: the user may have set savefig.bbox.
    paper: Any = "tight" if trim else figure.bbox_inches
    figure.savefig(buffer, format=file_format, dpi=dpi, metadata=metadata, bbox_inches=paper, pad_inches=0.08)
    data = buffer.getvalue()
    return _with_stable_ids(data) if file_format == "svg" else data


@contextmanager
def _for_print(file_format: str) -> Iterator[None]:
    """Letters as publishers want them, for one file: TrueType in PDF, text in SVG, unless the user chose otherwise."""
    wanted = {"pdf": ("pdf.fonttype", 42), "svg": ("svg.fonttype", "none")}.get(file_format)
    if wanted is None:
        yield
        return
    name, value = wanted
    with _SETTING:
        own = matplotlib.rcParams[name]
        with matplotlib.rc_context({name: value if own == matplotlib.rcParamsDefault[name] else own}):
            yield


_SETTING = threading.Lock()
"""Settings belong to the process: of two threads that write files, one would put back those of the other."""


def _with_stable_ids(svg: bytes) -> bytes:
    """Number the ids that matplotlib draws at random, in their order.

    ``svg.hashsalt`` would do it too, but is one of the user's rcParams.
    """
    random_ids = dict.fromkeys(re.findall(rb'id="([a-z]+[0-9a-f]{10})"', svg))
    stable = {name: b"netviz%d" % number for number, name in enumerate(random_ids)}
    return re.sub(rb"\b[a-z]+[0-9a-f]{10}\b", lambda match: stable.get(match[0], match[0]), svg)
