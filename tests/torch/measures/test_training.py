"""Watching plain training loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from netviz_torch import watch_training

from ..small import X, small_cnn

Y = torch.tensor([1, 3])


def setting() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = small_cnn()
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def train(model, optimizer, steps: int, x: torch.Tensor = X) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), Y).backward()
        optimizer.step()


def handles(model, optimizer) -> int:
    hooks = [model._forward_hooks for model in model.modules()]
    return sum(map(len, (*hooks, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)))


def test_what_is_seen():
    model, optimizer = setting()
    weights, gradients, outputs = [], [], []
    with watch_training(model, optimizer, every=2) as history:
        for step in range(5):
            optimizer.zero_grad()
            output = model(X)
            F.cross_entropy(output, Y).backward()
            if step % 2 == 0:
                weights.append(model[0].weight.detach().clone())
                gradients.append(model[0].weight.grad.clone())
                outputs.append(output.detach())
            optimizer.step()
    assert history.steps == [0, 2, 4]
    assert history.layers == ("0", "1", "2", "3", "4", "5", "6")
    for quantity, layer, expected in (
        ("weight", "0", weights),
        ("gradient", "0", gradients),
        ("activation", "6", outputs),
    ):
        found = history.series(quantity, layer, measure="mean")
        np.testing.assert_allclose(found, [values.double().mean() for values in expected], rtol=1e-5)
        found = history.series(quantity, layer, measure="std")
        np.testing.assert_allclose(found, [values.double().numpy().std() for values in expected], rtol=1e-5)
    assert history.heatmap("gradient_to_weight").values.shape == (2, 3)


def test_training_goes_on_as_without():
    expected, optimizer = setting()
    torch.manual_seed(1)
    train(expected, optimizer, 6)
    model, optimizer = setting()
    torch.manual_seed(1)
    with watch_training(model, optimizer, every=2):
        train(model, optimizer, 4)
    train(model, optimizer, 2)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert handles(model, optimizer) == 0


def test_only_the_layers_asked_for():
    model, optimizer = setting()
    with watch_training(model, optimizer, every=1, layers=["0", "6"]) as history:
        train(model, optimizer, 2)
    assert history.layers == ("0", "6")
    assert history.steps == [0, 1]
    with pytest.raises(nv.LayerNotFoundError):
        history.moments("weight", "1")


def test_gradients_are_accumulated_over_several_passes():
    model, optimizer = setting()
    with watch_training(model, optimizer, every=1) as history:
        for _ in range(2):
            optimizer.zero_grad()
            for part in X.split(1):
                F.mse_loss(model(part), torch.zeros(1, 5)).backward()
            accumulated = model[6].weight.grad.clone()
            optimizer.step()
    assert history.steps == [0, 1]
    seen = history.moments("activation", "6")[1]
    assert seen.count == 2 * 5
    assert history.series("gradient", "6")[1] == pytest.approx(accumulated.mean().item(), rel=1e-5)


def test_an_evaluation_between_steps_does_no_harm():
    model, optimizer = setting()
    with watch_training(model, optimizer, every=1) as history:
        for _ in range(3):
            train(model, optimizer, 1)
            model.eval()
            with torch.no_grad():
                model(X)
            model.train()
    assert history.steps == [0, 1, 2]
    assert [moments.count for moments in history.moments("activation", "6").values()] == [10, 20, 20]
    assert handles(model, optimizer) == 0


@pytest.mark.parametrize("cls", [torch.optim.LBFGS, torch.optim.SGD])
@pytest.mark.parametrize("by_name", [False, True])
def test_optimizers_that_make_the_pass_themselves(cls, by_name):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = cls(model.parameters(), lr=0.1)
    x = torch.randn(8, 3)

    def closure():
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    with watch_training(model, optimizer, every=2) as history:
        for _ in range(3):
            loss = optimizer.step(closure=closure) if by_name else optimizer.step(closure)
            assert loss is not None
    assert history.steps == [0, 2]
    assert history.moments("activation", "")[0].count == 8
    assert history.series("gradient", "", measure="root_mean_square")[0] > 0


def test_gradient_scalers_and_compiled_models():
    model, optimizer = setting()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    compiled = torch.compile(model, backend="eager")
    with watch_training(compiled, optimizer, every=1, layers="6") as history:
        for _ in range(2):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(compiled(X), Y)).backward()
            scaler.step(optimizer)
            gradient = model[6].weight.grad.clone()
            scaler.update()
    assert history.steps == [0, 1]
    assert history.series("gradient", "6", measure="maximum")[1] == pytest.approx(gradient.max().item())


def test_a_loop_that_fails_leaves_nothing_behind():
    model, optimizer = setting()
    with pytest.raises(RuntimeError), watch_training(model, optimizer, every=1) as history:
        train(model, optimizer, 1, torch.cat([X, torch.zeros(2, 1, 8, 9)], 3))
    assert history.steps == []
    with watch_training(model, optimizer, every=1) as history:
        train(model, optimizer, 1)
        model(X)
    assert history.steps == [0]
    assert handles(model, optimizer) == 0
    train(model, optimizer, 1)
    assert history.steps == [0]


def test_bad_arguments():
    model, optimizer = setting()
    with pytest.raises(nv.InputError, match="every=0"), watch_training(model, optimizer, every=0):
        pass
    with pytest.raises(nv.LayerNotFoundError), watch_training(model, optimizer, layers="conv9"):
        pass
    assert handles(model, optimizer) == 0
