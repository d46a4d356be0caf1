"""What statistics over a data set cost beside the bare forward loop, and whether memory grows with the data.

    python benchmarks/streaming_statistics.py

All are measured in the same run, in turns, on two threads.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import torch
from torch import nn
from torchvision_models import models

from netviz_core.measures.statistics import statistics


def main() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True), 6, enable_nested_tensor=False
    ).eval()
    compare("VGG16, all layers", models.vgg16().eval(), torch.randn(4, 3, 224, 224), "*")
    compare("ResNet-50, convolutions", models.resnet50().eval(), torch.randn(8, 3, 224, 224), is_convolution)
    compare("ResNet-50, all layers", models.resnet50().eval(), torch.randn(8, 3, 224, 224), "*")
    compare("transformer encoder, all layers", encoder, torch.randn(16, 128, 512), "*")
    small = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7200, 10))
    few, many = (peak_memory(small, count) for count in (10, 1000))
    print(
        f"peak of Python's memory over 10 batches {few / 1e6:.2f} MB, over 1,000 {many / 1e6:.2f} MB: {many / few:.3f}"
    )


def is_convolution(layer) -> bool:
    return layer.kind == "conv2d"


def compare(name: str, model: nn.Module, x: torch.Tensor, layers, rounds: int = 5) -> None:
    seconds: dict[str, list[float]] = {"bare": [], "statistics": []}
    for _ in range(rounds):
        start = time.perf_counter()
        with torch.no_grad():
            for batch in batches(x, 3):
                model(batch)
        seconds["bare"].append(time.perf_counter() - start)
        start = time.perf_counter()
        statistics(model, batches(x, 3), layers, progress=False)
        seconds["statistics"].append(time.perf_counter() - start)
    bare, ours = (min(times) for times in seconds.values())
    print(
        f"{name:34} bare {1e3 * bare / 3:7.1f} ms a batch, with statistics {1e3 * ours / 3:7.1f} ms: {ours / bare:.2f}"
    )


def batches(x: torch.Tensor, count: int) -> Iterator[torch.Tensor]:
    for _ in range(count):
        yield x


def peak_memory(model: nn.Module, count: int) -> int:
    statistics(model, batches(torch.randn(8, 3, 32, 32), 2), progress=False)
    tracemalloc.start()
    statistics(model, (torch.randn(8, 3, 32, 32) for _ in range(count)), progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
