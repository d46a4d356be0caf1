"""Models in TorchScript: what can be seen of them is shown, and nothing is said of the rest."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
X = torch.rand(2, 3, 8, 8)


def network(activation=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), activation(), nn.Flatten(), nn.Linear(144, 3)).eval()


FORMS = {
    "scripted": torch.jit.script,
    "traced": lambda model: torch.jit.trace(model, X),
    "frozen": lambda model: torch.jit.freeze(torch.jit.script(model)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_it_returns_is_captured(form):
    captured = nv.capture(form(network()), X)
    np.testing.assert_allclose(captured[""].values, network()(X).detach(), atol=1e-6)
    assert captured.coverage[""] == nv.Coverage("captured", "")


@pytest.mark.parametrize("form", [FORMS["scripted"], FORMS["traced"]])
def test_its_weights_are_those_of_the_layers_that_it_was_made_from(form):
    model, made = network(), form(network())
    kernel = nv.wrap(made)["0"].weights["kernel"]
    assert kernel.axes == ("out", "in", "y", "x")
    np.testing.assert_array_equal(kernel.numpy(), model[0].weight.detach())
    target = copy.deepcopy(model)
    nn.init.zeros_(target[3].weight)
    nv.copy_weights(made, target)
    torch.testing.assert_close(target(X), model(X))


def test_equal_weights_are_not_taken_for_equal_models():
    with pytest.raises(nv.InputError, match="no layer of a corresponds"):
        nv.compare(network(), torch.jit.script(network(nn.Sigmoid)), X)


def test_how_it_attends_is_not_known():
    with pytest.raises(nv.UnsupportedError, match="hides how it attends"):
        nv.attention(torch.jit.script(network()), x=X)
