"""What a trace tells under the cursor, filled in as Plotly does in the browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html import unescape
from typing import Any

import numpy as np

_FIELD = re.compile(r"%\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}")


def told_by(trace: Any) -> Iterator[str]:
    """The text of each point or cell that has one."""
    if trace.hovertext is not None:
        yield from (unescape(text).replace("<br>", "\n") for text in trace.hovertext)
    elif trace.hovertemplate:
        yield from _filled(trace, trace.hovertemplate.replace("<extra></extra>", ""))


def _filled(trace: Any, template: str) -> Iterator[str]:
    is_grid = trace.type in ("heatmap", "image")
    values = np.asarray(trace.z if is_grid else trace.y)
    for place in np.ndindex(values.shape[: 2 if is_grid else 1]):
        if trace.type == "heatmap" and not np.isfinite(values[place]):
            continue
        if trace.type == "image" and not values[place][3]:
            continue
        fields = {
            "z": values[place] if is_grid else None,
            "y": _at(trace, "y", place[0]),
            "x": _at(trace, "x", place[-1]),
            "text": trace.text[place[0]][place[-1]] if is_grid and trace.text is not None else None,
            "customdata": None if trace.customdata is None else trace.customdata[place],
        }
        yield unescape(_FIELD.sub(partial(_field, fields), template))


def _at(trace: Any, axis: str, number: int) -> Any:
    values = trace[axis]
    if values is not None:
        return values[number]
    first, step = (getattr(trace, name, None) for name in (f"{axis}0", f"d{axis}"))
    return number if first is None else first + number * (1 if step is None else step)


def _field(fields: dict[str, Any], found: re.Match[str]) -> str:
    name, index, form = found.groups()
    value = fields[name] if index is None else fields[name][int(index)]
    if not form:
        return (
            str(int(value)) if isinstance(value, float | np.floating) and value == int(value) else str(value)
        )
    return format(float(value), form.replace("~g", "g"))
