"""A mosaic as an image whose values and gaps are equally large wherever it is enlarged."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.image import AxesImage
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox

from netviz_core.renderer_api import MosaicLayout

Array = np.ndarray[Any, Any]


class MosaicImage(AxesImage):
    """An image of tiles, whole tiles of which are brought to whole pixels.

    Gaps stay lines of one width and values sharp, which is also much faster than to interpolate. Where there are
    fewer pixels than the mosaic has, or only a part of it is in view, it is drawn as any other image.
    """

    def __init__(self, ax: Any, layout: MosaicLayout, **options: Any) -> None:
        super().__init__(ax, **options)
        self._layout = layout

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """The pixels, the place of their lower left corner, and how they are to be transformed."""
        left, right, bottom, top = self.get_extent()
        box = TransformedBbox(Bbox([[left, bottom], [right, top]]), self.get_transform()).frozen()
        view = self.axes.bbox
        pixels = [edge * magnification for edge in (box.x0, box.x1, box.y0, box.y1)]
        x0, x1, y0, y1 = (round(edge) for edge in pixels)
        high, wide = self._layout.shape
        inside = view.padded(1).contains(box.x0, box.y0) and view.padded(1).contains(box.x1, box.y1)
        if unsampled or not inside or abs(x1 - x0) < wide or abs(y1 - y0) < high:
            return super().make_image(renderer, magnification, unsampled)
        layout = self._layout
        rows = _enlarged(abs(y1 - y0), layout.rows, layout.pitch[0], layout.gap)
        columns = _enlarged(abs(x1 - x0), layout.columns, layout.pitch[1], layout.gap)
        picture: Any = self.get_array()
        # Lower rows come first; a colour is moved as one number.
        colours = np.ascontiguousarray(picture).view(np.uint32)[..., 0]
        shown = colours.take(rows[::-1], axis=0).take(columns, axis=1)
        return (
            shown[..., np.newaxis].view(np.uint8),
            min(x0, x1) / magnification,
            min(y0, y1) / magnification,
            Affine2D(),
        )


def _enlarged(pixels: int, count: int, pitch: int, gap: int) -> Array:
    """Which row, or column, of the mosaic each pixel shows; gaps are equally wide."""
    whole = count * pitch - gap
    factor = pixels / whole
    wide = max(round(gap * factor), 1)
    # Where each tile begins: the gap after the last one lies outside.
    starts = np.round(np.arange(count + 1) * (pixels + wide) / count).astype(np.intp)
    places = np.empty(starts[-1], np.intp)
    inner = pitch - gap
    for number in range(count):
        start, stop = starts[number], starts[number + 1] - wide
        inside = ((np.arange(stop - start) + 0.5) * inner / (stop - start)).astype(np.intp)
        places[start:stop] = number * pitch + inside
        places[stop : starts[number + 1]] = min(number * pitch + inner, whole - 1)
    return places[:pixels]
