"""What a backend reports of a layer that ran: its values, kept safe, and what became of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


@dataclass(frozen=True)
class Coverage:
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


class HeldValue(Protocol):
    """A value that a backend keeps safe, to be copied out only when and if it must be."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array that `numpy` gives. Costs no copy."""

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as the layer returned it, in memory that nothing else will write to."""


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


def blank(shape: tuple[int, ...]) -> HeldValue:
    """Zeros in no memory, for a value of which the form alone is wanted."""
    return Ready(np.ndarray(shape, np.int8, b"\0", strides=(0,) * len(shape)))
