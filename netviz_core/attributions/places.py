"""Where on the image the values of a layer belong: maps as they are, and tokens folded back into a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..words.arrays import Activation, AxisArray
from ..words.errors import AxisError

Array = np.ndarray[Any, Any]

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
