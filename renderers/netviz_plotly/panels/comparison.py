"""Two models layer by layer: how far apart what they returned is, and what is tolerated."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from netviz_core.renderer_api import Comparison, LayerPair, side_words

from ..parts.place import Place
from ..parts.texts import safe

Array = np.ndarray[Any, Any]

_LOOKS = {
    "agrees": ("#4393c3", "circle"), "propagates": ("#c8722c", "triangle-up"), "differs": ("#d6304d", "diamond"),
    "compensated": ("#8e6bb5", "triangle-down"), "rounding": ("#35978f", "square"), "weights": ("#a8742c", "cross"),
    "gradient": ("#bf812d", "x"), "suspicion": ("#c51b7d", "diamond-tall"),
}  # fmt: skip
_UNKNOWN = "#888888", "circle"
_TO_BE_SEEN = frozenset({"differs", "weights", "gradient", "suspicion"})
_ROOMY, _SMALLEST, _LARGEST = 1300.0, 3.0, 9.0
"""Sides of markers in pixels: so many of them lie beside each other."""


def size(view: Comparison) -> tuple[float, float]:
    """Width and height in inches."""
    return 9.0, 5.2


def draw(place: Place, view: Comparison) -> None:
    """Draw pairs of layers across, in order, and errors up."""
    if not view.pairs:
        place.empty("no pair of layers")
        return
    errors, tolerances = (
        np.array([getattr(pair, name) for pair in view.pairs], np.float64) for name in ("error", "tolerance")
    )
    heights, special = _heights(errors, tolerances)
    numbers = np.arange(len(view.pairs), dtype=np.float64)
    place.add(
        go.Scatter(
            x=np.append(numbers - 0.5, numbers[-1] + 0.5), y=np.append(tolerances, tolerances[-1]), name="tolerated",
            mode="lines", line={"shape": "hv", "dash": "dash", "color": place.look.ink, "width": 1},
            hoverinfo="skip", showlegend=place.look.colorbar,
        )
    )  # fmt: skip
    statuses = dict.fromkeys(pair.status for pair in view.pairs)
    side = float(np.clip(_ROOMY / len(view.pairs), _SMALLEST, _LARGEST))
    for status in sorted(statuses, key=_TO_BE_SEEN.__contains__):  # drawn last, so that no other hides them
        chosen = np.flatnonzero([pair.status == status for pair in view.pairs])
        colour, symbol = _LOOKS.get(status, _UNKNOWN)
        symbols = [symbol if np.isfinite(errors[n]) else f"{symbol}-open" for n in chosen]
        place.add(
            go.Scatter(
                x=numbers[chosen], y=heights[chosen], mode="markers", name=safe(status), showlegend=place.look.colorbar,
                marker={"color": colour, "symbol": symbols, "size": side}, hoverinfo="text",
                hovertext=[_told(view, view.pairs[n]) for n in chosen],
            )
        )  # fmt: skip
    place.x(title_text=safe(f"layers of {side_words(view.names[0])}, in order"))
    place.y(type="log", title_text="max |a − b| / (rms + |b|)", exponentformat="power")
    for height, name in special.items():
        place.write(name, -0.02, float(np.log10(height)), xanchor="right", xshift=-6)


def _heights(errors: Array, tolerances: Array) -> tuple[Array, dict[float, str]]:
    """Where errors lie on an axis of powers of ten: zero below all of them, what cannot be compared above."""
    known = np.concatenate([errors, tolerances])
    known = known[np.isfinite(known) & (known > 0)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1e-8, 1.0)
    low, high = low / 10, high * 10
    special = {low: "0"} if (errors == 0).any() else {}
    if not np.isfinite(errors).all():
        special[high] = "∞"
    return np.where(errors == 0, low, np.where(np.isfinite(errors), errors, high)), special


def _told(view: Comparison, pair: LayerPair) -> str:
    """What lies under the cursor."""
    a, b = map(side_words, view.names)
    names = f"{pair.path_a or 'output'} of {a}, {pair.path_b or 'output'} of {b}"
    numbers = f"error {pair.error:.3g}, given {pair.given_error:.3g}, tolerated {pair.tolerance:.3g}"
    return f"{safe(names).replace(', ', ',<br>')}:<br>{safe(numbers)}<br>{safe(pair.status)}"
