"""Where on the image the values of a layer belong: maps as they are, and tokens folded back into a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..words.arrays import Activation, AxisArray
from ..words.errors import AxisError

Array = np.ndarray[Any, Any]

_CANDIDATES = 16
"""How many layers from the end are tried for one that the score depends on."""

MOST_PREFIX_TOKENS = 8
"""Class, distillation and register tokens that may stand before those of the patches."""


@dataclass(frozen=True)
class Grid:
    """Tokens that are the patches of an image, row by row.

    Parameters
    ----------
    rows, columns : int
        Of patches.
    prefix : int
        How many tokens stand before them and have no place on the image.
    """

    rows: int
    columns: int
    prefix: int


def grid_for(tokens: int, seen: Sequence[Activation]) -> Grid | None:
    """The grid that a number of tokens stands for: that of the last map that has as many places.

    Parameters
    ----------
    tokens : int
    seen : sequence of Activation
        The forms of what was returned until the tokens were there. A vision transformer's patches are made by a
        convolution, whose output is a map; up to `MOST_PREFIX_TOKENS` tokens may have been put before them.

    Returns
    -------
    Grid or None
    """
    for entry in reversed(seen):
        sizes = entry.sizes
        if "y" in sizes and "x" in sizes:
            places = sizes["y"] * sizes["x"]
            if places > 1 and 0 <= tokens - places <= MOST_PREFIX_TOKENS:
                return Grid(sizes["y"], sizes["x"], tokens - places)
    return None


def token_axes(axes: Sequence[str]) -> tuple[str, str] | None:
    """The axes of tokens and of features, if a value of these axes can be a sequence of tokens."""
    if len(axes) != 3 or axes[0] != "batch" or {"y", "x", "z"} & set(axes):
        return None
    if axes[1] in ("time", "axis1") and axes[2] in ("channel", "axis2"):
        return axes[1], axes[2]
    return None


def folded(array: AxisArray, grid: Grid | None, what: str) -> Array:
    """Bring what a layer returned to ``(batch, channel, y, x)``.

    Raises
    ------
    AxisError
        If it has no places on an image.
    """
    names = set(array.axes)
    if {"batch", "y", "x"} <= names <= {"batch", "channel", "y", "x"}:
        if "channel" not in names:
            array = AxisArray(array.values[..., np.newaxis], (*array.axes, "channel"))
        return array.transpose("batch", "channel", "y", "x").values
    tokens = token_axes(array.axes)
    if tokens is None or grid is None:
        raise AxisError(
            f"{what} has the axes {', '.join(array.axes)} and no places on an image; choose a layer with the axes "
            f"y and x, or tokens made of patches by a convolution, or name them: axes=('batch', 'y', 'x', 'channel')"
        )
    values = array.values[:, grid.prefix :]
    return values.reshape(len(values), grid.rows, grid.columns, -1).transpose(0, 3, 1, 2)


class Places:
    """Which layers have places on the image, and how they are folded."""

    def __init__(self, seen: Sequence[Activation], axes: Any) -> None:
        self.axes = axes
        self._seen = seen
        outputs = {(entry.axes, entry.shape) for entry in seen if entry.path == ""}
        self._usable = {
            entry.path: (position, entry)
            for position, entry in enumerate(seen)
            if entry.path and self._count(position, entry) > 1 and (entry.axes, entry.shape) not in outputs
        }

    def last(self) -> list[str]:
        """The last layers with more than one place on the image, the very last at the end."""
        found = sorted(self._usable, key=lambda path: self._usable[path][0])[-_CANDIDATES:]
        if not found:
            raise AxisError(
                "no layer returned maps with the axes y and x, or tokens made of patches by a convolution; "
                "name the axes of one: layer=…, axes=('batch', 'channel', 'y', 'x')"
            )
        return found

    def fold(self, array: Activation | AxisArray, path: str) -> Array:
        """Bring an activation of the layer at `path`, or its gradient, to ``(batch, channel, y, x)``."""
        return folded(array, self._grid_before(path, array), f"the output of layer {path!r}").astype(
            np.float64
        )

    def _grid_before(self, path: str, array: AxisArray) -> Grid | None:
        position = max((i for i, entry in enumerate(self._seen) if entry.path == path), default=0)
        return grid_for(array.shape[1], self._seen[:position]) if token_axes(array.axes) else None

    def _count(self, position: int, entry: Activation) -> int:
        sizes = entry.sizes
        if {"batch", "y", "x"} <= set(sizes) <= {"batch", "channel", "y", "x"}:
            return sizes["y"] * sizes["x"]
        if token_axes(entry.axes) and grid_for(entry.shape[1], self._seen[:position]):
            return entry.shape[1]
        return 0
