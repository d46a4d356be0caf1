"""Measures ways to do one thing in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def in_turns(title: str, ways: dict[str, Callable[[], object]], rounds: int) -> None:
    """Print the seconds, and the seconds of the processor, that each way takes in turns; the last two are compared."""
    clocks = {"elapsed": time.perf_counter, "processor": time.process_time}
    taken: dict[tuple[str, str], list[float]] = {(name, clock): [] for name in ways for clock in clocks}
    for number in range(rounds + 2):
        for name, way in ways.items():
            starts = {clock: read() for clock, read in clocks.items()}
            way()
            for clock, read in clocks.items():
                if number >= 2:
                    taken[name, clock].append(read() - starts[clock])
    print(f"{title}: medians and the fastest of {rounds} rounds, in milliseconds")
    for name in ways:
        cells = [
            f"{clock} {np.median(taken[name, clock]) * 1e3:8.1f} {min(taken[name, clock]) * 1e3:8.1f}"
            for clock in clocks
        ]
        print(f"  {name:14} {'   '.join(cells)}")
    *_, ours, theirs = ways
    for words, of in (("medians", np.median), ("the fastest of each", min)):
        ratios = [f"{clock} {of(taken[ours, clock]) / of(taken[theirs, clock]):.2f}" for clock in clocks]
        print(f"  {ours} / {theirs}, {words}: {', '.join(ratios)}")
