"""Arrays that are one, though their axes have a length of one, or names on one side alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.comparing.common import matched
from netviz_core.words.arrays import AxisArray

RANDOM = np.random.default_rng(0)


def named(values: np.ndarray, *axes: str) -> AxisArray:
    return AxisArray(values, axes)


def test_axes_of_length_one_count_for_nothing_whatever_they_are_called() -> None:
    values = RANDOM.normal(size=(4, 5))
    ours = named(values[None], "batch", "y", "channel")
    for theirs in (
        named(values[None], "axis0", "axis1", "axis2"),
        named(values[:, None], "batch", "axis1", "channel"),
        named(values.T[None, :, :, None], "batch", "channel", "y", "x"),
        named(values, "axis0", "axis1"),
    ):
        both = matched(ours, theirs)
        assert both is not None
        np.testing.assert_array_equal(both.a, both.b)
        both = matched(theirs, ours)
        assert both is not None
        np.testing.assert_array_equal(both.a, both.b)


def test_names_bind_before_numbers_do() -> None:
    values = RANDOM.normal(size=(2, 5, 5))
    both = matched(named(values, "batch", "y", "x"), named(values, "batch", "x", "y"))
    assert both is not None
    np.testing.assert_array_equal(both.a, both.b.swapaxes(1, 2))
    assert matched(named(values[:, :4], "batch", "y", "x"), named(values[:, :4], "batch", "x", "y")) is None


@pytest.mark.parametrize("factor", [1.0, 1.5, 4.0])
def test_the_numbers_decide_what_sizes_and_names_leave_open(factor: float) -> None:
    values = RANDOM.normal(size=(3, 6, 6, 6))
    other = named(factor * values.transpose(0, 2, 3, 1), "batch", "axis1", "axis2", "axis3")
    both = matched(named(values, "batch", "channel", "y", "x"), other)
    assert both is not None
    np.testing.assert_array_equal(factor * both.a, both.b)
    assert "(batch, axis3, axis1, axis2)" in both.note


def test_what_the_numbers_do_not_tell_is_said() -> None:
    ours = named(RANDOM.normal(size=(3, 6, 6)), "batch", "channel", "x")
    theirs = named(RANDOM.normal(size=(3, 6, 6)), "batch", "axis1", "axis2")
    both = matched(ours, theirs)
    assert both is not None
    assert "(batch, axis1, axis2)" in both.note
    assert "(batch, axis2, axis1)" in both.note


class Windows(nn.Module):
    """Cuts maps into windows, and mixes their channels by a layer, or by the same as a function."""

    def __init__(self, is_function: bool, scale: float) -> None:
        super().__init__()
        self.conv, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 5)
        self.is_function, self.scale = is_function, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)
        count, height, width, channels = x.shape
        x = x.reshape(count * 2, -1, channels)
        x = nn.functional.linear(x, self.mix.weight, self.mix.bias) if self.is_function else self.mix(x)
        return self.head(self.scale * x.reshape(count, height, width, channels)).mean((1, 2))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_windows_of_one_image(count: int, scale: float) -> None:
    torch.manual_seed(0)
    ours, theirs = Windows(True, 1.0).eval(), Windows(False, scale).eval()
    theirs.load_state_dict(ours.state_dict())
    found = nv.compare(ours, theirs, torch.randn(count, 3, 16, 16))
    assert found.agrees == (scale == 1.0)
    assert any("what ran: a has weights in 'mix'" in part for part in found.as_far_as)
