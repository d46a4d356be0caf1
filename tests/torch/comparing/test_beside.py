"""What is built otherwise beside a fault: the fault alone is told, and all that has to be changed for it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv


class Net(nn.Module):
    """Hidden units whose order nobody sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.fc1, self.fc2 = nn.Linear(6, 10), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        end: torch.Tensor = self.fc2(F.relu(self.fc1(x.mean((2, 3)))))
        return end


def pair() -> tuple[Any, Any, torch.Tensor]:
    """A network, and one with its hidden units in another order."""
    torch.manual_seed(0)
    a = Net().eval()
    for norm in (a.bn1, a.bn2):
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values.data.uniform_(0.5, 1.5)
    b = deepcopy(a)
    for first, norm, second in ((b.conv1, b.bn1, b.conv2), (b.fc1, None, b.fc2)):
        order = torch.randperm(first.weight.shape[0])
        for layer in (first, norm):
            for values in (*layer.parameters(), *layer.buffers()) if layer is not None else ():
                if values.ndim:
                    values.data = values.data[order]
        second.weight.data = second.weight.data[:, order]
    return a, b, torch.randn(4, 3, 9, 9)


def one_channel(b: Any) -> None:
    b.fc1.weight.data[3] = torch.randn(6)


def flipped(b: Any) -> None:
    b.conv2.weight.data = b.conv2.weight.data.flip(2, 3)


def dilated(b: Any) -> None:
    b.conv2.dilation, b.conv2.padding = (2, 2), (2, 2)


def scaled(b: Any) -> None:
    b.conv1.weight.data *= 2


FAULTS: dict[str, tuple[Callable[[Any], None], str, set[str]]] = {
    "one channel": (one_channel, "fc1", {"weights"}),
    "flipped": (flipped, "conv2", {"flipped kernel"}),
    "dilated": (dilated, "conv2", {"dilation", "padding"}),
    "scaled": (scaled, "conv1", {"weights"}),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_units_in_another_order_are_no_part_of_a_fault(kind: str) -> None:
    change, where, names = FAULTS[kind]
    a, b, x = pair()
    assert nv.compare(a, b, x).agrees
    change(b)
    found = nv.compare(a, b, x)
    (fault,) = found.faults
    assert fault.path_b == where
    assert {cause.name for cause in fault.causes} == names
    assert all(cause.confirmed for cause in fault.causes)


@pytest.mark.parametrize("layer", ["conv1", "fc1"])
def test_rows_that_nothing_puts_right_are_a_fault(layer: str) -> None:
    a, b, x = pair()
    order = torch.arange(len(getattr(b, layer).weight)).roll(1)
    for values in getattr(b, layer).parameters():
        values.data = values.data[order]
    (fault,) = nv.compare(a, b, x).faults
    assert fault.path_b == layer
    assert {cause.name for cause in fault.causes} == {"row order"}


@pytest.mark.parametrize("layer", ["conv2", "fc2"])
def test_columns_that_nothing_puts_right_are_a_fault(layer: str) -> None:
    a, _, x = pair()
    b = deepcopy(a)
    kernel = getattr(b, layer).weight
    kernel.data = kernel.data.roll(1, 1)
    (fault,) = nv.compare(a, b, x).faults
    assert fault.path_b == layer
    assert {cause.name for cause in fault.causes} == {"channel order"}


def test_a_norm_folded_into_a_layer_that_has_lost_its_bias() -> None:
    a, _, x = pair()
    b: Any = deepcopy(a)
    for conv, norm in ((b.conv1, "bn1"), (b.conv2, "bn2")):
        fused = nn.utils.fuse_conv_bn_eval(conv, getattr(b, norm))
        setattr(b, f"conv{norm[-1]}", fused)
        setattr(b, norm, nn.Identity())
    assert nv.compare(a, b, x).agrees
    b.conv2.bias = None
    (fault,) = nv.compare(a, b, x).faults
    assert fault.path_b == "conv2"
    assert {cause.name for cause in fault.causes} == {"bias"}


def test_what_differs_before_and_behind_layers_that_only_one_place_needs() -> None:
    a, _, x = pair()
    b: Any = deepcopy(a)
    b.conv2 = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(8, 6, 3, bias=False))
    b.conv2[1].weight = deepcopy(a.conv2.weight)
    flip = b.conv2[1].weight.data.flip(2, 3)
    b.conv2[1].weight.data = flip
    found = nv.compare(a, b, x)
    assert [fault.path_b for fault in found.faults] == ["conv2.1"], found


