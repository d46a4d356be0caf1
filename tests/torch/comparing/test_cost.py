"""What a comparison computes: nothing twice that is known already, and of long models no more than of short ones."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import netviz_core as nv

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """A layer of one's own, which does more than it returns."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        RUNS.append(x.shape)
        return x * 1.5


RUNS: list[torch.Size] = []


def network(stages: int = 12) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1)]
    for _ in range(stages):
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*layers).eval()


def computed(action: Callable[[], object]) -> int:
    """How many multiplications and additions it takes."""
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()


def passes(a: nn.Module, b: nn.Module) -> float:
    """What a comparison computes, in passes of one model."""
    with torch.no_grad():
        one = computed(lambda: a(X))
    return computed(lambda: nv.compare(a, b, X)) / one


def test_models_that_agree_run_once_each() -> None:
    a = network()
    assert passes(a, copy.deepcopy(a)) == 2


def test_what_came_before_a_fault_is_not_computed_again() -> None:
    a = network()
    b = copy.deepcopy(a)
    b[-2].eps = 0.5
    found = nv.compare(a, b, X)
    assert [cause.name for fault in found.faults for cause in fault.causes] == ["epsilon"]
    assert passes(a, b) < 2.5


def test_three_faults_take_no_more_than_ten_passes() -> None:
    a = network()
    b = copy.deepcopy(a)
    for place in (5, 14, 26):
        b[place].eps = 0.5
    found = nv.compare(a, b, X)
    assert len(found.faults) == 3
    assert passes(a, b) < 7


def strided(first: int, second: int) -> nn.Sequential:
    """Three blocks in which one of two convolutions takes every second place."""
    torch.manual_seed(0)
    blocks: list[nn.Module] = []
    for _ in range(3):
        for stride in (first, second):
            conv = nn.Conv2d(8, 8, 3, stride=stride, padding=1)
            blocks += [conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(nn.Conv2d(3, 8, 1), *blocks).eval()


def test_strides_that_stand_elsewhere_are_all_confirmed_in_few_passes() -> None:
    a, b = strided(1, 2), strided(2, 1)
    x = torch.randn(2, 3, 64, 64)
    found = nv.compare(a, b, x)
    assert [fault.path_b for fault in found.faults] == ["1", "7", "13", "19", "25", "31"], found
    assert all(fault.causes[0].name == "stride" and fault.causes[0].confirmed for fault in found.faults)
    assert "Given what could not be made the same" in str(found)
    with torch.no_grad():
        both = computed(lambda: (a(x), b(x)))
    assert computed(lambda: nv.compare(a, b, x)) < 2 * both


def test_what_stands_in_for_a_layer_of_ones_own_is_handed_on_though_it_runs() -> None:
    a = network()
    a.insert(4, Counting())
    b = copy.deepcopy(a)
    b[-2].eps = 0.5
    RUNS.clear()
    found = nv.compare(a, b, X)
    assert [fault.pair.path_b for fault in found.faults] == [str(len(b) - 2)]
    assert len(RUNS) > 2
    assert "forward" not in vars(b[0])


def test_a_layer_that_is_called_again_and_again_is_told_call_by_call() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()
            self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(6))
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for conv in self.convs:
                x = self.act(conv(x))
            return self.norm(x)

    torch.manual_seed(0)
    a = Shared().eval()
    b = copy.deepcopy(a)
    b.norm.eps = 0.5
    with torch.no_grad():
        b.convs[3].weight[0] *= 2
    found = nv.compare(a, b, X)
    assert [fault.pair.path_b for fault in found.faults] == ["convs.3", "norm"]
    assert all(any(cause.confirmed for cause in fault.causes) for fault in found.faults)


def calls(action: Callable[[], object]) -> int:
    """How many functions written in Python are called."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("copies", [nv.copy_weights, lambda a, b: nv.compare(a, b, X, progress=False)])
def test_twice_as_many_layers_take_no_more_than_twice_the_effort(copies: Callable[..., object]) -> None:
    def effort(stages: int) -> int:
        a, b = network(stages), network(stages)
        return calls(lambda: copies(a, b))

    effort(2)  # what is done once in a process
    assert effort(80) < 2.5 * effort(40)


class Writing(nn.Module):
    """Writes to what layers returned, where PyTorch sees it and where it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
            x.mul_(1.5)
            x.data.add_(0.1)
            x.detach().numpy()[:, 0] *= 2
        return x


def test_given_values_last_for_all_passes_whatever_is_written_to_them() -> None:
    torch.manual_seed(0)
    a = Writing().eval()
    b = copy.deepcopy(a)
    with torch.no_grad():
        for place in (1, 3, 6):
            b.layers[place].weight[1] *= 2
    found = nv.compare(a, b, X)
    assert [fault.path_b for fault in found.faults] == ["layers.1", "layers.3", "layers.6"], found
    assert all(cause.confirmed for cause in found.causes)


class Blocks(nn.Module):
    """What an activation is given is added to what it returns; it may write to a copy of that."""

    def __init__(self, writes: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))
        self.acts = nn.ModuleList(nn.ReLU(inplace=writes) for _ in range(6))
        self.writes = writes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, act in zip(self.layers, self.acts, strict=True):
            x = layer(x)
            x = x + act(x.clone() if self.writes else x)
        return x


def test_given_values_share_no_memory_within_a_pass() -> None:
    torch.manual_seed(0)
    a, b = Blocks(writes=False), Blocks(writes=True)
    b.load_state_dict(a.state_dict())
    with torch.no_grad():
        for place in (1, 3):
            b.layers[place].weight[1] *= 2
    found = nv.compare(a, b, torch.randn(3, 4))
    assert [fault.path_b for fault in found.faults] == ["layers.1", "layers.3"], found


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean()


class Scaled(nn.Module):
    """Adds a single number that a layer returned."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))
        self.means = nn.ModuleList(Mean() for _ in range(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, mean in zip(self.layers, self.means, strict=True):
            x = layer(x)
            x = x + mean(x)
        return x


def test_a_single_number_is_put_in_place_as_others_are() -> None:
    torch.manual_seed(0)
    a = Scaled()
    b = copy.deepcopy(a)
    with torch.no_grad():
        for place in (1, 3):
            b.layers[place].weight[1] += 0.001
    found = nv.compare(a, b, torch.randn(3, 4))
    assert [fault.path_b for fault in found.faults] == ["layers.1", "layers.3"], found
    assert all(row.status != "differs" for row in found.pairs if "mean" in row.path_b)
