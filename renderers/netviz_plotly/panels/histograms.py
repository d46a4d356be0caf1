"""How often values occur: once, of two models, layer by layer, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from netviz_core.renderer_api import (
    Histogram,
    HistogramPair,
    HistogramRows,
    HistoryHistogram,
    column_edges,
    side_words,
)

from ..parts.cells import VALUE, add_cells, nonfinite
from ..parts.place import Place
from ..parts.texts import categories, safe
from .matrices import rows_high

Array = np.ndarray[Any, Any]

_COLOURS = "#4393c3", "#c8722c"
_TICKS = 9


def size(view: Histogram | HistogramPair) -> tuple[float, float]:
    """Width and height in inches."""
    return 7.0, 4.2


def draw_histogram(place: Place, view: Histogram) -> None:
    """Draw a bar for each bin."""
    if not np.isfinite(view.minimum):
        place.empty("no finite values")
    else:
        _add_bars(place, view, "", _COLOURS[0], 1.0)
    told = [f"mean {view.mean:.4g}", f"std {view.std:.4g}", f"{view.minimum:.4g} to {view.maximum:.4g}"]
    beyond = [f"{view.outside_count:,} beyond the edges"] * bool(view.outside_count)
    known = told if np.isfinite(view.minimum) else []
    place.notes([*known, *beyond, *nonfinite(view.nan_count, view.inf_count)])


def draw_pair(place: Place, view: HistogramPair) -> None:
    """Draw two histograms over each other."""
    for one, name, colour in zip((view.a, view.b), view.names, _COLOURS, strict=True):
        _add_bars(place, one, side_words(name), colour, 0.6)
    place.figure.update_layout(barmode="overlay")
    place.notes([f"largest difference {view.max_abs_difference:.4g}"])


def _add_bars(place: Place, view: Histogram, name: str, colour: str, opacity: float) -> None:
    edges = np.asarray(view.edges, np.float64)
    of = f"{safe(name)}: " if name else ""
    place.add(
        go.Bar(
            x=edges[:-1] / 2 + edges[1:] / 2, y=view.counts.astype(np.float64), width=np.diff(edges),
            customdata=np.stack([edges[:-1], edges[1:]], axis=1), marker={"color": colour, "line": {"width": 0}},
            opacity=opacity, name=safe(name), showlegend=bool(name) and place.look.colorbar and place.explains,
            hovertemplate=f"{of}{_between(0)}: %{{y:,.0f}}<extra></extra>",
        )
    )  # fmt: skip
    place.x(title_text=safe(view.value_label))
    place.y(title_text="count")


def _between(first: int) -> str:
    return f"%{{customdata[{first}]:{VALUE}}} to %{{customdata[{first + 1}]:{VALUE}}}"


def rows_size(view: HistogramRows) -> tuple[float, float]:
    """Width and height in inches."""
    return 9.0, rows_high(len(view.labels))


def draw_rows(place: Place, view: HistogramRows) -> None:
    """Draw a row for each histogram, from the top; colours are roots of shares, so that rare values show."""
    shares = view.counts / np.maximum(view.counts.sum(axis=1, keepdims=True), 1)
    if not shares.any():
        place.empty("no finite values")
    else:
        _add_counts(
            place, shares, view.counts, view.edges[None, :], "share of row", f"%{{y}}, {_between(0)}",
            x=view.edges, y=categories(view.labels),
        )  # fmt: skip
        place.y(type="category", autorange="reversed")
    place.x(title_text=safe(view.value_label))
    beyond = int(view.outside_counts.sum())
    place.notes(
        [
            *nonfinite(int(view.nan_counts.sum()), int(view.inf_counts.sum())),
            *[f"{beyond:,} beyond the edges"] * bool(beyond),
            *view.unreadable,
        ]
    )


def history_size(view: HistoryHistogram) -> tuple[float, float]:
    """Width and height in inches."""
    return 8.0, 4.8


def draw_history(place: Place, view: HistoryHistogram) -> None:
    """Draw a column for each look; bins are equally high, which shows small and large numbers alike."""
    shares = view.counts / np.maximum(view.counts.sum(axis=0, keepdims=True), 1)
    if not shares.any():
        place.empty("no finite values")
        return
    steps = np.broadcast_to(np.asarray(view.steps, np.float64)[None, :, None], (*view.counts.shape, 1))
    bins = len(view.counts)
    _add_counts(
        place, shares, view.counts, view.edges[:, None], "share of step",
        f"step %{{customdata[3]}}, {_between(0)}", more=steps, x=column_edges(view.steps), y=np.arange(bins + 1) - 0.5,
    )  # fmt: skip
    ticks = np.unique(np.linspace(0, bins, min(bins + 1, _TICKS)).round().astype(int))
    texts = [f"{view.edges[tick]:.3g}" for tick in ticks]
    place.y(tickvals=(ticks - 0.5).tolist(), ticktext=texts, title_text=safe(view.value_label))
    place.x(title_text="step")


def _add_counts(
    place: Place,
    shares: Array,
    counts: Array,
    edges: Array,
    label: str,
    hover: str,
    *,
    more: Array | None = None,
    **settings: Any,
) -> None:
    """Cells that tell the ends of their bin and their count; `edges` are laid along the axis of the bins."""
    along = int(edges.shape[0] == 1)
    low, high = (np.delete(edges, end, axis=along) for end in (-1, 0))
    parts = [*(np.broadcast_to(part, counts.shape)[..., None] for part in (low, high, counts))]
    custom = np.concatenate([*parts, *[more] * (more is not None)], axis=-1).astype(np.float64)
    add_cells(
        place, shares, (0.0, float(shares.max())), label, hover, custom=custom, shade=np.sqrt, colours="Blues",
        told="%{customdata[2]:,.0f}", **settings,
    )  # fmt: skip
