"""What a capture of every layer costs beside the bare forward pass, and beside hooks written by hand.

    python benchmarks/capture_torch.py

All are measured in the same run, in turns, on two threads. The hooks clone what each module returns: the
least that keeps values right. netviz does all it always does: modes, state, axes, coverage.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torchvision_models import models

import netviz_core as nv


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1, help="a factor for the number of rounds")
    options = parser.parse_args()
    torch.set_num_threads(2)
    resnet50, resnet18 = models.resnet50().eval(), models.resnet18().eval()

    seconds = measure(resnet50, torch.randn(4, 3, 224, 224), rounds=15 * options.rounds)
    report("all modules of a ResNet-50, batch of 4, 224 × 224", seconds, against="forward pass", target=1.20)
    seconds = measure(resnet18, torch.randn(1, 3, 64, 64), rounds=200 * options.rounds)
    report("all modules of a ResNet-18, batch of 1, 64 × 64", seconds, against="hooks", target=1.25)


def measure(model: nn.Module, x: torch.Tensor, rounds: int) -> dict[str, list[float]]:
    """The seconds that each way takes, in turns."""
    ways: dict[str, Callable[[], object]] = {
        "forward pass": lambda: forward(model, x),
        "hooks": lambda: capture_by_hand(model, x),
        "netviz": lambda: nv.capture(model, x),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 3):
        for name, way in ways.items():
            start = time.perf_counter()
            kept = way()
            if number >= 3:
                seconds[name].append(time.perf_counter() - start)
            del kept
    return seconds


def forward(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x)


def capture_by_hand(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    captured: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(
            lambda module, args, output, path=path: captured.update({path: output.detach().clone()})
        )
        for path, module in model.named_modules()
    ]
    forward(model, x)
    for handle in handles:
        handle.remove()
    return captured


def report(title: str, seconds: dict[str, list[float]], against: str, target: float) -> None:
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    print(f"{title}: medians, and the fastest, of {len(seconds[against])} rounds")
    for name, median in medians.items():
        print(f"  {name:14} {median * 1e3:9.2f} ms {min(seconds[name]) * 1e3:9.2f} ms")
    ratios = np.array(seconds["netviz"]) / np.array(seconds[against])
    print(
        f"  netviz / {against}: {medians['netviz'] / medians[against]:.2f} of the medians, "
        f"{np.median(ratios):.2f} in the median round, target {target:.2f}\n"
    )


if __name__ == "__main__":
    main()
