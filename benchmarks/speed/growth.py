"""What is paid for each layer, sample, channel and batch where there are many, beside the same in smaller pieces.

Each way does as much as the others: 10,000 layers once, or 1,000 layers ten times, … No more than 1 means that the cost
grows linearly, or more slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

import netviz_core as nv

from .turns import OURS, Case, Ways

Work = Callable[[], object]


def case(title: str, make: Callable[[int], Work], sizes: tuple[int, ...], unit: str) -> Case:
    """Held against all smaller sizes; where it has to be quick, the largest are left out."""
    names = {size: f"{size:,} {unit}" for size in sizes}

    def ways(quick: bool) -> Ways:
        used = sizes[:2] if quick else sizes
        found = {names[size]: partial(_repeated, make(size), used[-1] // size) for size in used}
        return {OURS: found.pop(names[used[-1]]), **found}

    return Case(f"{title}, {names[sizes[-1]]} at once", ways, dict.fromkeys(map(names.get, sizes[:-1]), 1.0))


def _repeated(work: Work, times: int) -> None:
    for _ in range(times):
        work()


def with_layers(ask: Callable[[nn.Module, torch.Tensor], object]) -> Callable[[int], Work]:
    def make(count: int) -> Work:
        model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(count))).eval()
        return partial(ask, model, torch.randn(4, 8))

    return make


def _statistics(model: nn.Module, x: torch.Tensor, count: int = 1) -> nv.Statistics:
    return nv.statistics(model, (x for _ in range(count)), progress=False)


def samples(count: int) -> Work:
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU()).eval()
    return partial(_statistics, model, torch.randn(count, 3, 32, 32))


def channels(count: int) -> Work:
    return partial(
        _statistics, nn.Sequential(nn.BatchNorm2d(count), nn.ReLU()).eval(), torch.randn(4, count, 8, 8)
    )


def batches(count: int) -> Work:
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU()).eval()
    return partial(_statistics, model, torch.randn(8, 16), count)


_TENFOLD = (10, 100, 1_000, 10_000)

CASES = [
    case("capture", with_layers(nv.capture), _TENFOLD, "layers"),
    case(
        "capture, all of it read",
        with_layers(lambda model, x: dict(nv.capture(model, x))),
        _TENFOLD,
        "layers",
    ),
    case("statistics", with_layers(_statistics), _TENFOLD, "layers"),
    case("health", with_layers(nv.health), _TENFOLD, "layers"),
    case("summary", with_layers(lambda model, x: str(nv.summary(model, x))), _TENFOLD, "layers"),
    case("graph", with_layers(nv.graph), _TENFOLD, "layers"),
    case("statistics", samples, (1, 4, 16, 64, 256), "samples"),
    case("statistics", channels, (8, 64, 512, 8_192), "channels"),
    case("statistics", batches, _TENFOLD, "batches"),
]
