"""Which tiles of a grid there is room for, and what their numbers are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .mosaic import MosaicLayout, gap_of
from .tiles import TileGrid

Array = np.ndarray[Any, Any]

PER_INCH = 100
"""Values that lie on an inch of a figure at its own size."""

_FINEST = 200
"""Values that lie on an inch where the size is given: as many as a file has pixels."""

_READABLE = 8
"""Pixels of the shorter side of a tile that can still be told from others, unless it has fewer values."""


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a view that are drawn.

    Parameters
    ----------
    view : TileGrid
        Only with these tiles.
    layout : MosaicLayout
    entries : tuple of numpy.ndarray
        For each axis of the view which entries are shown; one array of numbers where tiles have no axes.
    note : str
        What is left out; empty if nothing is.
    """

    view: TileGrid
    layout: MosaicLayout
    entries: tuple[Array, ...]
    note: str = ""

    @classmethod
    def of(cls, view: TileGrid, width: float, height: float, strengths: Array | None = None) -> TilePlan:
        """All tiles, if so many inches can show them, else the strongest: by their own values, or by those given."""
        rows, columns = (max(int(inches * PER_INCH), 1) for inches in (height, width))
        high, wide = _smallest(view, _READABLE)
        grid = view.grid_shape
        fits = _FINEST / PER_INCH
        if grid[0] * (high + 1) <= fits * rows and grid[1] * (wide + 1) <= fits * columns:
            return cls(view, layout_of(view), _all_entries(view))
        across, down = (max(int(room / (least + 1)), 1) for room, least in ((columns, wide), (rows, high)))
        if min(view.tiles.shape[1:3]) < _READABLE:
            scale = _READABLE / min(high, wide)
            across, down = (
                max(int(room / (scale * least + 1)), 1) for room, least in ((columns, wide), (rows, high))
            )
        return cls._strongest(view, down, across, _strengths(view.tiles) if strengths is None else strengths)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.note

    def number(self, place: int) -> str:
        """What the tile at a place of the picture is called."""
        if not self.view.axes:
            return f"{self.view.tile_label} {self.entries[0][place]}"
        places = np.unravel_index(place, [length for _, length in self.view.axes])
        named = zip(self.view.axes, self.entries, places, strict=True)
        return ", ".join(f"{axis} {shown[index]}" for (axis, _), shown, index in named)

    @classmethod
    def _strongest(cls, view: TileGrid, rows: int, columns: int, strengths: Array) -> TilePlan:
        group = view.group
        if group < 2 or len(strengths) < group:
            count = min(rows * columns, len(strengths))
            numbers = _largest(strengths, count)
            axes = tuple((axis, count) for axis, _ in view.axes)
            chosen = replace(view, tiles=view.tiles[numbers], axes=axes)
            what = view.axes[0][0] if view.axes else view.tile_label + "s" * view.tile_label.isalpha()
            note = f"strongest first: {count:,} of {len(strengths):,} {what}"
            return cls(chosen, layout_of(chosen), (numbers,), note)
        (_, firsts), (_, seconds), *rest = view.axes
        firsts, inner = min(firsts, len(strengths) // group), math.prod(length for _, length in rest)
        by_axes = strengths[: firsts * group].reshape(firsts, seconds, inner).sum(axis=2)
        ins = min(seconds, max(columns // inner, 1))
        outs = min(firsts, rows * max(columns // (ins * inner), 1))
        first = _largest(by_axes.sum(axis=1), outs)
        second = _largest(by_axes[first].sum(axis=0), ins)
        shape = view.tiles.shape[1:]
        tiles = view.tiles[: firsts * group].reshape(firsts, seconds, inner, *shape)[first][:, second]
        lengths = (outs, ins, *(length for _, length in rest))
        axes = tuple((axis, length) for (axis, _), length in zip(view.axes, lengths, strict=True))
        chosen = replace(view, tiles=tiles.reshape(-1, *shape), axes=axes)
        told = " × ".join(
            f"{shown:,} of {whole:,} {axis}"
            for (axis, shown), whole in zip(axes[:2], (view.axes[0][1], seconds), strict=True)
        )
        entries = (first, second, *(np.arange(length) for _, length in rest))
        return cls(chosen, layout_of(chosen), entries, f"strongest first: {told}")


def layout_of(view: TileGrid) -> MosaicLayout:
    """Where the tiles lie."""
    count, height, width = view.tiles.shape[:3]
    return MosaicLayout.of(count, height, width, view.grid_shape)


def pixels_of(view: TileGrid) -> tuple[int, int]:
    """Height and width of a picture with a pixel for each value."""
    (rows, columns), (height, width) = view.grid_shape, view.tiles.shape[1:3]
    gap = gap_of(min(height, width))
    return rows * (height + gap), columns * (width + gap)


def _smallest(view: TileGrid, least: int) -> tuple[float, float]:
    """Pixels of a tile, down and across, that has `least` of them along its shorter side, or one for each value."""
    high, wide = view.tiles.shape[1:3]
    shrunk = min(1.0, least / min(high, wide))
    return high * shrunk, wide * shrunk


def _all_entries(view: TileGrid) -> tuple[Array, ...]:
    if not view.axes:
        return (np.arange(len(view.tiles)),)
    return tuple(np.arange(length) for _, length in view.axes)


def _strengths(tiles: Array) -> Array:
    """The largest value of each tile beside zero, as its sum of squares; what is not finite is strongest of all."""
    flat = tiles.reshape(len(tiles), math.prod(tiles.shape[1:]))
    with np.errstate(over="ignore", invalid="ignore"):
        strengths = np.einsum("nv,nv->n", flat, flat, dtype=np.float64, casting="unsafe")
    return np.where(np.isfinite(strengths), strengths, np.inf)


def shared_strengths(views: Sequence[TileGrid]) -> Array | None:
    """What decides which tiles of several views are shown, the same ones in each; None if they have not as many."""
    if len({(len(view.tiles), view.axes) for view in views}) > 1:
        return None
    strengths = np.stack([_strengths(view.tiles) for view in views])
    largest = np.where(np.isfinite(strengths), strengths, 0).max(axis=1, initial=0, keepdims=True)
    strongest: Array = (strengths / np.where(largest > 0, largest, 1)).sum(axis=0)
    return strongest


def _largest(strengths: Array, count: int) -> Array:
    order: Array = np.argsort(-strengths, kind="stable")[:count]
    return order
