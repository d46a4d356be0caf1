"""What a backend reports of a layer that ran: its values, kept safe, and what became of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from .cards import NAME, PROSE, TEXT, Record, Telling, Told, details, table
from .text_tables import counted, named


@dataclass(frozen=True, repr=False)
class Coverage(Record):
    """What became of one layer asked for.

    Parameters
    ----------
    status : str
        ``captured``, ``not_observed`` (it did not run, or could not be seen) or ``unsupported``.
    reason : str
        Why it was not captured, or not every call of it; empty if all were.
    """

    status: str
    reason: str = ""


class CoverageByPath(Telling, dict[str, Coverage]):
    """What became of every layer asked for, by its path."""

    @property
    def missed(self) -> dict[str, list[str]]:
        """The layers that were not captured, by the reason."""
        by_reason: dict[str, list[str]] = {}
        for path, entry in self.items():
            if entry.status != "captured":
                by_reason.setdefault(entry.reason, []).append(path or "(the model)")
        return by_reason

    def __repr__(self) -> str:
        return f"<{self._counts}>"

    @property
    def _counts(self) -> str:
        count = sum(map(len, self.missed.values()))
        return f"Coverage of {counted(len(self), 'layer')}: {len(self) - count:,} captured, {count:,} not"

    def _told(self) -> Told:
        return Told(
            self._counts,
            [self.table_of_missed(), details("layer by layer", self._table())],
            "doubtful" if self.missed else "fine",
        )

    def lines_of_missed(self) -> list[str]:
        """Which layers were not captured, and why, those of one reason in one line."""
        return [f"not seen: {', '.join(paths)}: {reason}" for reason, paths in self.missed.items()]

    def table_of_missed(self) -> str:
        """Which layers were not captured, and why, as a part of a card."""
        return table(
            {"not captured": PROSE, "because": PROSE},
            list(self.missed.items()),
            lambda row: (named(row[1]), row[0]),
        )

    def _table(self) -> str:
        return table(
            {"layer": NAME, "status": TEXT, "because": PROSE},
            list(self.items()),
            lambda row: (row[0] or "(the model)", row[1].status, row[1].reason),
        )


class HeldValue(Protocol):
    """A value that a backend keeps safe, to be copied out only when and if it must be."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array that `numpy` gives. Costs no copy."""

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as the layer returned it, in memory that nothing else will write to."""


class Binning(NamedTuple):
    """Which values of an array are counted, and in which bins: the leading bits of a float are its bin.

    Parameters
    ----------
    stride : int
        Every so many values are counted, in the order in which they lie in memory.
    shift : int
        So many bits of a float32 do not matter; what the others say without the sign, is its place.
    first, last : int
        The places between which each is a bin; what is nearer to zero goes into the bin in the middle, what is farther
        into the outermost.
    """

    stride: int
    shift: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Reduced:
    """What is known of an array by channel: int64 and float64, see `ChannelStatistics`, and the counts of its bins."""

    count: np.ndarray[Any, Any]
    zero_count: np.ndarray[Any, Any]
    nonfinite_count: np.ndarray[Any, Any]
    nan_count: np.ndarray[Any, Any]
    mean: np.ndarray[Any, Any]
    variance: np.ndarray[Any, Any]
    minimum: np.ndarray[Any, Any]
    maximum: np.ndarray[Any, Any]
    histogram: np.ndarray[Any, Any]


class ReducedLater(Protocol):
    """What will have been made of an array on its device; nobody waits for it before all layers have run."""

    def get(self) -> Reduced:
        """Wait for it."""


class ReducibleValue(Protocol):
    """Opt-in: a `HeldValue` that reduces itself by channel where it lies, so that little has to be brought over."""

    def reduce(self, channel: int | None, binning: Binning) -> ReducedLater | None:
        """Begin to reduce real numbers over all axes but one, or over all.

        Counts are exactly those of `LayerStatistics.of`, means and variances the same to 1e-6 of the spread. None where
        NumPy is to do it.

        Parameters
        ----------
        channel : int or None
            The position of the channels' axis, in the framework's own order.
        binning : Binning
        """


@dataclass(frozen=True, eq=False)
class Ready:
    """A `HeldValue` that needs no care: an array that nothing else writes to."""

    values: np.ndarray[Any, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(self.values.shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array itself."""
        return self.values


class Observation(NamedTuple):
    """One tensor that a layer returned, as a backend reports it.

    ``axes`` are the names of the axes as they stand in the native tensor; the core puts them
    into canonical order. ``nbytes`` is the size of the NumPy array that ``value`` will give.
    ``identity``, where a backend knows one, is the same for two values of a pass only if they are equal.
    """

    leaf: str
    value: HeldValue
    axes: tuple[str, ...]
    dtype: str
    nbytes: int
    identity: Hashable = None

    @classmethod
    def of(cls, values: np.ndarray[Any, Any], axes: tuple[str, ...], leaf: str = "") -> Observation:
        """Of an array that nothing else writes to, with the dtype that it had in the framework."""
        return cls(leaf, Ready(values), axes, str(values.dtype), values.nbytes)


def blank(shape: tuple[int, ...]) -> HeldValue:
    """Zeros in no memory, for a value of which the form alone is wanted."""
    return Ready(np.ndarray(shape, np.int8, b"\0", strides=(0,) * len(shape)))
