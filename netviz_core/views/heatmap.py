"""A weight as one picture: every number in its place, or every block of them where there are too many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.network import weight_of, wrap
from ..words.arguments import require_path
from ..words.arrays import Nonfinite, count_nonfinite
from ..words.cards import Told
from ..words.errors import InputError, as_integer
from ..words.given import shown
from ..words.protocols import Layer, WeightTensor
from ..words.ranges import values_told
from .base import View, layer_title, of_source, require_real
from .scales import Limits, signed_limits

MOST_PIXELS = 480
"""How many rows, or columns, are shown before neighbours are taken together: fewer than a figure has pixels."""

_GATES = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new")}
_GROUPING_AXES = ("gate", "head")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap(View):
    """A matrix on a colour scale; made by `heatmap`.

    Parameters
    ----------
    title : str
    values : numpy.ndarray
        ``(rows, columns)``, as shown: of a large weight, what each block of it is reduced to.
    row_axis, column_axis : str
        What rows and columns are, such as ``out`` and ``in``; joined by ``·`` where several
        axes were laid out behind one another, the last varying fastest.
    limits : tuple of float
        Lowest and highest value of the scale, centred on zero.
    nan_count, inf_count : int
        How many values of the weight are not finite.
    value_label : str
        What the values are.
    shape : tuple of int, optional
        Rows and columns of the weight itself, if `values` are blocks of it.
    row_groups, column_groups : tuple of str
        The names of equal parts that the rows, or columns, consist of: gates, heads.
    """

    title: str
    values: Array
    row_axis: str
    column_axis: str
    limits: Limits
    nan_count: int
    inf_count: int
    value_label: str
    shape: tuple[int, int] | None = None
    row_groups: tuple[str, ...] = ()
    column_groups: tuple[str, ...] = ()

    @property
    def full_shape(self) -> tuple[int, int]:
        """Rows and columns of the weight itself."""
        rows, columns = self.shape or self.values.shape
        return rows, columns

    def _told(self) -> Told:
        rows, columns = self.full_shape
        told = values_told(self.values, self.nan_count, self.inf_count)
        state = "odd" if self.nan_count + self.inf_count else ""
        return Told(
            f"{rows:,} {self.row_axis} × {columns:,} {self.column_axis}: {self.value_label} {told}",
            state=state,
        )


def heatmap(
    model: Any, layer: str, weight: str = "kernel", *, reduce: str = "extreme", limit: int = MOST_PIXELS
) -> Heatmap:
    """Show a weight as a matrix on a diverging scale.

    Parameters
    ----------
    model : native model, state dict, path, or Network
    layer : str
        Its path.
    weight : str
        Which of its weights.
    reduce : {"extreme", "mean"}
        What a block of a large weight becomes: the value that is farthest from zero, so that no
        outlier vanishes, or the average over its area. The title says so.
    limit : int
        How many rows, and how many columns, are shown at most; beyond, neighbours form blocks.

    Returns
    -------
    Heatmap
        Rows are the first axis (``out``), columns all others behind one another; a vector
        is one row. Gates and heads are kept together and named.

    Raises
    ------
    LayerNotFoundError, UnsupportedError
        If there is no such layer, or it has no such weight.
    InputError
        If `reduce` or `limit` is none of these.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> view = heatmap(example_model(), "dense1")
    >>> view.values.shape, view.row_axis, view.column_axis
    ((10, 144), 'out', 'in')
    """
    require_path("heatmap", {"model": model, "layer": layer})
    if not isinstance(reduce, str) or reduce not in _REDUCTIONS:
        raise InputError(f"reduce={shown(reduce)} is neither 'extreme' nor 'mean'")
    if as_integer(limit, "limit") < 1:
        raise InputError(f"limit={limit} leaves nothing to show; give a positive number")
    network = wrap(model)
    found, tensor = weight_of(network, layer, weight)
    matrix, row_axes, column_axes = _as_matrix(tensor)
    require_real(matrix, f"layer {found.path!r}, weight {weight!r}")
    row_groups, column_groups = _groups(found, tensor, row_axes), _groups(found, tensor, column_axes)
    row_edges = _block_edges(matrix.shape[0], len(row_groups) or 1, limit)
    column_edges = _block_edges(matrix.shape[1], len(column_groups) or 1, limit)
    is_small = (len(row_edges), len(column_edges)) == matrix.shape
    if is_small:
        reduced, nonfinite = np.array(matrix, order="C"), count_nonfinite(matrix)
    else:
        reduced, nonfinite = _reduced(matrix, row_edges, column_edges, _REDUCTIONS[reduce])
    made = Heatmap(
        title=_title(found, tensor, matrix.shape, reduced.shape, "" if is_small else reduce),
        values=reduced,
        row_axis="·".join(row_axes),
        column_axis="·".join(column_axes),
        limits=signed_limits(reduced),
        value_label=weight,
        shape=None if is_small else matrix.shape,
        row_groups=row_groups,
        column_groups=column_groups,
        **nonfinite._asdict(),
    )
    return of_source(network.backend, made)


def _as_matrix(tensor: WeightTensor) -> tuple[Array, tuple[str, ...], tuple[str, ...]]:
    """The weight in two dimensions, and the axes that lie along each of them."""
    values, axes = tensor.peek(), tensor.axes
    if values.ndim < 2:
        return values.reshape(1, -1), (), axes
    rows = 2 if axes[0] in _GROUPING_AXES and values.ndim > 2 else 1
    height = int(np.prod(values.shape[:rows]))
    return values.reshape(height, values.size // height if height else 0), axes[:rows], axes[rows:]


def _groups(layer: Layer, tensor: WeightTensor, axes: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the gates or heads that lie along one dimension."""
    if not axes or axes[0] not in _GROUPING_AXES:
        return ()
    count = tensor.shape[tensor.axes.index(axes[0])]
    if axes[0] == "gate":
        return _GATES.get(layer.kind, ()) if count > 1 else ()
    return tuple(f"head {index}" for index in range(count))


