"""A weight as one picture: every number in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import count_nonfinite
from ..network import weight_of, wrap
from .base import View
from .scales import Limits, signed_limits


@dataclass(frozen=True, eq=False)
class Heatmap(View):
    """A matrix on a colour scale; made by `heatmap`.

    Parameters
    ----------
    title : str
    values : numpy.ndarray
        ``(rows, columns)``.
    row_axis, column_axis : str
        What rows and columns are, such as ``out`` and ``in``; joined by ``·`` where several
        axes were laid out behind one another, the last varying fastest.
    limits : tuple of float
        Lowest and highest value of the scale, centred on zero.
    nan_count, inf_count : int
        How many values are not finite.
    value_label : str
        What the values are.
    """

    title: str
    values: np.ndarray[Any, Any]
    row_axis: str
    column_axis: str
    limits: Limits
    nan_count: int
    inf_count: int
    value_label: str


def heatmap(model: Any, layer: str, weight: str = "kernel") -> Heatmap:
    """Show a weight as a matrix on a diverging scale.

    Parameters
    ----------
    model : native model, path, or Network
    layer : str
        Its path.
    weight : str
        Which of its weights.

    Returns
    -------
    Heatmap
        Rows are the first axis (``out``), columns all others behind one another; a vector
        is one row.

    Raises
    ------
    LayerNotFoundError, UnsupportedError
        If there is no such layer, or it has no such weight.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> view = heatmap(example_model(), "dense1")
    >>> view.values.shape, view.row_axis, view.column_axis
    ((10, 144), 'out', 'in')
    """
    found, tensor = weight_of(wrap(model), layer, weight)
    values = tensor.numpy()
    axes = tensor.axes if values.ndim > 1 else ("", *tensor.axes)
    matrix = values.reshape(values.shape[0], -1) if values.ndim > 1 else values.reshape(1, -1)
    size = " × ".join(map(str, tensor.shape))
    return Heatmap(
        title=f"{found.path} · {found.kind} · {weight} {size}",
        values=matrix,
        row_axis=axes[0],
        column_axis="·".join(axes[1:]),
        limits=signed_limits(matrix),
        value_label=weight,
        **count_nonfinite(matrix)._asdict(),
    )
