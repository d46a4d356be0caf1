"""A pass forward and backward leaves the model, and its input, as they came."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ..small import X, small_cnn
from .test_gradients import pulled_back


def state_of(model: nn.Module) -> list:
    return [
        [(name, tensor.clone(), tensor.requires_grad) for name, tensor in model.state_dict().items()],
        [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()],
        [module.training for module in model.modules()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        torch.get_rng_state(),
    ]


def assert_same_state(before: list, after: list) -> None:
    for (name, old, _), (_, new, _) in zip(before[0], after[0], strict=True):
        assert torch.equal(old, new), name
    for (parameter, required, gradient), (same, requires, present) in zip(before[1], after[1], strict=True):
        assert parameter is same
        assert required == requires
        assert gradient is present
    assert before[2:4] == after[2:4]
    assert torch.equal(before[4], after[4])


def test_the_model_stays_as_it_came():
    model = small_cnn().train()
    model[1].eval()
    model[0].bias.requires_grad_(False)
    model(X).sum().backward()
    gradient = model[6].weight.grad.clone()
    before = state_of(model)
    pulled_back(model, X)
    assert_same_state(before, state_of(model))
    assert torch.equal(gradient, model[6].weight.grad)


def test_the_model_stays_as_it_came_when_the_seed_fails():
    def fail(parts):
        raise KeyError("no such class")

    model = small_cnn().train()
    too_large = torch.randn(2, 1, 40, 40)
    before = state_of(model)
    with pytest.raises(KeyError, match="no such class"):
        pulled_back(model, X, seed=fail)
    with pytest.raises(RuntimeError):
        pulled_back(model, too_large)
    assert_same_state(before, state_of(model))


def test_an_input_of_the_users_own_stays_as_it_came():
    x = X.clone().requires_grad_()
    pulled_back(small_cnn(), x)
    assert x.grad is None
    assert x.requires_grad
    with torch.inference_mode():
        inference = X.clone()
    _, gradients = pulled_back(small_cnn(), inference)
    np.testing.assert_array_equal(gradients["0"].values, pulled_back(small_cnn(), X)[1]["0"].values)
