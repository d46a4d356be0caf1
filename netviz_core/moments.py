"""Counts, mean, spread and histogram of numbers that come piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_FINEST = 1e-3
_BINS_PER_UNIT = 4
_HALF = 64
BIN_EDGES: Array = _FINEST * np.sinh(np.arange(-_HALF, _HALF + 1) / _BINS_PER_UNIT)
"""Edges that need no range to be known beforehand: even around zero, then growing by 1.28 from bin to bin.

They reach to ±4,443; what lies beyond is counted in the outermost bins.
"""

_SCALARS = 7


@dataclass(frozen=True)
class Moments:
    """What is known of numbers after they have gone by.

    Parameters
    ----------
    count : int
        How many finite numbers there were.
    mean, variance : float
        Of the finite ones; the variance is that of the population. NaN if there were none.
    minimum, maximum : float
        Of the finite ones; NaN if there were none.
    zero_count : int
        How many were exactly zero.
    nonfinite_count : int
        How many were NaN or infinite.
    histogram : numpy.ndarray
        How many lay in each bin of `BIN_EDGES`, int64.

    Examples
    --------
    >>> first, second = Moments.of(np.array([0.0, 1.0])), Moments.of(np.array([2.0, np.nan]))
    >>> both = first.merge(second)
    >>> both.count, both.mean, both.zero_count, both.nonfinite_count
    (3, 1.0, 1, 1)
    """

    count: int
    mean: float
    variance: float
    minimum: float
    maximum: float
    zero_count: int
    nonfinite_count: int
    histogram: Array

    @property
    def std(self) -> float:
        """The standard deviation of the population."""
        return float(np.sqrt(self.variance))

    @property
    def zero_fraction(self) -> float:
        """The share of zeros among the finite numbers."""
        return self.zero_count / self.count if self.count else float("nan")

    @property
    def root_mean_square(self) -> float:
        """The length of the numbers as a vector, divided by the root of their count."""
        return float(np.sqrt(self.variance + self.mean**2))

    @classmethod
    def of(cls, values: Array) -> Moments:
        """Read an array of any shape once."""
        numbers = np.asarray(values).reshape(-1)
        finite = numbers
        if numbers.dtype.kind in "fc":
            is_finite = np.isfinite(numbers)
            finite = numbers if is_finite.all() else numbers[is_finite]
        if np.iscomplexobj(finite):
            finite = np.abs(finite)
        if not finite.size:
            nothing = float("nan")
            empty = np.zeros(len(BIN_EDGES) - 1, np.int64)
            return cls(0, nothing, nothing, nothing, nothing, 0, numbers.size, empty)
        return cls(
            count=finite.size,
            mean=float(finite.mean(dtype=np.float64)),
            variance=float(finite.var(dtype=np.float64)),
            minimum=float(finite.min()),
            maximum=float(finite.max()),
            zero_count=finite.size - int(np.count_nonzero(finite)),
            nonfinite_count=numbers.size - finite.size,
            histogram=_counts(finite),
        )

    def merge(self, other: Moments) -> Moments:
        """What is known of both together.

        Counts add up exactly. Means and variances are combined as in Chan, Golub and LeVeque,
        "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
        """
        if not self.count or not other.count:
            known, empty = (other, self) if not self.count else (self, other)
            return Moments(
                known.count, known.mean, known.variance, known.minimum, known.maximum,
                known.zero_count, known.nonfinite_count + empty.nonfinite_count, known.histogram,
            )  # fmt: skip
        count = self.count + other.count
        share, distance = other.count / count, other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + distance * share,
            variance=self.variance * (1 - share) + other.variance * share + distance**2 * share * (1 - share),
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            zero_count=self.zero_count + other.zero_count,
            nonfinite_count=self.nonfinite_count + other.nonfinite_count,
            histogram=self.histogram + other.histogram,
        )

    def pack(self) -> Array:
        """All of it in one float64 vector."""
        scalars = (
            self.count, self.mean, self.variance, self.minimum, self.maximum,
            self.zero_count, self.nonfinite_count,
        )  # fmt: skip
        return np.concatenate([np.array(scalars, np.float64), self.histogram])

    @classmethod
    def unpack(cls, packed: Array) -> Moments:
        """The opposite of `pack`."""
        count, mean, variance, minimum, maximum, zeros, nonfinite = packed[:_SCALARS].tolist()
        histogram = packed[_SCALARS:].astype(np.int64)
        return cls(int(count), mean, variance, minimum, maximum, int(zeros), int(nonfinite), histogram)


def _counts(finite: Array) -> Array:
    """How many numbers lie in each bin of `BIN_EDGES`."""
    scaled = np.arcsinh(finite * (1 / _FINEST))
    scaled *= _BINS_PER_UNIT
    bins = np.clip(np.floor(scaled, out=scaled), -_HALF, _HALF - 1, out=scaled).astype(np.intp)
    return np.bincount(bins + _HALF, minlength=2 * _HALF)
