"""An axis of powers of ten, on which zero and infinity have places, too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path

Array = np.ndarray[Any, Any]

LABEL_LINE, TICK_APART = 0.15, 0.22
"""Inches that the label of a tick takes, and that two of them are apart."""

_BREAK = [(-1.0, -0.9), (1.0, -0.1), (-1.0, 0.1), (1.0, 0.9)]


@dataclass(frozen=True)
class Powers:
    """The y axis: powers of ten, with a place for zero below all of them and one for infinity above.

    Parameters
    ----------
    low, high : int
        The powers at both ends.
    """

    low: int
    high: int

    @classmethod
    def of(cls, numbers: Array) -> Powers:
        """The scale that holds all numbers, and two powers of ten at least."""
        powers = np.log10(numbers[np.isfinite(numbers) & (numbers > 0)])
        low = math.floor(powers.min(initial=math.inf)) if powers.size else -8
        high = math.ceil(powers.max(initial=-math.inf)) if powers.size else 0
        return cls(min(low, high - 2), high)

    @property
    def zero(self) -> float:
        """Where zero lies."""
        return self.low - self._margin

    @property
    def infinity(self) -> float:
        """Where that lies which cannot be compared."""
        return self.high + self._margin

    @property
    def _margin(self) -> float:
        return 0.12 * (self.high - self.low)

    def places(self, numbers: Array) -> Array:
        """Where numbers lie on the axis; what is not a number as if it were infinite."""
        with np.errstate(divide="ignore"):
            powers = np.log10(numbers)
        return np.nan_to_num(powers, nan=self.infinity, posinf=self.infinity, neginf=self.zero)

    def ticks(self, height: float, special: Mapping[float, str]) -> dict[float, str]:
        """The special places, and as many powers of ten as there is room for beside them."""
        inch = 1.12 * (self.infinity - self.zero) / height
        powers = [
            power
            for power in range(self.low, self.high + 1)
            if all(abs(power - other) >= LABEL_LINE * inch for other in special)
        ]
        step = max(math.ceil(TICK_APART * inch), 1)
        return {**{float(power): f"1e{power}" for power in powers[::step]}, **special}


def mark_break(ax: Axes, height: float) -> None:
    """Two strokes through the y axis, where it does not go on in powers of ten."""
    ax.plot(
        [0.0], [height], transform=ax.get_yaxis_transform(), clip_on=False, linestyle="none", markersize=7,
        marker=Path(_BREAK, [Path.MOVETO, Path.LINETO] * 2), markeredgecolor=matplotlib.rcParams["axes.edgecolor"],
        markeredgewidth=0.8, color=matplotlib.rcParams["axes.edgecolor"], zorder=5,
    )  # fmt: skip
