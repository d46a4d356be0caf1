"""Count, mean, variance, extremes and zeros of each channel: what is known after values have gone by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from ..words.cards import NUMBER, Telling, Told, table
from ..words.ranges import digits
from ..words.text_tables import counted

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class ChannelStatistics(Telling):
    """The same numbers for each channel by itself; arrays of shape ``(channel,)``.

    Parameters
    ----------
    count, zero_count, nonfinite_count, nan_count : numpy.ndarray
        int64; `count` is of the finite values, and NaN are among those that are not finite.
    mean, variance, minimum, maximum : numpy.ndarray
        float64, of the finite values; NaN where there are none. The variance is that of the population.
    """

    count: Array
    mean: Array
    variance: Array
    minimum: Array
    maximum: Array
    zero_count: Array
    nonfinite_count: Array
    nan_count: Array

    @property
    def columns(self) -> tuple[Array, ...]:
        """All of them, in the order of their names."""
        columns: tuple[Array, ...] = _COLUMNS(self)
        return columns

    def __repr__(self) -> str:
        return f"<ChannelStatistics of {counted(len(self.count), 'channel')}>"

    def _told(self) -> Told:
        odd = int(np.count_nonzero(self.nonfinite_count))
        told = counted(len(self.count), "channel")
        return Told(
            f"{told}; values that are not finite in {odd:,}" if odd else told,
            [self.as_table()],
            "odd" if odd else "",
        )

    def as_table(self) -> str:
        """The table of channels, as a part of a card."""
        known = {
            field.name.replace("_", " "): column
            for field, column in zip(fields(self), self.columns, strict=True)
        }
        return table(
            dict.fromkeys(("channel", *known), NUMBER),
            range(len(self.count)),
            lambda row: (
                f"{row:,}",
                *(f"{c[row]:,}" if c.dtype.kind == "i" else digits(c[row]) for c in known.values()),
            ),
            lambda row: bool(self.nonfinite_count[row]),
        )

    @classmethod
    def of_nothing(cls, size: int) -> ChannelStatistics:
        """Those of so many channels before a value has gone by."""
        none, nothing = np.zeros(size, np.int64), np.full(size, np.nan)
        return cls(none, nothing, nothing, nothing, nothing, none, none, none)

    def merge(self, other: ChannelStatistics) -> ChannelStatistics:
        """Those of both together, by the formulae of Chan, Golub and LeVeque (1979)."""
        return merged_channels([self], [other])[0]

    def over_all(self) -> ChannelStatistics:
        """All channels as one."""
        return ChannelStatistics(*(column[:, np.newaxis] for column in self.columns))._pooled()

    def _pooled(self) -> ChannelStatistics:
        """Of arrays of shape ``(part, channel)``, all parts as one: the mean of means, and both kinds of variance."""
        count = self.count.sum(axis=0)
        known = self.count > 0
        weights = np.divide(self.count, count, out=np.zeros(self.count.shape), where=count > 0)
        mean = np.where(known, weights * self.mean, 0.0).sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):  # of values near the largest that there are
            spread = np.where(known, weights * (self.variance + (self.mean - mean) ** 2), 0.0)
        return ChannelStatistics(
            count,
            np.where(count > 0, mean, np.nan),
            np.where(count > 0, spread.sum(axis=0), np.nan),
            np.fmin.reduce(self.minimum, axis=0, initial=np.nan),
            np.fmax.reduce(self.maximum, axis=0, initial=np.nan),
            self.zero_count.sum(axis=0),
            self.nonfinite_count.sum(axis=0),
            self.nan_count.sum(axis=0),
        )


_COLUMNS = attrgetter(*(field.name for field in fields(ChannelStatistics)))


def merged_channels(
    some: Sequence[ChannelStatistics], others: Sequence[ChannelStatistics]
) -> list[ChannelStatistics]:
    """Each together with its counterpart of as many channels, all in one go."""
    if not some:
        return []
    ends = np.cumsum([len(one.count) for one in some]).tolist()
    columns = zip(*(one.columns for one in (*some, *others)), strict=True)
    pooled = (
        ChannelStatistics(*(np.concatenate(column).reshape(2, -1) for column in columns))._pooled().columns
    )
    return [
        ChannelStatistics(*(column[start:end] for column in pooled))
        for start, end in zip((0, *ends), ends, strict=False)
    ]
