"""Training over time: what each layer did from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..words.cards import Told
from ..words.ranges import values_told
from ..words.text_tables import counted
from .base import View
from .scales import Limits


@dataclass(frozen=True, eq=False, repr=False)
class HistoryHeatmap(View):
    """Layers by time; made by `netviz_core.measures.training.TrainingHistory.heatmap`.

    Parameters
    ----------
    title : str
    values : numpy.ndarray
        ``(layers, steps)``; NaN where nothing was seen.
    layers : tuple of str
        The path of each row, in the model's order.
    steps : numpy.ndarray
        The step of each column, int.
    limits : tuple of float
        Of the colour scale: finite, increasing, centred on zero where the sign means something.
    value_label : str
        What the values are.
    """

    title: str
    values: np.ndarray[Any, Any]
    layers: tuple[str, ...]
    steps: np.ndarray[Any, Any]
    limits: Limits
    value_label: str

    def _told(self) -> Told:
        nan_count, inf_count = (int(is_odd(self.values).sum()) for is_odd in (np.isnan, np.isinf))
        told = values_told(self.values, 0, inf_count)
        unseen = f"; {counted(nan_count, 'value')} NaN or not seen" if nan_count else ""
        return Told(f"{self.title}, {_looks(self.steps)}: {told}{unseen}", state="odd" if inf_count else "")


@dataclass(frozen=True, eq=False, repr=False)
class HistoryHistogram(View):
    """One layer's histogram over time; made by `netviz_core.measures.training.TrainingHistory.histogram`.

    Parameters
    ----------
    title : str
    counts : numpy.ndarray
        ``(bins, steps)``, int.
    edges : numpy.ndarray
        ``(bins + 1,)``, increasing: two bins for each power of two, and one for all that is close to zero.
    steps : numpy.ndarray
        The step of each column, int.
    value_label : str
        What the numbers are.
    """

    title: str
    counts: np.ndarray[Any, Any]
    edges: np.ndarray[Any, Any]
    steps: np.ndarray[Any, Any]
    value_label: str

    def _told(self) -> Told:
        return Told(f"{self.title}, {_looks(self.steps)}: {values_told(self.edges, 0, 0)}")


def _looks(steps: np.ndarray[Any, Any]) -> str:
    if not steps.size:
        return "without a look"
    return f"{counted(steps.size, 'look')}, steps {steps[0]:,} to {steps[-1]:,}"


def column_edges(steps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Half the way between steps, and as far beyond the first and last; before the first step there is none.

    Examples
    --------
    >>> column_edges(np.array([0, 10, 30])).tolist(), column_edges(np.array([7])).tolist()
    ([-0.5, 5.0, 20.0, 40.0], [6.5, 7.5])
    """
    places = np.asarray(steps, np.float64)
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (places[:-1] + places[1:]) / 2
    first = 2 * places[0] - middles[0]
    return np.concatenate(
        [[max(first, -0.5) if places[0] >= 0 else first], middles, [2 * places[-1] - middles[-1]]]
    )
