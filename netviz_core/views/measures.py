"""Layers by measures: a number for each, every measure on a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import View


@dataclass(frozen=True, eq=False, repr=False)
class LayerMeasures(View):
    """A table of numbers to be seen at a glance.

    Parameters
    ----------
    title : str
    layers : tuple of str
        The path of each row, in the model's order.
    measures : tuple of str
        What each column is.
    values : numpy.ndarray
        ``(layers, measures)``, float64; NaN where there is none.
    marked : tuple of bool
        Which rows are to be looked at first.
    """

    title: str
    layers: tuple[str, ...]
    measures: tuple[str, ...]
    values: np.ndarray[Any, Any]
    marked: tuple[bool, ...]

    @property
    def shares(self) -> np.ndarray[Any, Any]:
        """The size of each value in [0, 1] beside the largest of its column; NaN where there is none."""
        with np.errstate(invalid="ignore"):
            sizes = np.abs(np.where(np.isinf(self.values), np.nan, self.values))
            largest = np.fmax.reduce(sizes, axis=0, initial=0.0, keepdims=True)
            shares = np.divide(sizes, largest, out=np.zeros_like(sizes), where=largest > 0)
        shares[np.isnan(sizes)] = np.nan
        shares[np.isinf(self.values)] = 1.0
        return shares
