"""Many small images become one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_LEAST_TILE = 8
_MOST_ENLARGED = 2**22
_MOST_PIXELS = 2**23


@dataclass(frozen=True)
class MosaicLayout:
    """Where tiles lie in the picture, in its pixels.

    Parameters
    ----------
    count : int
        How many tiles.
    rows, columns : int
        Of the grid.
    height, width : int
        Of one tile, in values.
    zoom : int
        Pixels for each value, along either axis.
    gap : int
        Pixels between tiles.
    shrink : int
        Values for each pixel, along either axis: more than one where paper could not show them all.
    above : int
        Pixels left free above each tile, for its caption.
    """

    count: int
    rows: int
    columns: int
    height: int
    width: int
    zoom: int
    gap: int
    shrink: int = 1
    above: int = 0

    @classmethod
    def of(
        cls, count: int, height: int, width: int, grid_shape: tuple[int, int], least: int = _LEAST_TILE
    ) -> MosaicLayout:
        """Choose zoom and gap such that gaps are thin lines for tiles of any size.

        Tiles are enlarged to `least` pixels, as long as that makes no huge picture.
        """
        shortest = min(height, width)
        zoom = -(-least // shortest)
        if count * height * width * zoom**2 > _MOST_ENLARGED:
            zoom = 1
        shrink = min(max(1, math.ceil(math.sqrt(count * height * width / _MOST_PIXELS))), shortest)
        return cls(count, *grid_shape, height, width, zoom, gap_of(shortest * zoom / shrink), shrink)

    @property
    def tile(self) -> tuple[int, int]:
        """Pixels of a tile, down and across."""
        return -(-self.height // self.shrink) * self.zoom, -(-self.width // self.shrink) * self.zoom

    @property
    def pitch(self) -> tuple[int, int]:
        """Pixels from one tile to the next, down and across."""
        high, wide = self.tile
        return self.above + high + self.gap, wide + self.gap

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        return self.rows * self.pitch[0] - self.gap, self.columns * self.pitch[1] - self.gap

    def centre(self, row: int, column: int) -> tuple[float, float]:
        """The middle of a tile: y and x."""
        (down, across), (high, wide) = self.pitch, self.tile
        return row * down + self.above + high / 2, column * across + wide / 2

    def locate(self, y: float, x: float) -> tuple[int, int, int] | None:
        """Which tile, and which y and x in it, lies at a point of the picture; nothing in gaps."""
        row, dy = divmod(y, self.pitch[0])
        column, dx = divmod(x, self.pitch[1])
        tile_y, tile_x = int((dy - self.above) * self.shrink // self.zoom), int(dx * self.shrink // self.zoom)
        tile = int(row) * self.columns + int(column)
        inside = 0 <= column < self.columns and 0 <= tile < self.count
        if inside and 0 <= tile_y < self.height and tile_x < self.width:
            return tile, tile_y, tile_x
        return None


def gap_of(shortest: float) -> int:
    """Pixels between tiles whose shorter side has so many."""
    return max(1, round(shortest / 14))


def mosaic(tiles: Array, layout: MosaicLayout, paint: Callable[[Array], Array]) -> Array:
    """Lay tiles out row by row in one picture.

    Parameters
    ----------
    tiles : numpy.ndarray
        ``(n, y, x, …)``.
    layout : MosaicLayout
    paint : callable
        Gives tiles their colours, ``(n, y, x, 4)``, uint8. It is given one row of the grid at
        a time, so that a large mosaic needs little more memory than itself.

    Returns
    -------
    numpy.ndarray
        RGBA, uint8; transparent between tiles and where there is none.
    """
    down, across = layout.pitch
    picture = np.zeros((layout.rows, down, layout.columns, across, 4), np.uint8)
    high, wide = layout.tile
    for row in range(layout.rows):
        colours = paint(tiles[row * layout.columns : (row + 1) * layout.columns])
        colours = _shrunk(colours, layout.shrink)
        enlarged = colours
        if layout.zoom > 1:
            enlarged = colours.repeat(layout.zoom, axis=1).repeat(layout.zoom, axis=2)
        picture[row, layout.above : layout.above + high, : len(colours), :wide] = enlarged.transpose(
            1, 0, 2, 3
        )
    joined = picture.reshape(layout.rows * down, layout.columns * across, 4)
    return joined[: layout.shape[0], : layout.shape[1]]


def _shrunk(colours: Array, by: int) -> Array:
    """The mean of blocks of `by` × `by` pixels."""
    if by == 1:
        return colours
    below, beside = (-length % by for length in colours.shape[1:3])
    whole = np.pad(colours, ((0, 0), (0, below), (0, beside), (0, 0)), mode="edge")
    count, height, width, channels = whole.shape
    blocks = whole.reshape(count, height // by, by, width // by, by, channels)
    means: Array = blocks.sum(axis=(2, 4), dtype=np.uint32) // by**2
    return means.astype(np.uint8)
