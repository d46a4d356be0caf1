"""Tells what was measured: as a table, and as JSON with the machine that it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .turns import CLOCKS, OURS, Measured, Spread

_PACKAGES = (
    "netviz-core", "numpy", "torch", "torchvision", "keras", "tensorflow-cpu", "jax", "matplotlib", "torchinfo",
    "torchview",
)  # fmt: skip

_AGAINST, _CELL, _MEMORY = 24, 36, 14

HEADER = "".join(
    (
        f"{'netviz over …':{_AGAINST}}",
        *(f"{f'{clock}: median (quartiles) fastest':>{_CELL}}" for clock in CLOCKS),
        f"{'peaks in MB':>{_MEMORY}}  [aim]",
    )
)


def rows(measured: Measured) -> Iterator[str]:
    """The title, and one line for each way that ours is held against."""
    yield measured.case.title
    ours = measured.peak_memory[OURS]
    for other in measured.others:
        aim = measured.case.aims.get(other)
        cells = "".join(f"{_cell(measured.against(other, clock)):>{_CELL}}" for clock in CLOCKS)
        memory = f"{ours / 1e6:.0f} / {measured.peak_memory[other] / 1e6:.0f}"
        yield f"  {other:{_AGAINST - 2}}{cells}{memory:>{_MEMORY}}{'' if aim is None else f'  [{aim:.2f}]'}"


def _cell(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f}) {spread.fastest:6.2f}"


def as_json(
    every: Iterable[Measured], left_out: Mapping[str, str], rounds: int, threads: int
) -> dict[str, Any]:
    """All of it; times are in seconds, memory in bytes."""
    return {
        "machine": machine(),
        "packages": dict(_versions()),
        "rounds": rounds,
        "threads": threads,
        "left_out": left_out,
        "cases": [
            {
                "title": measured.case.title,
                "seconds": measured.seconds,
                "peak_memory": measured.peak_memory,
                "ratios": {
                    other: {
                        "aim": measured.case.aims.get(other),
                        **{clock: measured.against(other, clock)._asdict() for clock in CLOCKS},
                    }
                    for other in measured.others
                },
            }
            for measured in every
        ],
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
