"""Receives what layers returned, as a backend reports it while a model runs."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..words.arguments import is_function
from ..words.arrays import Activation, AxisArray, canonical_axes
from ..words.errors import (
    AxisError,
    CaptureTooLargeError,
    InputError,
    LayerNotFoundError,
    as_integer,
    nearest,
)
from ..words.given import shown
from ..words.observations import Coverage, HeldValue, Observation, Ready
from ..words.protocols import Layer
from ..words.selection import fits
from ..words.structure import is_number

Reduction = Callable[[Activation], "AxisArray | np.ndarray[Any, Any] | float"]
"""Makes something smaller of an activation as soon as it is there."""

DEFAULT_MAX_BYTES = 4 * 2**30
"""What a capture may hold unless told otherwise: 4 GiB."""


@dataclass
class Slot:
    """Where one observation waits until somebody looks at it."""

    path: str
    call: int
    observation: Observation
    axes: tuple[str, ...]
    activation: Activation | None = None

    def get(self) -> Activation:
        if self.activation is None:
            observed, axes = self.observation, canonical_axes(self.axes)
            values = observed.value.numpy()
            if axes != self.axes:
                values = AxisArray(values, self.axes).transpose(*axes).values
            self.activation = Activation(values, axes, self.path, self.call, observed.leaf, observed.dtype)
        return self.activation


class Recorder:
    """Receives from a backend what the layers asked for returned.

    Parameters
    ----------
    layers : iterable of Layer
        Those asked for.
    axes : sequence of str, or mapping, optional
        The user's own axis names, see `capture`.
    max_bytes : int
        How many bytes of values may be held.
    reduce : callable, or mapping, optional
        See `capture`.
    given : Recorder, optional
        It wants the same layers, and is told, before each call, what the layer is given: the
        leaves of its arguments by position and by keyword.
    sample_counts : container of int, optional
        How many samples there may be: an axis of another length is not that of the samples, whatever the layer
        takes it for, but for one of a single entry, which stands for all.
    """

    keeps_values = True
    """Whether it wants the values themselves; if not, a backend may give `blank` ones."""

    absence = "it did not run during the pass"
    """Why nothing was told of a layer."""

    looks_only = False
    """Whether it reads a value while it is told of it and never again, so that a backend need not keep it safe."""

    def __init__(
        self,
        layers: Iterable[Layer],
        axes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        reduce: Reduction | Mapping[str, Reduction] | None = None,
        given: Recorder | None = None,
        sample_counts: Container[int] | None = None,
    ) -> None:
        self.given = given
        self._sample_counts = sample_counts
        self._order = [layer.path for layer in layers]
        self.paths = frozenset(self._order)
        self._axes = _by_pattern(axes, "axes", self._order, _is_axis_names)
        self._unused_axes = set(self._axes)
        self._reduce = _by_pattern(reduce, "reduce", self._order, is_function)
        self._max_bytes = as_integer(max_bytes, "max_bytes")
        self._bytes = 0
        self._slots: list[Slot] = []
        self.changes = 0
        """A number that grows whenever values come, go, or are put into another order."""
        self._calls: dict[str, int] = {}
        self._misses: dict[str, Coverage] = {}
        self.others: dict[str, list[tuple[str, Any]]] = {}
        """What layers returned beside tensors, by path, see `add_others`."""

    def add(self, path: str, observations: Sequence[Observation]) -> None:
        """Keep what the layer at `path` returned from one call.

        Raises
        ------
        CaptureTooLargeError
            Before anything of this call is kept, if it would go beyond the limit.
        AxisError
            If the user's axis names do not fit.
        """
        call = self._calls.get(path, 0)
        slots = [self._slot(path, call, observed) for observed in observations]
        needed = sum(slot.observation.nbytes for slot in slots)
        self.require_room(path, needed)
        self._bytes += needed
        self._calls[path] = call + 1
        self._slots.extend(slots)
        self.changes += 1
        if not observations:
            self.miss(path, "it returned no tensor", "unsupported")

    @property
    def room(self) -> int:
        """How many bytes of values may still be added."""
        return self._max_bytes - self._bytes

    def require_room(self, path: str, nbytes: int) -> None:
        """Refuse what would not fit, before a backend copies anything.

        Raises
        ------
        CaptureTooLargeError
        """
        if nbytes > self.room:
            raise CaptureTooLargeError(
                f"layer {path!r} brings the capture to {self._bytes + nbytes:,} bytes, more than max_bytes="
                f"{self._max_bytes:,}; ask for fewer layers, a smaller batch, or raise max_bytes"
            )

    def miss(self, path: str, reason: str, status: str = "not_observed") -> None:
        """Say why a layer asked for is not captured; the first reason given stands."""
        self._misses.setdefault(path, Coverage(status, reason))

    def add_others(self, path: str, others: Iterable[tuple[str, Any]]) -> None:
        """Tell what else the layer at `path` returned that may hold numbers, see `netviz_core.backend_api.others`."""
        self.others.setdefault(path, []).extend(others)

    def rearrange(self, start: int, order: Sequence[int]) -> None:
        """Put the values from position `start` on into another order, and number the calls anew.

        Parameters
        ----------
        start : int
            How many values there were before those to be moved.
        order : sequence of int
            The positions that they have now, in the order in which they shall stand.
        """
        self._slots[start : start + len(order)] = [self._slots[position] for position in order]
        self.changes += 1
        numbers: dict[str, dict[int, int]] = {}
        for slot in self._slots:
            calls = numbers.setdefault(slot.path, {})
            slot.call = calls.setdefault(slot.call, len(calls))

    def withdraw(self, values: Container[HeldValue], reason: str) -> None:
        """Take back values that have turned out not to be trusted."""
        for slot in self._slots:
            if slot.observation.value in values:
                self.miss(slot.path, reason, "unsupported")
        self._slots[:] = [slot for slot in self._slots if slot.observation.value not in values]
        self.changes += 1

    @property
    def slots(self) -> Sequence[Slot]:
        """What has been kept so far, in the order in which it was returned."""
        return self._slots

    def require_axes_used(self) -> None:
        """Refuse axis names that fitted nothing that was returned.

        Raises
        ------
        AxisError
        """
        if self._unused_axes and self._slots:
            names = tuple(self._axes[min(self._unused_axes)])
            ranks = sorted({len(slot.axes) for slot in self._slots})
            raise AxisError(
                f"axes={names} were given and no output has {len(names)} axes; there are outputs with "
                f"{' and '.join(map(str, ranks))}"
            )

    def coverage(self) -> dict[str, Coverage]:
        """What became of every layer asked for, so far."""
        captured = {slot.path for slot in self._slots}
        absent = Coverage("not_observed", self.absence)
        found = {path: self._misses.get(path, absent) for path in self._order}
        # A layer of which some calls or parts are missing is captured, and still says why those are not.
        for path in captured:
            was_seen = found[path].status == "unsupported"
            found[path] = Coverage("captured", found[path].reason if was_seen else self._unread(path))
        return found

    def _unread(self, path: str) -> str:
        """Which parts of what a layer returned could not be looked into."""
        hidden = {
            name: type(value).__name__ for name, value in self.others.get(path, ()) if not is_number(value)
        }
        told = ", ".join(f"{name!r} ({type_name})" for name, type_name in hidden.items())
        return f"parts of what it returned could not be looked into: {told}" if told else ""

    def reduces(self, path: str) -> bool:
        """Whether what the layer at `path` returns is made smaller at once."""
        return any(fits(path, pattern) for pattern in self._reduce)

    def _slot(self, path: str, call: int, observed: Observation) -> Slot:
        slot = Slot(path, call, observed, self._axes_of(path, observed))
        reduce = next((found for pattern, found in self._reduce.items() if fits(path, pattern)), None)
        if reduce is None:
            return slot
        reduced = reduce(slot.get())
        array = reduced if isinstance(reduced, AxisArray) else _positional(np.array(reduced))
        if array.values.dtype.kind not in "biufc":
            raise InputError(
                f"reduce made {shown(reduced)} of layer {path!r}; it must return numbers or an AxisArray"
            )
        small = observed._replace(value=Ready(array.values), nbytes=array.values.nbytes)
        return Slot(path, call, small, array.axes)

    def _axes_of(self, path: str, observed: Observation) -> tuple[str, ...]:
        for pattern, names in self._axes.items():
            if fits(path, pattern):
                if len(names) == len(observed.axes):
                    self._unused_axes.discard(pattern)
                    return tuple(names)
                if pattern != "*":
                    raise AxisError(
                        f"axes={tuple(names)} were given for layer {path!r}, whose output has "
                        f"{len(observed.axes)} axes, {observed.axes}; name each of them"
                    )
        if observed.axes[:1] == ("batch",) and self._sample_counts is not None:
            entries = observed.value.shape[0]
            if entries != 1 and entries not in self._sample_counts:
                return ("axis0", *observed.axes[1:])
        return observed.axes


class SummaryRecorder(Recorder):
    """Receives what layers returned, looks at it once, and keeps what that makes of it.

    Parameters
    ----------
    layers : iterable of Layer
        Those asked for.
    summarise : callable
        Given each `Activation` while its layer returns. Its values are the layer's own: they must not be written
        to, nor kept.
    begin : callable, optional
        Given each value before, and its axes, in the framework's own order. If it has begun to make the summary where
        the value lies, it returns what will give it when the pass is over; else None.
    """

    looks_only = True

    def __init__(
        self,
        layers: Iterable[Layer],
        summarise: Callable[[Activation], Any],
        begin: Callable[[HeldValue, tuple[str, ...]], Callable[[], Any] | None] | None = None,
    ) -> None:
        super().__init__(layers)
        self._summarise = summarise
        self._begin = begin
        self._summaries: dict[int, Any] = {}
        self._latest: tuple[Hashable, Any] = None, None

    def reduces(self, path: str) -> bool:
        """Whether what the layer at `path` returns is made smaller at once."""
        return True

    def summary_of(self, slot: Slot) -> Any:
        """What was made of a value; that of the one before, where the two are the same."""
        return self._summaries[id(slot)]()

    def _slot(self, path: str, call: int, observed: Observation) -> Slot:
        axes = self._axes_of(path, observed)
        identity = None if observed.identity is None else (observed.identity, axes)
        summary = self._latest[1]
        if identity is None or identity != self._latest[0]:
            summary = self._summary(Slot(path, call, observed, axes))
        self._latest = identity, summary
        slot = Slot(path, call, observed._replace(value=Ready(np.zeros(0)), nbytes=0), axes)
        self._summaries[id(slot)] = summary
        return slot

    def _summary(self, slot: Slot) -> Callable[[], Any]:
        begun = self._begin(slot.observation.value, slot.axes) if self._begin is not None else None
        if begun is not None:
            return cache(begun)
        made = self._summarise(slot.get())
        return lambda: made


def _positional(values: np.ndarray[Any, Any]) -> AxisArray:
    return AxisArray(values, tuple(f"axis{position}" for position in range(values.ndim)))


def _by_pattern(
    given: Any, name: str, paths: Sequence[str], is_valid: Callable[[Any], bool]
) -> dict[str, Any]:
    """An option for every layer, or one for each path or glob of a mapping, checked."""
    by_pattern = dict(given) if isinstance(given, Mapping) else {} if given is None else {"*": given}
    for pattern, value in by_pattern.items():
        if not is_valid(value):
            error = AxisError if name == "axes" else InputError
            raise error(f"{name}={shown(value)} cannot be used; netviz_core.capture says what can")
        if pattern != "*" and not any(fits(path, pattern) for path in paths):
            raise LayerNotFoundError(
                f"{name}: no layer asked for is called {shown(pattern)}; {nearest(pattern, paths)}"
            )
    return by_pattern


def _is_axis_names(value: Any) -> bool:
    """Whether these are names for axes, each of them another."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(axis, str) for axis in value)
        and len(set(value)) == len(value)
    )
