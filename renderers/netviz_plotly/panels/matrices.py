"""Matrices: weights, similarities, what training did from step to step, measures of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from netviz_core.renderer_api import Heatmap, HistoryHeatmap, LayerMeasures, SimilarityMatrix, column_edges

from ..parts.cells import VALUE, add_cells, nonfinite
from ..parts.place import Place
from ..parts.texts import categories, safe

_MOST_WRITTEN = 60


def rows_high(count: int) -> float:
    """Inches for so many rows."""
    return min(max(0.22 * count, 1.5), 8.0) + 1.6


def heatmap_size(view: Heatmap) -> tuple[float, float]:
    """Width and height in inches."""
    rows, columns = view.full_shape
    ratio = rows / max(columns, 1)
    return 6.5 * min(1.0, max(1 / max(ratio, 1e-9), 0.4)) + 1.5, 5.5 * min(1.0, max(ratio, 0.15)) + 1.4


def draw_heatmap(place: Place, view: Heatmap) -> None:
    """Draw a weight as it is shown, rows down."""
    if not view.values.size:
        place.empty("no values: {} × {}".format(*view.full_shape))
        return
    (rows, columns), shown = view.full_shape, view.values.shape
    dy, dx = rows / shown[0], columns / shown[1]
    around = "around " if view.shape is not None else ""
    hover = (
        f"{around}{safe(view.row_axis or 'row')} %{{y:.0f}}, {safe(view.column_axis or 'column')} %{{x:.0f}}"
    )
    add_cells(
        place, view.values, view.limits, view.value_label, hover, x0=(dx - 1) / 2, dx=dx, y0=(dy - 1) / 2, dy=dy
    )  # fmt: skip
    for set_up, axis, count, groups in (
        (place.x, view.column_axis, columns, view.column_groups),
        (place.y, view.row_axis, rows, view.row_groups),
    ):
        set_up(title_text=safe(f"{axis} ({count})") if axis else "")
        if groups:
            each = count / len(groups)
            middles = [each * (n + 0.5) - 0.5 for n in range(len(groups))]
            set_up(tickvals=middles, ticktext=[safe(group) for group in groups])
    place.y(autorange="reversed")
    place.notes(nonfinite(view.nan_count, view.inf_count))


def similarity_size(view: SimilarityMatrix) -> tuple[float, float]:
    """Width and height in inches."""
    rows, columns = view.values.shape
    return min(max(0.3 * columns, 3.0), 8.0) + 3.0, min(max(0.3 * rows, 2.5), 7.0) + 2.5


def draw_similarity(place: Place, view: SimilarityMatrix) -> None:
    """Draw layers of a down and layers of b across."""
    if not view.values.size:
        place.empty("no values: {} × {}".format(*view.values.shape))
        return
    add_cells(
        place, view.values, (0.0, 1.0), "linear CKA", "%{y} of a, %{x} of b", colours="viridis",
        x=categories(view.keys_b), y=categories(view.keys_a),
    )  # fmt: skip
    rows, columns = view.values.shape
    place.x(type="category", title_text=f"b ({columns:,})")
    place.y(type="category", title_text=f"a ({rows:,})", autorange="reversed")
    place.notes(list(dict.fromkeys(f"NaN: {remark.reason}" for remark in view.undefined)))


def history_size(view: HistoryHeatmap) -> tuple[float, float]:
    """Width and height in inches."""
    return 9.0, rows_high(len(view.layers))


def draw_history(place: Place, view: HistoryHeatmap) -> None:
    """Draw layers down and steps across, at their true places."""
    if not view.values.size:
        place.empty("no look at training")
        return
    steps = np.broadcast_to(np.asarray(view.steps)[None, :, None], (*view.values.shape, 1))
    add_cells(
        place, view.values, view.limits, view.value_label, "%{y}, step %{customdata[0]}",
        custom=steps.astype(np.float64), x=column_edges(view.steps), y=categories(view.layers),
    )  # fmt: skip
    place.x(title_text="step")
    place.y(type="category", autorange="reversed")


def measures_size(view: LayerMeasures) -> tuple[float, float]:
    """Width and height in inches."""
    return max(1.0 * len(view.measures), 3.0) + 4.0, rows_high(len(view.layers))


def draw_measures(place: Place, view: LayerMeasures) -> None:
    """Draw layers down and measures across, each darker where it is larger in its column."""
    if not view.values.size:
        place.empty("no layer" if not view.layers else "no measure")
        return
    sizes = np.abs(view.values)
    finite = np.where(np.isfinite(sizes), sizes, 0.0)
    largest = finite.max(axis=0)
    shares = np.divide(finite, largest, out=np.zeros_like(finite), where=largest > 0)
    shares = np.where(np.isfinite(view.values), shares, view.values)
    written = len(view.layers) <= _MOST_WRITTEN
    add_cells(
        place, shares, (0.0, 1.0), "", "%{y}, %{x}", custom=view.values[..., None], colours="Blues",
        told=f"%{{customdata[0]:{VALUE}}}", x=categories(view.measures), y=_lines(view), xgap=1, ygap=1 * written,
        **_numbers(view) if written else {},
    )  # fmt: skip
    place.x(type="category", side="top")
    place.y(type="category", autorange="reversed")
    place.notes([*[view.note] * bool(view.note), "darker: larger in its column"])


def _numbers(view: LayerMeasures) -> dict[str, Any]:
    texts = [["" if np.isnan(value) else f"{value:.4g}" for value in row] for row in view.values.tolist()]
    return {"text": texts, "texttemplate": "%{text}"}


def _lines(view: LayerMeasures) -> list[str]:
    """The name of each layer with what is to be said of it."""
    findings = view.findings or ("",) * len(view.layers)
    names = categories(view.layers)
    lines = []
    for name, is_marked, finding in zip(names, view.marked, findings, strict=True):
        mark = "▲" if is_marked else "△" if finding else ""
        lines.append(" ".join(filter(None, (name, mark, safe(finding)))))
    return lines
