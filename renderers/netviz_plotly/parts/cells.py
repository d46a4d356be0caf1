"""Values as cells of one image, each of which tells itself under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from netviz_core.renderer_api import (
    NAN_COLOUR,
    NEGATIVE_INFINITY_COLOUR,
    POSITIVE_INFINITY_COLOUR,
    Limits,
    as_float64,
)

from .place import Place
from .texts import safe

Array = np.ndarray[Any, Any]

VALUE = ".4~g"
_KINDS = ((NAN_COLOUR, "NaN"), (POSITIVE_INFINITY_COLOUR, "inf"), (NEGATIVE_INFINITY_COLOUR, "-inf"))
_BAR_PIXELS = 14


def add_cells(
    place: Place,
    values: Array,
    limits: Limits,
    label: str,
    hover: str,
    *,
    custom: Array | None = None,
    shade: Callable[[Any], Any] | None = None,
    present: Array | None = None,
    colours: str = "",
    told: str = "",
    **settings: Any,
) -> None:
    """Draw a heat map, and over it what is not finite in colours of its own.

    Parameters
    ----------
    place : Place
    values : numpy.ndarray
        ``(rows, columns)``.
    limits : tuple of float
        Of the colours, in units of the values.
    label : str
        What the colour bar is a scale of.
    hover : str
        What is told of a cell, before its value.
    custom : numpy.ndarray, optional
        ``(rows, columns, n)``, to which `hover` refers.
    shade : callable, optional
        Of which colours are an even scale, such as ``numpy.sqrt``.
    present : numpy.ndarray, optional
        Where there are cells at all.
    colours : str
        The name of the colours, by default those that suit the limits.
    told : str
        The template of the value, where that is not what is shown.
    """
    values = values if values.dtype in (np.float32, np.float64) else as_float64(values)
    low, high = limits
    kinds = np.select([np.isnan(values), np.isposinf(values), np.isneginf(values)], [0, 1, 2], -1)
    if present is not None:
        kinds[~present] = -1
    if shade is not None and not told:
        custom = values[..., None] if custom is None else np.concatenate([custom, values[..., None]], axis=-1)
        told = f"%{{customdata[{custom.shape[-1] - 1}]:{VALUE}}}"
    drawn, bar = values, _bar(label)
    if shade is not None:
        with np.errstate(invalid="ignore"):
            drawn = shade(values)
        ticks = np.linspace(shade(low), shade(high), 5)
        known = np.linspace(low, high, 1025)
        texts = [f"{value:.3g}" for value in np.interp(ticks, shade(known), known)]
        bar |= {"tickvals": ticks.tolist(), "ticktext": texts}
        low, high = float(shade(low)), float(shade(high))
    if (kinds >= 0).any() or present is not None:
        drawn = np.where(np.isfinite(drawn), drawn, np.nan)
    place.add(
        go.Heatmap(
            z=drawn, zmin=low, zmax=high, customdata=custom, hoverongaps=False,
            colorscale=place.look.colours(colours or ("RdBu_r" if limits[0] == -limits[1] else "viridis")),
            showscale=bool(label) and place.look.colorbar and place.explains, colorbar=bar,
            hovertemplate=f"{hover}: {told or f'%{{z:{VALUE}}}'}<extra></extra>", **settings,
        )
    )  # fmt: skip
    if (kinds >= 0).any():
        own = {name: value for name, value in settings.items() if name not in ("text", "texttemplate")}
        _add_nonfinite(place, kinds, hover, custom, own)


def _bar(label: str) -> dict[str, Any]:
    title = {"text": safe(label), "side": "right"}
    return {"title": title, "thickness": _BAR_PIXELS, "outlinewidth": 0}


def _add_nonfinite(place: Place, kinds: Array, hover: str, custom: Any, settings: dict[str, Any]) -> None:
    scale = [[end, colour] for n, (colour, _) in enumerate(_KINDS) for end in (n / 3, (n + 1) / 3)]
    names = np.array([name for _, name in _KINDS])
    place.add(
        go.Heatmap(
            z=np.where(kinds >= 0, kinds, np.nan).astype(np.float32), zmin=-0.5, zmax=2.5, colorscale=scale,
            text=np.where(kinds >= 0, names[kinds], "").tolist(), customdata=custom, showscale=False,
            hoverongaps=False, hovertemplate=f"{hover}: %{{text}}<extra></extra>", **settings,
        )
    )  # fmt: skip


def nonfinite(nan_count: int, inf_count: int) -> list[str]:
    """How many values are not finite, for the notes."""
    counted = (nan_count, "NaN"), (inf_count, "infinite")
    return [f"{int(count):,} {name}" for count, name in counted if count]
