"""The callback watches training, and nothing else; training is as it would be without."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.all import GradientAccumulation, GradientClip
from fastai.callback.schedule import lr_find  # noqa: F401 - gives a Learner its method
from fastai.data.core import DataLoaders, TfmdDL
from fastai.learner import Callback, CancelFitException, CancelStepException, Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import set_seed
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

import netviz_core as nv
from netviz_fastai import NetvizCallback

from .learners import digits
from .state import quietly


def small(folder: Path, *callbacks: Callback, count: int = 12, batch: int = 2) -> Learner:
    """Twelve rows in batches of two: six steps an epoch."""
    set_seed(3)
    rows = [(torch.randn(3), number % 2) for number in range(count)]
    dls = DataLoaders(
        TfmdDL(rows, bs=batch, shuffle=True, num_workers=0),
        TfmdDL(rows, bs=batch, num_workers=0),
        path=folder,
    )
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 2))
    return Learner(dls, model, loss_func=CrossEntropyLossFlat(), cbs=list(callbacks))


def _weights(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.model.parameters()]


def _is_quiet(learner: Learner) -> bool:
    """Whether nobody listens to the model any more."""
    return (
        not any(module._forward_hooks or module._forward_pre_hooks for module in learner.model.modules())
        and not _get_current_dispatch_mode_stack()
        and "_do_one_batch" not in vars(learner)
    )


def test_every_so_many_steps_are_looked_at(tmp_path: Path) -> None:
    learner = small(tmp_path, NetvizCallback(every=4))
    quietly(learner, "fit", 2)
    history = learner.netviz.history
    assert history.steps == [0, 4, 8]
    assert history.layers == ("0", "1", "2", "3")
    for path in history.layers:
        assert np.isfinite(history.series("activation", path)).all()
    for path in ("0", "3"):
        for quantity in ("weight", "gradient"):
            assert np.isfinite(history.series(quantity, path, "kernel")).all()
            assert np.isfinite(history.series(quantity, path, "bias")).all()
    assert _is_quiet(learner)


def test_what_was_seen_is_what_there_was(tmp_path: Path) -> None:
    """Each step's weights, gradients and outputs, told by a callback of the test's own."""
    seen: list[dict[str, float]] = []

    class Witness(Callback):
        order, run_valid = 90, False

        def before_batch(self) -> None:
            self.hook = self.learn.model[3].register_forward_hook(self._keep)

        def _keep(self, module: nn.Module, args: Any, output: torch.Tensor) -> None:
            self.output = output.detach().clone()

        def before_step(self) -> None:
            self.hook.remove()
            layer = self.learn.model[3]
            seen.append(
                {
                    "activation": self.output.mean().item(),
                    "weight": layer.weight.mean().item(),
                    "gradient": layer.weight.grad.mean().item(),
                }
            )

    learner = small(tmp_path, NetvizCallback(every=1), Witness(), GradientClip(1e-3))
    quietly(learner, "fit", 1, 0.1)
    assert len(seen) == 6
    for quantity in ("activation", "weight", "gradient"):
        ours = learner.netviz.history.series(quantity, "3")
        np.testing.assert_allclose(ours, [step[quantity] for step in seen], rtol=1e-4, atol=1e-9)


def test_nothing_is_expected_after_the_last_batch(tmp_path: Path) -> None:
    left: list[bool] = []

    class Late(Callback):
        order = 200

        def after_train(self) -> None:
            left.append("_do_one_batch" in vars(self.learn))

    quietly(small(tmp_path, NetvizCallback(every=1), Late()), "fit", 2)
    assert left == [False, False]


def test_training_is_the_same_with_it(tmp_path: Path) -> None:
    trained = []
    for callbacks in ((), (NetvizCallback(every=1),), (NetvizCallback(every=4),)):
        learner = small(tmp_path, *callbacks)
        quietly(learner, "fit", 2)
        trained.append(_weights(learner))
    for other in trained[1:]:
        for ours, theirs in zip(trained[0], other, strict=True):
            assert torch.equal(ours, theirs)


def test_validation_predictions_and_the_search_for_a_rate_are_not_looked_at(tmp_path: Path) -> None:
    learner = small(tmp_path, NetvizCallback(every=1))
    quietly(learner, "validate")
    quietly(learner, "get_preds")
    quietly(learner, "lr_find", num_it=6, show_plot=False)
    with pytest.raises(nv.InputError, match="nothing has been seen so far; train the Learner"):
        _ = learner.netviz.history
    quietly(learner, "fit", 1)
    assert learner.netviz.history.steps == list(range(6))
    quietly(learner, "lr_find", num_it=6, show_plot=False)
    quietly(learner, "get_preds")
    assert learner.netviz.history.steps == list(range(6))
    assert _is_quiet(learner)


def test_one_history_goes_on_and_a_new_model_has_a_new_one(tmp_path: Path) -> None:
    learner = small(tmp_path, NetvizCallback(every=5))
    quietly(learner, "fit", 1)
    quietly(learner, "fit", 1)
    assert learner.netviz.history.steps == [0, 5, 10]
    learner.model = nn.Sequential(nn.Linear(3, 2))
    learner.opt = None
    quietly(learner, "fit", 1)
    assert learner.netviz.history.layers == ("0",)
    assert learner.netviz.history.steps == [0, 5]


def test_a_frozen_learner_has_the_gradients_that_there_are(tmp_path: Path) -> None:
    learner = digits(tmp_path)
    learner.freeze()
    callback = NetvizCallback(every=3, layers="*")
    quietly(learner, "fit", 1, cbs=callback)
    history = callback.history
    assert history.steps == [0, 3]
    assert np.isfinite(history.series("weight", "0.0")).all()
    with pytest.raises(nv.InputError, match=r"nothing was seen of the gradient kernel of layer '0\.0'"):
        history.series("gradient", "0.0")
    assert np.isfinite(history.series("gradient", "1.8")).all()
    assert callback not in learner.cbs


def test_accumulated_gradients_are_one_step(tmp_path: Path) -> None:
    learner = small(tmp_path, NetvizCallback(every=1), GradientAccumulation(n_acc=4))
    quietly(learner, "fit", 1)
    assert learner.netviz.history.steps == [0, 1, 2]
    assert _is_quiet(learner)


def test_a_step_that_is_skipped_does_not_count(tmp_path: Path) -> None:
    """As mixed precision skips one whose gradients overflow."""

    class Skip(Callback):
        order, run_valid = 10, False

        def before_step(self) -> None:
            if self.learn.iter in (0, 1):
                raise CancelStepException

    learner = small(tmp_path, NetvizCallback(every=1), Skip())
    quietly(learner, "fit", 1)
    assert learner.netviz.history.steps == [0, 1, 2, 3]
    assert _is_quiet(learner)


class Fails(nn.Module):
    """Raises in its third pass."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error, self.passes = error, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        if self.passes == 3:
            raise self.error
        return x


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), CancelFitException()], ids=repr)
@pytest.mark.parametrize("given_to", ["learner", "fit"])
def test_nobody_listens_after_an_error(tmp_path: Path, error: BaseException, given_to: str) -> None:
    callback = NetvizCallback(every=1)
    learner = small(tmp_path, *([callback] if given_to == "learner" else []))
    learner.model.append(Fails(error))
    expected = nullcontext() if isinstance(error, CancelFitException) else pytest.raises(type(error))
    with expected:
        quietly(learner, "fit", 1, cbs=callback if given_to == "fit" else None)
    assert _is_quiet(learner)
    assert callback.history.steps == [0, 1]
    quietly(learner, "fit", 1, cbs=callback if given_to == "fit" else None)
    assert len(callback.history.steps) == 8


