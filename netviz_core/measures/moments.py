"""Counts, mean, spread and histogram of numbers that come piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_SMALLEST, _LARGEST = -30, 16
"""Powers of two between which bins lie; what is closer to zero, or farther, goes into the next bin."""


def bin_edges(detail: int) -> Array:
    """Edges that need no range to be known beforehand, growing with the numbers from 1e-9 to 65,536.

    Parameters
    ----------
    detail : int
        Each power of two is cut into ``2**detail`` bins of equal width.

    Returns
    -------
    numpy.ndarray
        Float64, increasing, symmetric; the bin in the middle holds what is closer to zero than 2⁻³⁰.

    Examples
    --------
    >>> bin_edges(1)[93:98].round(12).tolist()
    [9.31e-10, 1.397e-09, 1.863e-09, 2.794e-09, 3.725e-09]
    """
    steps = np.arange((_LARGEST - _SMALLEST << detail) + 1)
    octave, place = np.divmod(steps, 1 << detail)
    positive = 2.0 ** (octave + _SMALLEST) * (1 + place / (1 << detail))
    return np.concatenate([-positive[::-1], positive])


HISTORY_DETAIL = 1
BIN_EDGES: Array = bin_edges(HISTORY_DETAIL)
"""The edges of `Moments.histogram` as a training history has it."""

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
        How many lay in each bin, see `bin_edges`; int32 or wider.

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
    def of(cls, values: Array, detail: int = HISTORY_DETAIL) -> Moments:
        """Read an array of any shape once; `detail` is that of `bin_edges`."""
        numbers = np.asarray(values).reshape(-1)
        finite = numbers
        if numbers.dtype.kind in "fc":
            is_finite = np.isfinite(numbers)
            finite = numbers if is_finite.all() else numbers[is_finite]
        if np.iscomplexobj(finite):
            finite = np.abs(finite)
        if not finite.size:
            nothing = float("nan")
            empty = leading_bits_counts(np.zeros(0, np.float32), detail)
            return cls(0, nothing, nothing, nothing, nothing, 0, numbers.size, empty)
        return cls(
            count=finite.size,
            mean=float(finite.mean(dtype=np.float64)),
            variance=float(finite.var(dtype=np.float64)),
            minimum=float(finite.min()),
            maximum=float(finite.max()),
            zero_count=finite.size - int(np.count_nonzero(finite)),
            nonfinite_count=numbers.size - finite.size,
            histogram=leading_bits_counts(finite, detail),
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


def leading_bits_counts(finite: Array, detail: int) -> Array:
    """How many finite numbers lie in each bin of `bin_edges`.

    The leading bits of a float are its bin: the exponent, and so many of the mantissa.
    """
    with np.errstate(over="ignore"):  # what float32 does not hold goes into the outermost bins
        bits = finite.astype(np.float32, copy=False).view(np.int32)
    first, last = 127 + _SMALLEST << detail, 127 + _LARGEST << detail
    place = np.bitwise_and(bits, 0x7FFFFFFF)
    place >>= 23 - detail
    np.clip(place, first - 1, last - 1, out=place)
    place -= first - 1
    np.negative(place, out=place, where=bits < 0)
    place += last - first
    return np.bincount(place, minlength=2 * (last - first) + 1)


def quantiles_of(counts: Array, edges: Array, share: float) -> float:
    """The number below which a share of those counted lies; within a bin they count as evenly spread."""
    below = np.concatenate([[0], np.cumsum(counts)])
    if not below[-1]:
        return float("nan")
    used = np.flatnonzero(counts)
    return float(np.interp(share * below[-1], below[used[0] : used[-1] + 2], edges[used[0] : used[-1] + 2]))


def rebinned(counts: Array, edges: Array, others: Array) -> Array:
    """How many of those counted lie in other bins, where within a bin they count as evenly spread; int64."""
    below = np.concatenate([[0], np.cumsum(counts)])
    return np.diff(np.rint(np.interp(others, edges, below)).astype(np.int64))
