"""What watching a training costs: steps of a ResNet-18, bare and watched, in turns.

    python benchmarks/training_history.py

A look makes statistics of every layer's activations, weights and gradients; between looks nothing is done.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torchvision_models import models

import netviz_torch

STEPS, EVERY = 100, 50


def main() -> None:
    torch.set_num_threads(2)
    x, y = torch.randn(16, 3, 64, 64), torch.randint(0, 10, (16,))
    seconds: dict[str, list[float]] = {"bare": [], f"watched every {EVERY} steps": []}
    for _ in range(3):
        for name, times in seconds.items():
            model = models.resnet18(num_classes=10)
            optimizer = torch.optim.SGD(model.parameters(), 1e-3)
            start = time.perf_counter()
            if name == "bare":
                train(model, optimizer, x, y)
            else:
                with netviz_torch.watch_training(model, optimizer, every=EVERY):
                    train(model, optimizer, x, y)
            times.append(time.perf_counter() - start)
    bare = min(seconds["bare"])
    for name, times in seconds.items():
        print(f"{name:28} {1e3 * min(times) / STEPS:8.1f} ms a step, {min(times) / bare:.2f} times as long")
    with_look, without = look(x, y), np.median([step(x, y) for _ in range(9)])
    print(f"{'one look':28} {1e3 * (with_look - without):8.1f} ms more than a step of {1e3 * without:.1f} ms")


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> None:
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def look(x: torch.Tensor, y: torch.Tensor) -> float:
    """The seconds of a step that is looked at."""
    return float(np.median([step(x, y, every=1) for _ in range(9)]))


def step(x: torch.Tensor, y: torch.Tensor, every: int | None = None) -> float:
    model = models.resnet18(num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)

    def once() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        return time.perf_counter() - start

    if every is None:
        once()
        return once()
    with netviz_torch.watch_training(model, optimizer, every=every):
        once()
        return once()


if __name__ == "__main__":
    main()