def test_a_failing_loader_leaves_a_learner_that_can_validate(tmp_path: Path) -> None:
    class Broken(Callback):
        run_valid = False

        def before_batch(self) -> None:
            if self.learn.iter == 2:
                raise ValueError("no")

    learner = small(tmp_path, NetvizCallback(every=1))
    with pytest.raises(ValueError, match="no"):
        quietly(learner, "fit", 1, cbs=Broken())
    quietly(learner, "validate")
    assert learner.netviz.history.steps == [0, 1]
    assert _is_quiet(learner)


def test_it_survives_export_and_copies(tmp_path: Path) -> None:
    learner = small(tmp_path, NetvizCallback(every=3, layers="0"))
    quietly(learner, "fit", 1)
    torch.save(learner, tmp_path / "trained.pkl")
    for other in (nv.wrap(tmp_path / "trained.pkl", trust=True).native, copy.deepcopy(learner)):
        assert (other.netviz.every, other.netviz.layers) == (3, "0")
        with pytest.raises(nv.InputError, match="nothing has been seen so far"):
            _ = other.netviz.history
        quietly(other, "fit", 1)
        assert other.netviz.history.steps == [0, 3]
    assert learner.netviz.history.steps == [0, 3]


@pytest.mark.parametrize(
    ("callback", "error", "said"),
    [
        (NetvizCallback(every=0), nv.InputError, "every=0 is no number of steps"),
        (NetvizCallback(layers="x"), nv.LayerNotFoundError, "there is no layer 'x'"),
    ],
)
def test_bad_arguments_get_a_sentence(tmp_path: Path, callback: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        quietly(small(tmp_path), "fit", 1, cbs=callback)
