"""Measures ways to do one thing in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import ctypes
import gc
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

OURS = "netviz"

Ways = Mapping[str, Callable[[], object]]
"""What is timed, by name: `OURS`, and what it is held against."""


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Parameters
    ----------
    title : str
    make : callable
        Given whether it has to be quick, and small for that, returns the ways.
    aims : mapping, optional
        How many times as long as another way ours may take.
    beyond : str
        A way that all others begin with, which is taken off.
    is_variant : bool
        Whether it is like another, and left out where it has to be quick.
    """

    title: str
    make: Callable[[bool], Ways]
    aims: Mapping[str, float] = field(default_factory=dict)
    beyond: str = ""
    is_variant: bool = False


class Spread(NamedTuple):
    """How many times as long as another way ours took: over the rounds, and the fastest of each."""

    median: float
    low: float
    high: float
    fastest: float


CLOCKS: Mapping[str, Callable[[], float]] = {
    "elapsed": time.perf_counter,
    "processor": lambda: sum(_processor_of(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)),
}


def _processor_of(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Measured:
    """The seconds of one case: by clock and way, those of each round; and the bytes that each way added at its peak."""

    case: Case
    seconds: Mapping[str, Mapping[str, list[float]]]
    peak_memory: Mapping[str, int]

    def against(self, other: str, clock: str) -> Spread:
        """Our time over that of another way."""
        ours, theirs = (self._own(clock, name) for name in (OURS, other))
        low, median, high = np.quantile(ours / theirs, (0.25, 0.5, 0.75))
        ours, theirs = (self._own(clock, name, fastest=True) for name in (OURS, other))
        return Spread(float(median), float(low), float(high), float(ours / theirs))

    def _own(self, clock: str, name: str, *, fastest: bool = False) -> np.ndarray:
        over = np.min if fastest else np.asarray
        taken = over(self.seconds[clock][name])
        return taken - over(self.seconds[clock][self.case.beyond]) if self.case.beyond else taken

    @property
    def others(self) -> list[str]:
        """What ours is held against."""
        ways = next(iter(self.seconds.values()))
        return [name for name in ways if name not in (OURS, self.case.beyond)]


def in_turns(case: Case, *, rounds: int, quick: bool) -> Measured:
    """Time all ways of a case, one after the other in each round; each once, where it has to be quick."""
    ways = case.make(quick)
    seconds: dict[str, dict[str, list[float]]] = {clock: {name: [] for name in ways} for clock in CLOCKS}
    peak_memory = {name: 0 if quick else _peak_memory(way) for name, way in ways.items()}
    if not quick:
        gc.collect()
    for number in range(1 if quick else 1 + rounds):
        for name, way in ways.items():
            starts = {clock: read() for clock, read in CLOCKS.items()}
            kept = way()
            for clock, read in CLOCKS.items():
                if number or quick:
                    seconds[clock][name].append(read() - starts[clock])
            del kept
    return Measured(case, seconds, peak_memory)


def _peak_memory(way: Callable[[], object]) -> int:
    """How much more memory the process has at the worst than before; 0 where the system does not tell."""
    if not _RESET.exists():
        return 0
    way()  # what it keeps for good is there from now on
    ctypes.CDLL(None).malloc_trim(0)  # else what was given back, and is the allocator's, is no more
    _RESET.write_text("5")
    before = _memory("VmRSS")
    way()
    return _memory("VmHWM") - before


_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
"""Linux' own: where the highest number is forgotten, and where it stands."""


def _memory(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])
