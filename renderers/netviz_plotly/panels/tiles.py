"""Kernels, feature maps, attention: a whole grid of tiles as one image, each value of which tells its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from netviz_core.renderer_api import AttentionMaps, TileGrid, TilePlan

from ..parts.cells import VALUE, add_cells, nonfinite
from ..parts.place import Place
from ..parts.texts import safe

Array = np.ndarray[Any, Any]

_SIDE = 5.0
"""Inches for which tiles are chosen: a thousand values along either side, unless single tiles are larger."""

_MOST_ELONGATED = 8

# Grey cannot be taken for a value near zero, which the diverging colours show as white.
_BEHIND_SIGNED = "#bfbfbf"


def size(view: TileGrid) -> tuple[float, float]:
    """Width and height in inches."""
    if view.tiles.size == 0:
        return 4.0, 3.0
    plan = TilePlan.of(view, _SIDE, _SIDE)
    high, wide = plan.layout.shape
    side = 7.5 if len(view.tiles) > 16 else 5.5
    return max(side * min(1.0, wide / high), 3.5) + 1.5, max(side * min(1.0, high / wide), 1.2) + 1.4


def draw(place: Place, view: TileGrid) -> None:
    """Draw all tiles as one heat map, or, of red, green and blue, as one picture."""
    if view.tiles.size == 0:
        place.empty(f"no {view.tile_label} to show")
        return
    plan = TilePlan.of(view, _SIDE, _SIDE)
    tiles, names = plan.view.tiles, _names(plan)
    grid = (plan.layout.rows, plan.layout.columns)
    present = laid_out(np.ones(tiles.shape[:3], bool), grid, False)
    where = [f"{safe(name)} %{{customdata[{n}]}}" for n, name in enumerate((*names, *_within(view)))]
    custom = _places(plan, grid)
    hover = ", ".join(where)
    if view.is_rgb:
        _draw_in_colour(place, plan.view, grid, present, custom, hover)
    else:
        shade = np.sqrt if isinstance(view, AttentionMaps) else None
        limits = (max(view.limits[0], 0.0), view.limits[1]) if shade else view.limits
        values = laid_out(tiles, grid, np.nan)
        add_cells(place, values, limits, view.value_label, hover, custom=custom, present=present, shade=shade)
    if view.limits[0] < 0 and not view.is_rgb:
        place.figure.update_layout(plot_bgcolor=_BEHIND_SIGNED)
    high, wide = present.shape
    place.x(visible=False, range=[-0.5, wide - 0.5])
    place.y(visible=False, range=[high - 0.5, -0.5])
    if 1 / _MOST_ELONGATED <= high / wide <= _MOST_ELONGATED:
        place.square()
    place.notes([*[plan.note] * bool(plan.note), *nonfinite(view.nan_count, view.inf_count)])


def _within(view: TileGrid) -> tuple[str, str]:
    return ("query", "key") if isinstance(view, AttentionMaps) else ("y", "x")


def _names(plan: TilePlan) -> list[str]:
    return [axis for axis, _ in plan.view.axes] or [plan.view.tile_label]


def _places(plan: TilePlan, grid: tuple[int, int]) -> Array:
    """``(rows, columns, n)``: what each cell is called, in the smallest integers that hold it."""
    count, high, wide = plan.view.tiles.shape[:3]
    lengths = [length for _, length in plan.view.axes] or [count]
    numbers = np.unravel_index(np.arange(count), lengths)
    entries = [shown[number] for shown, number in zip(plan.entries, numbers, strict=True)]
    parts = [
        *(np.asarray(entry)[:, None, None] for entry in entries),
        np.arange(high)[None, :, None],
        np.arange(wide)[None, None, :],
    ]
    dtype = np.min_scalar_type(max(int(part.max()) for part in parts))
    whole = np.stack([np.broadcast_to(part.astype(dtype), (count, high, wide)) for part in parts], axis=-1)
    return laid_out(whole, grid, 0)


def _draw_in_colour(
    place: Place, view: TileGrid, grid: tuple[int, int], present: Array, custom: Array, hover: str
) -> None:
    low, high = view.limits
    shares = np.nan_to_num((view.tiles - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    colours = laid_out(np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8), grid, 0)
    picture = np.concatenate([colours, np.uint8(255) * present[..., None].astype(np.uint8)], axis=-1)
    values = laid_out(view.tiles.astype(np.float32), grid, 0)
    first = custom.shape[-1]
    told = ", ".join(f"%{{customdata[{first + n}]:{VALUE}}}" for n in range(3))
    place.add(
        go.Image(
            z=picture, colormodel="rgba256", customdata=np.concatenate([custom, values], axis=-1),
            hovertemplate=f"{hover}: {told}<extra></extra>",
        )
    )  # fmt: skip


def laid_out(tiles: Array, grid: tuple[int, int], fill: Any, above: int = 0) -> Array:
    """Tiles ``(n, y, x, …)`` row by row in one array, with gaps of `fill` between them, and `above` each."""
    (rows, columns), (count, high, wide) = grid, tiles.shape[:3]
    gap = max(1, round(min(high, wide) / 14))
    dtype = np.result_type(tiles.dtype, np.float32) if isinstance(fill, float) else tiles.dtype
    whole = np.full((rows * columns, above + high + gap, wide + gap, *tiles.shape[3:]), fill, dtype)
    whole[:count, above : above + high, :wide] = tiles
    whole = whole.reshape(rows, columns, above + high + gap, wide + gap, *tiles.shape[3:])
    joined = whole.swapaxes(1, 2).reshape(
        rows * (above + high + gap), columns * (wide + gap), *tiles.shape[3:]
    )
    return joined[: joined.shape[0] - gap, : joined.shape[1] - gap]
