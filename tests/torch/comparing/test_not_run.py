"""Where one side ran no layer, weights are compared, and it is not said that the two agree."""

from __future__ import annotations

import copy

import torch
from torch import nn

import netviz_core as nv

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).eval()


def test_an_input_and_a_checkpoint_are_not_said_to_agree() -> None:
    found = nv.compare(model(), model().state_dict(), X)
    assert not found.agrees
    assert found.first_divergence is None
    (told,) = found.not_compared
    assert "b is a checkpoint, which cannot run: their weights alone were compared" in told
    assert "It cannot be said that a (torch) and b (checkpoint) agree" in str(found).splitlines()[0]


def test_without_an_input_weights_are_all_that_was_asked_for() -> None:
    assert nv.compare(model(), model().state_dict()).agrees


def test_a_fault_in_a_checkpoint_is_told_and_so_is_what_was_not_run() -> None:
    a = model()
    b = copy.deepcopy(a)
    with torch.no_grad():
        b[2].weight[0, 0] += 1
    found = nv.compare(a, b.state_dict(), X)
    assert found.first_divergence.path_a == "2"
    assert "Not compared: what the models return, since b is a checkpoint" in " ".join(str(found).split())


def test_a_capture_beside_a_checkpoint_is_not_said_to_agree() -> None:
    a = model()
    found = nv.compare(nv.capture(a, X, complete=True), a.state_dict(), (None, X))
    assert not found.agrees
    assert "b is a checkpoint" in found.not_compared[0]
