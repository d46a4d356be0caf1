"""Pictures with captions and heat over them; the examples a model got most wrong, also as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from netviz_core.renderer_api import Overlays, TopLosses, squarest_grid

from ..parts.cells import add_cells
from ..parts.place import Place
from ..parts.texts import safe
from .tiles import laid_out

Array = np.ndarray[Any, Any]

_MOST_VALUES = 2_000_000
_MOST_CAPTIONS, _LETTERS_PER_INCH, _INCHES_OF_CAPTION = 64, 15, 0.4
_CONFUSIONS, _OPACITY = 3, 0.55


def _pictures(view: Overlays) -> Array | None:
    return view.heat if view.images is None else view.images


def _count(pictures: Array) -> int:
    """How many pictures a page can hold."""
    return int(min(len(pictures), max(_MOST_VALUES // max(pictures.shape[1] * pictures.shape[2], 1), 1)))


def size(view: Overlays) -> tuple[float, float]:
    """Width and height in inches."""
    pictures = _pictures(view)
    if pictures is None or not pictures.size:
        rows = len(view.rows) if isinstance(view, TopLosses) else 0
        return 9.0, min(1.6 + 0.32 * rows, 9.0)
    rows, columns = squarest_grid(_count(pictures), *pictures.shape[1:3])
    high, wide = pictures.shape[1:3]
    side = min(2.2 * columns, 8.0)
    captions = _INCHES_OF_CAPTION * rows * (rows * columns <= _MOST_CAPTIONS)
    return max(side, 3.5) + 1.5, min(side * rows * high / (columns * wide), 12.0) + captions + 1.4


def draw(place: Place, view: Overlays) -> None:
    """Draw pictures, heat over them, and captions above each while there is room for them."""
    confused = _confusions(view) if isinstance(view, TopLosses) else []
    pictures = _pictures(view)
    if pictures is None or not pictures.size:
        if isinstance(view, TopLosses) and view.rows:
            _draw_table(place, view)
            place.notes(confused)
        else:
            place.empty("no examples to show" if isinstance(view, TopLosses) else "no pictures to show")
        return
    count = _count(pictures)
    grid = squarest_grid(count, *pictures.shape[1:3])
    above = max(2, pictures.shape[1] // 5) if count <= _MOST_CAPTIONS else 0
    shape = (count, *pictures.shape[1:3])
    present = laid_out(np.ones(shape, bool), grid, False, above)
    custom = laid_out(np.stack(np.broadcast_arrays(*np.ogrid[tuple(map(slice, shape))]), -1), grid, 0, above)
    custom = custom.astype(np.min_scalar_type(max(shape)))
    hover = "picture %{customdata[0]}, y %{customdata[1]}, x %{customdata[2]}"
    if view.images is not None:
        _add_pictures(place, view.images[:count], grid, above, present, custom, hover)
    if view.heat is not None:
        opacity = _OPACITY if view.images is not None else 1.0
        heat = laid_out(view.heat[:count], grid, np.nan, above)
        add_cells(
            place, heat, (0.0, 1.0), view.value_label, hover, custom=custom, present=present,
            colours="inferno", opacity=opacity,
        )  # fmt: skip
    high, wide = present.shape
    place.x(visible=False, range=[-0.5, wide - 0.5])
    place.y(visible=False, range=[high - 0.5, -0.5])
    place.square()
    if above:
        _write_captions(place, view.captions[:count], grid, (high, wide), (above, *shape[1:]))
    left = [f"the first {count:,} of {len(pictures):,} pictures"] * (count < len(pictures))
    place.notes([*left, *confused])


def _add_pictures(
    place: Place, images: Array, grid: tuple[int, int], above: int, present: Array, custom: Array, hover: str
) -> None:
    colours = laid_out(np.rint(255 * np.clip(np.nan_to_num(images), 0, 1)).astype(np.uint8), grid, 0, above)
    opaque = (255 * present[..., None].astype(np.int32)).astype(np.uint8)
    place.add(
        go.Image(
            z=np.concatenate([colours, opaque], axis=-1), colormodel="rgba256", customdata=custom,
            hovertemplate=f"{hover}<extra></extra>",
        )
    )  # fmt: skip


def _write_captions(
    place: Place, captions: tuple[str, ...], grid: tuple[int, int], whole: tuple[int, int], tile: tuple[int, int, int]
) -> None:  # fmt: skip
    above, high, wide = tile
    gap = max(1, round(min(high, wide) / 14))
    most = int(_LETTERS_PER_INCH * min(2.2, 8.0 / grid[1]))
    for number, caption in enumerate(captions):
        row, column = divmod(number, grid[1])
        lines = [line if len(line) <= most else f"{line[: most - 1]}…"
                 for line in caption.splitlines()]  # fmt: skip
        x, y = column * (wide + gap) + wide / 2 - 0.5, row * (above + high + gap) + above - 0.5
        text = "<br>".join(map(safe, lines))
        place.write(text, x, y, yanchor="bottom", font_size=10, hovertext=safe(caption.replace("\n", " · ")))


def _confusions(view: TopLosses) -> list[str]:
    pairs = [
        f"{actual} → {prediction} ({count:,})" for actual, prediction, count in view.confusions[:_CONFUSIONS]
    ]
    return [f"most confused: {', '.join(pairs)}"] if pairs else []


def _draw_table(place: Place, view: TopLosses) -> None:
    """All rows, in the columns that say something; the table scrolls."""
    columns = {
        "example": [f"{row.index:,}" for row in view.rows],
        "loss": [f"{row.loss:#.4g}" for row in view.rows],
        "prediction": [safe(row.prediction) for row in view.rows],
        "actual": [safe(row.actual) for row in view.rows],
        "probability": ["" if row.probability is None else f"{row.probability:.3f}" for row in view.rows],
        "text": [safe(row.text) for row in view.rows],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    low, high = place.across
    plain = {"fill": {"color": "rgba(128,128,128,0.08)"}, "font": {"color": place.look.ink}, "align": "left"}
    place.x(visible=False)
    place.y(visible=False)
    place.figure.add_trace(
        go.Table(
            domain={"x": [low, high], "y": [0.0, 1.0]}, header={"values": list(shown), **plain},
            cells={"values": list(shown.values()), **plain},
            columnwidth=[3 if name == "text" else 1 for name in shown],
        )
    )  # fmt: skip
