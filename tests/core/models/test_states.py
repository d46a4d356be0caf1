"""Of a checkpoint for training the models' weights are seen, and what else is there is told."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv


def model(*names: str) -> dict[str, np.ndarray]:
    return {f"{name}.weight": np.ones((3, 2), np.float32) for name in names or ("fc",)}


MOMENTS = {0: {"step": np.array(3.0), "exp_avg": np.ones((3, 2))}}
OPTIMIZER = {"state": MOMENTS, "param_groups": [{"lr": 0.1, "params": [0]}]}


@pytest.mark.parametrize(
    ("checkpoint", "layers"),
    [
        ({"model": model(), "optimizer": OPTIMIZER, "epoch": 3}, ["model.fc"]),
        ({"net": model(), "what_it_is_called": OPTIMIZER}, ["net.fc"]),
        ({"state_dict": model(), "optimizers": {"g": OPTIMIZER, "d": OPTIMIZER}}, ["state_dict.fc"]),
        ({"state_dict": model(), "optimizer_states": [OPTIMIZER], "lr_schedulers": [{"last": 1}]}, ["state_dict.fc"]),
        ({"app": {"model": model(), "optim": OPTIMIZER}}, ["app.model.fc"]),
        ({"model": model(), "optimizer": {"state.fc.weight.exp_avg": np.ones(3), "param_groups.lr": 1}}, ["model.fc"]),
        ({"model": model(), "scheduler": {"base": 0.1, "best": np.array(0.3)}, "epoch": 3}, ["model.fc"]),
        ({"model": model(), "epoch": np.array(3), "rng": np.zeros(5056, np.uint8)}, ["model.fc"]),
        ({"model": model(), "rng": {"cpu": np.zeros(5056, np.uint8)}}, ["model.fc"]),
        ({"model": model(), "loss": np.array(0.3), "class_weights": np.ones(3), "epoch": 3}, ["model.fc"]),
        ({"model": model(), "calls": {"Best": {"of": "loss", "k": {"a": np.array(0.3)}}}, "epoch": 3}, ["model.fc"]),
        ({"model": model(), "model_ema": model(), "epoch": 3}, ["model.fc"]),
        ({"model": model(), "swa": {"n_averaged": np.array(3), "module.fc.weight": np.ones((3, 2))}}, ["model.fc"]),
        ({"generator": model("a"), "discriminator": model("a")}, ["generator.a", "discriminator.a"]),
        ({"student": model(), "teacher": model(), "optimizer": OPTIMIZER}, ["student.fc", "teacher.fc"]),
        ({"ema": model()}, ["ema.fc"]),
        ({"model": model(), "ema": model("other")}, ["model.fc", "ema.other"]),
        ({"schema": model(), "model": model()}, ["schema.fc", "model.fc"]),
        ({"fc.weight": np.ones((3, 2)), "epoch": 3}, ["fc"]),
        ({"params": {"place": np.ones((3, 2)), "scale": np.array(1.0), "fc": model("a")}}, ["params", "params.fc.a"]),
        ({"models": [model("a"), model("b")]}, ["models.0.a", "models.1.b"]),
        ({"optimizer.weight": np.ones((3, 2)), "state.weight": np.ones((3, 2))}, ["optimizer", "state"]),
    ],
)  # fmt: skip
def test_what_is_the_models_is_shown(checkpoint: dict, layers: list[str]) -> None:
    assert [path for path, layer in nv.wrap(checkpoint).layers.items() if layer.weights] == layers


def test_what_is_left_out_is_told() -> None:
    network = nv.wrap({"model": model(), "opt": OPTIMIZER, "ema": model(), "step": np.array(3)})
    told = "state dict, without opt (an optimizer's state), step (no weight), ema (moving averages of model)"
    assert network[""].type_name == told
    assert told in repr(network.native)
    assert nv.summary(network).total_parameters == 6


def test_an_optimizer_alone_is_no_model() -> None:
    for state in (OPTIMIZER, {"optimizer": OPTIMIZER, "epoch": 3}):
        with pytest.raises(nv.UnknownModelError, match=r"optimizer.*state_dict\(\)"):
            nv.wrap(state)