class Padding(Net):
    """Pads in a function, not in the layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(F.pad(x, (1, 1, 1, 1)))))
        x = F.relu(self.bn2(self.conv2(F.pad(x, (1, 1, 1, 1)))))
        end: torch.Tensor = self.fc2(F.relu(self.fc1(x.mean((2, 3)))))
        return end


def test_a_function_that_pads_is_no_fault_before_a_layer_that_has_one() -> None:
    a, _, x = pair()
    b = Padding().eval()
    b.load_state_dict(a.state_dict())
    b.conv1.padding = b.conv2.padding = (0, 0)
    assert nv.compare(a, b, x).agrees
    flipped(b)
    (fault,) = nv.compare(a, b, x).faults
    assert fault.path_b == "conv2"
    assert {cause.name for cause in fault.causes} == {"flipped kernel"}
    faults = nv.compare(a, b.half(), (x, x.half())).faults
    assert any(fault.path_b == "conv2" for fault in faults)
    assert not any(fault.pair.is_between_layers for fault in faults)


class Crop(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., 1:-1, 1:-1]


def test_a_crop_is_no_partner_of_an_activation() -> None:
    torch.manual_seed(0)
    first, larger, norm, last = (
        nn.Conv2d(3, 8, 3),
        nn.ConvTranspose2d(8, 6, 4, 2),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 2, 3),
    )
    norm.running_mean.uniform_()
    cropped = copy.deepcopy(larger)
    cropped.padding = (1, 1)
    a = nn.Sequential(first, larger, Crop(), norm, nn.ReLU(), last).eval()
    b = nn.Sequential(first, cropped, nn.ReLU(), norm, last).eval()
    found = nv.compare(a, b, torch.randn(3, 3, 8, 8))
    assert [fault.pair.is_between_layers for fault in found.faults] == [True, True], found
    assert [re.search("relu of what '.'", cause.text)[0] for cause in found.causes] == [
        "relu of what '1'",  # as b calls it
        "relu of what '3'",
    ]


class Stack(nn.Module):
    def __init__(self, *layers: int) -> None:
        super().__init__()
        self.rnns = nn.ModuleList(
            nn.LSTM(5 if not n else 6, 6, count, batch_first=True) for n, count in enumerate(layers)
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for rnn in self.rnns:
            x, _ = rnn(x)
        end: torch.Tensor = self.head(x)
        return end


def test_stacked_layers_in_float16_agree() -> None:
    torch.manual_seed(0)
    a, b = Stack(1, 1), Stack(2)
    for n, rnn in enumerate(a.rnns):
        for name, values in rnn.named_parameters():
            getattr(b.rnns[0], name.replace("_l0", f"_l{n}")).data = values.data
    b.head.load_state_dict(a.head.state_dict())
    x = torch.randn(3, 7, 5)
    found = nv.compare(a.eval(), b.half().eval(), (x, x.half()))
    assert not found.faults, found


class Attending(nn.Module):
    """The scale of attention, which the weights of q may hold, and along what its softmax goes."""

    def __init__(self, scale: float, axis: int = -1) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))
        self.scale, self.axis = scale, axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares = (self.q(x) @ self.k(x).mT * self.scale).softmax(self.axis)
        end: torch.Tensor = self.o(shares @ self.v(x))
        return end


@pytest.mark.parametrize("axis", [-1, -2])
def test_of_a_scale_that_may_be_made_up_for_nothing_is_confirmed(axis: int) -> None:
    torch.manual_seed(0)
    a, b = Attending(8**-0.5).eval(), Attending(1.0, axis).eval()
    b.load_state_dict(a.state_dict())
    for values in b.q.parameters():
        values.data *= 8**-0.5
    x = torch.randn(2, 6, 8)
    found = nv.compare(a, b, x)
    assert found.agrees is (axis == -1)
    assert not any(cause.confirmed for fault in found.faults for cause in fault.causes), found
