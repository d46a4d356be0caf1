"""Quantized tensors between layers are put in place on their own grid, whether all channels share one or not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.captures.recorder import Recorder

pytestmark = pytest.mark.filterwarnings("ignore:.*quantized:UserWarning")

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


class Quantizing(nn.Module):
    def __init__(self, by_channel: bool) -> None:
        super().__init__()
        self.by_channel = by_channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.by_channel:
            return torch.quantize_per_tensor(x, 0.02, 10, torch.quint8)
        scales = torch.full((x.shape[1],), 0.02, dtype=torch.float64)
        return torch.quantize_per_channel(x, scales, torch.full((x.shape[1],), 10), 1, torch.quint8)


class Dequantizing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.dequantize()


def model(by_channel: bool) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 6),
        nn.Sigmoid(),
        Quantizing(by_channel),
        Dequantizing(),
        nn.Linear(6, 4),
        nn.Linear(4, 3),
    ).eval()


@pytest.mark.parametrize("by_channel", [False, True])
def test_an_error_does_not_travel_through_quantized_values(by_channel: bool) -> None:
    a, b = model(by_channel), model(by_channel)
    with torch.no_grad():
        b[0].bias[1] += 1
        b[4].bias[2] += 1
    found = nv.compare(a, b, X)
    assert [fault.path_a for fault in found.faults] == ["0", "4"]


def test_values_are_put_in_place_on_the_grid_of_each_channel() -> None:
    wrapped = nv.wrap(model(by_channel=True))
    layers = [wrapped.layers[path] for path in ("2", "3")]
    recorder = Recorder(layers)

    def replacement(path, call, leaf, is_given, shape):
        return torch.full(shape, 0.31).numpy() if path == "2" and not is_given else None

    wrapped.adapter.run_replaced(wrapped.native, X, recorder, replacement, {})
    handed_on = next(slot.get() for slot in recorder.slots if slot.path == "3")
    assert abs(handed_on.values - 0.31).max() <= 0.0101
