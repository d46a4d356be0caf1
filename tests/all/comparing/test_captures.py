"""Captured where a framework is, compared where none is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

WITHOUT_FRAMEWORKS = """
import sys
for name in ("torch", "keras", "tensorflow", "jax", "fastai"):
    sys.modules[name] = None  # to import it raises ImportError
import json
import netviz_core as nv
found = nv.compare(*sys.argv[1:])
first = found.first_divergence
print(json.dumps({
    "pairs": len(found.pairs),
    "first": first and [first.path_a, first.path_b],
    "causes": [[cause.name, cause.confirmed] for cause in found.causes],
}))
"""


@pytest.fixture(scope="module")
def x() -> nv.AxisArray:
    return nv.images(np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype("float32"))


def keras_model(epsilon: float = 1e-3) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, activation="relu", name="conv1"),
            layers.BatchNormalization(epsilon=epsilon, name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, activation="softmax", name="dense"),
        ]
    )


class TorchModel(nn.Module):
    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.bn = nn.BatchNorm2d(8, eps=epsilon)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 25, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.bn(torch.relu(self.conv(x))))
        return self.fc(torch.flatten(x, 1))


def compared_elsewhere(*paths: Path) -> dict[str, object]:
    command = [sys.executable, "-c", WITHOUT_FRAMEWORKS, *map(str, paths)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(finished.stdout))


@pytest.mark.parametrize("complete", [True, False])
def test_a_port_agrees(tmp_path: Path, x: nv.AxisArray, complete: bool) -> None:
    ours, theirs = keras_model(), TorchModel()
    nv.copy_weights(ours, theirs)
    nv.capture(ours, x, complete=complete).save(tmp_path / "a")
    nv.capture(theirs, x, complete=complete).save(tmp_path / "b")
    found = compared_elsewhere(tmp_path / "a", tmp_path / "b")
    assert found["first"] is None
    assert found["pairs"] == 4


def test_a_fault_is_found_named_and_confirmed(tmp_path: Path, x: nv.AxisArray) -> None:
    ours, theirs = keras_model(), TorchModel(epsilon=0.1)
    nv.copy_weights(ours, theirs)
    nv.capture(ours, x, complete=True).save(tmp_path / "a")
    nv.capture(theirs, x, complete=True).save(tmp_path / "b")
    found = compared_elsewhere(tmp_path / "a", tmp_path / "b")
    assert found["first"] == ["norm", "bn"]
    assert ["epsilon", True] in found["causes"]  # type: ignore[operator]


def test_outputs_alone_tell_the_place(tmp_path: Path, x: nv.AxisArray) -> None:
    ours, theirs = keras_model(), TorchModel(epsilon=0.1)
    nv.copy_weights(ours, theirs)
    nv.capture(ours, x).save(tmp_path / "a")
    nv.capture(theirs, x).save(tmp_path / "b")
    found = compared_elsewhere(tmp_path / "a", tmp_path / "b")
    assert found["first"] == ["norm", "bn"]
    assert not any(confirmed for name, confirmed in found["causes"] if name == "epsilon")  # type: ignore[attr-defined]


def test_a_capture_beside_the_model_itself(tmp_path: Path, x: nv.AxisArray) -> None:
    ours, theirs = keras_model(), TorchModel()
    nv.copy_weights(ours, theirs)
    nv.capture(ours, x, complete=True).save(tmp_path / "a")
    assert nv.compare(tmp_path / "a", theirs, x).agrees
    with torch.no_grad():
        theirs.conv.bias += 1
    assert nv.compare(theirs, nv.load_capture(tmp_path / "a"), x).first_divergence.path_a == "conv"
