"""Where on the image the values of a layer belong: maps as they are, and tokens folded back into a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import capture
from ..models.network import Network
from ..words.arrays import Activation, AxisArray
from ..words.errors import AxisError

Array = np.ndarray[Any, Any]

MOST_PREFIX_TOKENS = 8
"""Class, distillation and register tokens that may stand before those of the patches."""


class Seen(NamedTuple):
    """The form of one value that a layer returned."""

    path: str
    call: int
    leaf: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each axis."""
        return dict(zip(self.axes, self.shape, strict=True))


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


def forms(network: Network, x: Any, axes: Any = None) -> list[Seen]:
    """The form of everything that a model's layers return, in the order in which they return; one pass."""
    seen: list[Seen] = []

    def note(activation: Activation) -> float:
        seen.append(
            Seen(activation.path, activation.call, activation.leaf, activation.axes, activation.shape)
        )
        return 0.0

    capture(network, x, axes=axes, reduce=note)
    return seen


def grid_for(tokens: int, seen: Sequence[Seen]) -> Grid | None:
    """The grid that a number of tokens stands for: that of the last map that has as many places.

    Parameters
    ----------
    tokens : int
    seen : sequence of Seen
        What was returned until the tokens were there. A vision transformer's patches are made by a
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