def _block_edges(length: int, groups: int, limit: int) -> Array:
    """Where blocks start, such that at most `limit` are formed and none reaches into another group."""
    size = length // groups
    step = max(1, -(-length // max(limit, groups)))
    starts = [group * size + offset for group in range(groups) for offset in range(0, size, step)]
    return np.array(starts, dtype=np.intp)


Reduction = Callable[[Array, Array], Array]
"""Takes a band of rows and where blocks of columns start; gives one value for each block."""


def _reduced(matrix: Array, rows: Array, columns: Array, reduction: Reduction) -> tuple[Array, Nonfinite]:
    """What each block becomes. The matrix is read once, a band of rows that fits a cache at a time."""
    bands = [matrix[start:stop] for start, stop in zip(rows, [*rows[1:], matrix.shape[0]], strict=True)]
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs in one block
        reduced = np.stack([reduction(band, columns) for band in bands])
    # Only a block that does not come out finite can hold something that is not.
    suspects = [
        count_nonfinite(band) for band, row in zip(bands, reduced, strict=True) if not np.isfinite(row).all()
    ]
    return reduced, Nonfinite(
        sum(found.nan_count for found in suspects), sum(found.inf_count for found in suspects)
    )


def _extreme(band: Array, columns: Array) -> Array:
    """The value of each block that is farthest from zero; NaN where there is one."""
    highest = np.maximum.reduceat(band.max(axis=0), columns)
    lowest = np.minimum.reduceat(band.min(axis=0), columns)
    farthest: Array = np.where(-lowest > highest, lowest, highest)
    return farthest


def _mean(band: Array, columns: Array) -> Array:
    """The average of each block."""
    sums = np.add.reduceat(band.sum(axis=0, dtype=np.float64), columns)
    average: Array = sums / (len(band) * np.diff(columns, append=band.shape[1]))
    return average


_REDUCTIONS: Mapping[str, Reduction] = {"extreme": _extreme, "mean": _mean}


def _title(
    layer: Layer, tensor: WeightTensor, whole: tuple[int, ...], reduced: tuple[int, ...], reduce: str
) -> str:
    title = layer_title(layer, f"{tensor.name} {' × '.join(map(str, tensor.shape))}")
    if not reduce:
        return title
    block = " × ".join(str(-(-full // kept)) for full, kept in zip(whole, reduced, strict=True))
    return f"{title}, the {reduce} of each {block}"
