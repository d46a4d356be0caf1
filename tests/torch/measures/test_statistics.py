"""Statistics read a tensor where it lies: no layer is mistaken for another, and nothing is left on a tensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.measures import statistics as module
from netviz_core.measures.statistics import statistics

X = torch.randn(6, 3, 20, 20, generator=torch.Generator().manual_seed(0))


class WritesAfterwards(nn.Module):
    """Returns one tensor from three layers, and writes to it between the last two."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.same = nn.Identity()
        self.changed = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.same(self.block(x))
        x.data.mul_(3)
        return self.changed(x)


def test_each_layer_has_the_statistics_of_what_it_returned():
    torch.manual_seed(0)
    model = WritesAfterwards()
    found, captured = statistics(model, [X], progress=False), nv.capture(model, X)
    assert list(found) == list(captured)
    for key, activation in captured.items():
        np.testing.assert_array_equal(found[key].channels.maximum, activation.values.max(axis=(0, 2, 3)))
        np.testing.assert_allclose(found[key].mean, activation.values.mean(dtype="f8"), rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(found[key].zero_count, (activation.values == 0).sum())
    assert found["changed"].maximum == pytest.approx(3 * found["same"].maximum)


def test_a_tensor_that_passes_through_layers_is_read_once(monkeypatch):
    read = []
    summarised = module.summarised
    monkeypatch.setattr(module, "summarised", lambda a, *rest: read.append(a.path) or summarised(a, *rest))
    found = statistics(WritesAfterwards(), [X], progress=False)
    assert read == ["block.0", "block.1", "block.2", "changed"]
    assert len(found) == 7


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_every_dtype_is_read(dtype):
    values = (X * 10).to(dtype)
    layer = statistics(nn.Sequential(nn.Identity()), [values], progress=False)["0"]
    expected = values.double()
    assert (layer.minimum, layer.maximum) == (expected.min(), expected.max())
    assert layer.zero_count == (expected == 0).sum()
    assert layer.variance == pytest.approx(expected.var(correction=0).item(), rel=1e-6)


def test_a_layers_tensor_stays_as_it_is():
    class Resizes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x).resize_(8, 8)

    assert statistics(Resizes(), [torch.ones(2, 4)], progress=False)["layer"].count == 8
