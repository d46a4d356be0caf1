"""What is known of the values of one layer, or one weight, after all of them have gone by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from ..views.base import picture
from ..views.bin_edges import edges_of
from ..views.histogram import Histogram
from ..words.cards import Telling, Told, details, pairs
from ..words.errors import InputError
from ..words.observations import Binning, HeldValue, Reduced, ReducedLater
from ..words.ranges import digits, values_told
from ..words.text_tables import counted
from .bins import bin_edges, detail_of, leading_bits, leading_bits_counts, quantiles_of, rebinned
from .channel_statistics import ChannelStatistics, merged_channels
from .reductions import by_channel, in_memory_order

Array = np.ndarray[Any, Any]

DETAIL = 4
"""Each power of two is cut into so many bins, as a power of two; see `netviz_core.measures.bins.bin_edges`."""

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)

MEASURES = (
    "mean", "std", "minimum", "maximum", "zero_fraction", "nonfinite_fraction", "nonfinite_count", "root_mean_square",
)  # fmt: skip
"""The properties of `LayerStatistics` that are one number, in a word."""


@dataclass(frozen=True, eq=False, repr=False)
class LayerStatistics(Telling):
    """What is known of the values of one layer, after all of them have gone by.

    Parameters
    ----------
    histogram : numpy.ndarray
        How many values lay in each bin of `netviz_core.measures.bins.bin_edges`, int64: of an even sample of each
        batch, unless all were asked for.
    channels : ChannelStatistics
        For each channel; for values without an axis ``channel``, of one that has them all.

    Examples
    --------
    >>> first, second = (LayerStatistics.of(np.array(values)) for values in ([0.0, 1.0], [2.0, np.nan]))
    >>> both = first.merge(second)
    >>> both.count, both.mean, both.zero_count, both.nonfinite_count
    (3, 1.0, 1, 1)
    """

    histogram: Array
    channels: ChannelStatistics

    @classmethod
    def of(
        cls,
        values: Array,
        axes: Sequence[str] = (),
        *,
        detail: int = DETAIL,
        most: int | None = None,
        precise: bool = False,
    ) -> LayerStatistics:
        """Read an array once, into bins of a `detail`; of more than so many values, an even sample goes into them.

        What is small beside the values that it is the mean of needs sums that are precise, of float64.
        """
        if np.iscomplexobj(values):
            values = np.abs(values)
        channels = by_channel(values, axes, precise=precise)
        taken = (values if most is None or values.size <= most else _evenly(values, most)).reshape(-1)
        finite = taken[np.isfinite(taken)] if channels.nonfinite_count.any() else taken
        return cls(leading_bits_counts(finite, detail), channels)

    @classmethod
    def begun(
        cls, value: HeldValue, axes: Sequence[str] = (), *, detail: int = DETAIL, most: int | None = None
    ) -> Callable[[], LayerStatistics] | None:
        """The same as `of`, of a value that reduces itself where it lies: called later, it waits for them.

        None where it does not.
        """
        if not hasattr(value, "reduce"):
            return None
        channel = tuple(axes).index("channel") if "channel" in axes else None
        binning = Binning(_stride(math.prod(value.shape), most), *leading_bits(detail))
        later: ReducedLater | None = value.reduce(channel, binning)
        return None if later is None else lambda: cls._of_reduced(later.get())

    @classmethod
    def _of_reduced(cls, reduced: Reduced) -> LayerStatistics:
        columns = (getattr(reduced, field.name) for field in fields(ChannelStatistics))
        return cls(reduced.histogram, ChannelStatistics(*columns))

    @cached_property
    def _whole(self) -> ChannelStatistics:
        return self.channels.over_all()

    @property
    def count(self) -> int:
        """How many finite values there were."""
        return int(self._whole.count[0])

    @property
    def mean(self) -> float:
        """Of the finite values."""
        return float(self._whole.mean[0])

    @property
    def variance(self) -> float:
        """Of the finite values, as a population."""
        return float(self._whole.variance[0])

    @property
    def std(self) -> float:
        """The root of `variance`."""
        return float(np.sqrt(self.variance))

    @property
    def root_mean_square(self) -> float:
        """The length of the finite values as a vector, divided by the root of their count."""
        return float(np.sqrt(self.variance + self.mean**2))

    @property
    def minimum(self) -> float:
        """The smallest finite value."""
        return float(self._whole.minimum[0])

    @property
    def maximum(self) -> float:
        """The largest finite value."""
        return float(self._whole.maximum[0])

    @property
    def zero_count(self) -> int:
        """How many values were exactly zero."""
        return int(self._whole.zero_count[0])

    @property
    def zero_fraction(self) -> float:
        """The share of zeros among the finite values; NaN where there are none."""
        return self.zero_count / self.count if self.count else float("nan")

    @property
    def nonfinite_count(self) -> int:
        """How many values were NaN or infinite."""
        return int(self._whole.nonfinite_count[0])

    @property
    def nonfinite_fraction(self) -> float:
        """The share of NaN and infinite values among all; NaN where there are none."""
        total = self.count + self.nonfinite_count
        return self.nonfinite_count / total if total else float("nan")

    @property
    def nan_count(self) -> int:
        """How many values were NaN."""
        return int(self._whole.nan_count[0])

    @property
    def inf_count(self) -> int:
        """How many values were infinite, of either sign."""
        return self.nonfinite_count - self.nan_count

    @property
    def _edges(self) -> Array:
        """The histogram's edges, without what lies beyond the smallest and the largest value."""
        edges = bin_edges(detail_of(self.histogram))
        return np.clip(edges, self.minimum, self.maximum) if self.count else edges

    def counts_between(self, edges: Array) -> Array:
        """How many values of the histogram lie in other bins; within a bin they count as evenly spread.

        Those of the bin around zero count as zero, or just above.
        """
        own, middle = self._edges.copy(), len(self.histogram) // 2
        own[middle] = np.clip(0.0, own[middle], own[middle + 1])
        return rebinned(self.histogram, own, edges)

    @property
    def quantiles(self) -> dict[float, float]:
        """Quantiles by their share: those of 0, 1, 5, 25, 50, 75, 95, 99 and 100 per cent."""
        return {share: self.quantile(share) for share in QUANTILES}

    def quantile(self, share: float) -> float:
        """The value below which a share of all values lies, from the histogram.

        Within a bin values count as even: the error is at most a bin's width, of those of `statistics` 1/16 of
        the value.
        """
        if not 0 <= share <= 1:
            raise InputError(f"there is no quantile {share}; give a share from 0 to 1")
        if share in (0, 1):  # of every value, where the histogram is of a sample
            return self.maximum if share else self.minimum
        edges = self._edges.copy()
        middle = len(self.histogram) // 2
        edges[middle : middle + 2] = np.clip(0.0, edges[middle], edges[middle + 1])
        return quantiles_of(self.histogram, edges, share)

    def as_histogram(self, name: str, bins: int = 50) -> Histogram:
        """The histogram, in bins of equal width, as a view; `name` is whose it is."""
        edges = edges_of((self.minimum, self.maximum) if self.count else (0.0, 1.0), bins)
        sampled = int(self.histogram.sum())
        sample = f", a sample of {sampled:,}" if sampled < self.count else ""
        return Histogram(
            title=f"{name} · {counted(self.count, 'value')}{sample}",
            counts=self.counts_between(edges),
            edges=edges,
            mean=self.mean,
            std=self.std,
            minimum=self.minimum,
            maximum=self.maximum,
            nan_count=self.nan_count,
            inf_count=self.inf_count,
            value_label="activation",
        )

    def __repr__(self) -> str:
        return f"<LayerStatistics of {self._in_short}>"

    @property
    def _in_short(self) -> str:
        ends = np.array([self.minimum, self.maximum])
        return f"{counted(self.count, 'finite value')} {values_told(ends, self.nan_count, self.inf_count)}"

    def _told(self) -> Told:
        numbers = {name: digits(getattr(self, name)) for name in MEASURES}
        quantiles = {f"{share:.0%}": digits(value) for share, value in self.quantiles.items()}
        return Told(
            self._in_short,
            [
                picture(self.as_histogram("values")),
                details("numbers", pairs({name.replace("_", " "): value for name, value in numbers.items()})),
                details("quantiles", pairs(quantiles)),
                details("channel by channel", self.channels.as_table()),
            ],
            "odd" if self.nonfinite_count else "",
        )

    def merge(self, other: LayerStatistics) -> LayerStatistics:
        """Those of both together."""
        return merged([self], [other])[0]

    def pack(self) -> Array:
        """All of it in one float64 vector."""
        return np.concatenate([[float(len(self.channels.count))], *self.channels.columns, self.histogram])

    @classmethod
    def unpack(cls, packed: Array) -> LayerStatistics:
        """The opposite of `pack`."""
        known = fields(ChannelStatistics)
        columns, histogram = np.split(packed[1:], [len(known) * int(packed[0])])
        channels = ChannelStatistics(*(
            column.astype(np.int64) if field.name.endswith("count") else column
            for field, column in zip(known, columns.reshape(len(known), -1), strict=True)
        ))  # fmt: skip
        return cls(histogram.astype(np.int64), channels)


def merged(some: Sequence[LayerStatistics], others: Sequence[LayerStatistics]) -> list[LayerStatistics]:
    """Each together with its counterpart, all in one go."""
    for one, other in zip(some, others, strict=True):
        if len(one.channels.count) != len(other.channels.count):
            raise InputError(
                f"statistics of {len(one.channels.count)} and of {len(other.channels.count)} channels cannot be merged"
            )
    channels = merged_channels([one.channels for one in some], [other.channels for other in others])
    counts = (one.histogram + other.histogram for one, other in zip(some, others, strict=True))
    return list(map(LayerStatistics, counts, channels))


def _evenly(values: Array, most: int) -> Array:
    """An even sample, in the order in which values lie in memory."""
    return values.transpose(in_memory_order(values)).reshape(-1)[:: _stride(values.size, most)]


def _stride(size: int, most: int | None) -> int:
    """That of an even sample; it has nothing in common with any length, so that no channel or place is left out."""
    if most is None or size <= most:
        return 1
    stride = -(-size // most)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride
