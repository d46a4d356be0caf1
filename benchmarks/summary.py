"""What a summary costs beside torchinfo's, on ResNet-50.

    python benchmarks/summary.py

Both list every layer with its shapes, parameters and multiply-accumulates, from one forward pass over one
picture of 224 × 224; measured in turns, in one run. torchinfo is in the dependency group `bench`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import torchinfo
from torchvision_models import models

from netviz_core.layer_summary import summary


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(2)
    model, x = models.resnet50().eval(), torch.randn(1, 3, 224, 224)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    compare(
        "one pass over a ResNet-50",
        {
            "forward pass": forward,
            "netviz": lambda: str(summary(model, x)),
            "torchinfo": lambda: str(torchinfo.summary(model, input_data=x, depth=9, verbose=0)),
        },
        rounds,
    )
    compare(
        "a ResNet-50 without a pass",
        {
            "netviz": lambda: str(summary(model)),
            "torchinfo": lambda: str(torchinfo.summary(model, depth=9, verbose=0)),
        },
        rounds,
    )
    ours, theirs = summary(model, x), torchinfo.summary(model, input_data=x, depth=9, verbose=0)
    print(f"parameters: netviz {ours.total_parameters:,}, torchinfo {theirs.total_params:,}")
    print(f"multiply-accumulates: netviz {ours.multiply_accumulates:,}, torchinfo {theirs.total_mult_adds:,}")


def compare(title: str, ways: dict[str, Callable[[], object]], rounds: int) -> None:
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
    ratios = [f"{clock} {min(taken[ours, clock]) / min(taken[theirs, clock]):.2f}" for clock in clocks]
    print(f"  {ours} / {theirs}, the fastest of each: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
