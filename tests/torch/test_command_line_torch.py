"""The command line on PyTorch models: of a module, and of a saved program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from netviz_core.cli import main

MODELS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3)
        self.fc = nn.Linear(4 * 36, 10)

    def forward(self, x):
        return self.fc(self.conv1(x).flatten(1))


class Faulty(nn.Module):
    def forward(self, x):
        raise RuntimeError("the fault is mine\\nand there is more to say")


def colour():
    return Net()


def grey():
    return Net(1)


def faulty():
    return nn.Sequential(nn.Conv2d(3, 4, 3), Faulty())
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def netviz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    (tmp_path / "torch_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(command: str) -> Ran:
        status = main(command.split())
        return Ran(status, *capsys.readouterr())

    yield run
    sys.modules.pop("torch_models", None)


def test_layers(netviz: Callable[..., Ran]) -> None:
    ran = netviz("layers torch_models:colour")
    assert ran.status == 0
    assert "kernel (out=4, in=3, y=3, x=3)" in ran.out
    assert "kernel (out=10, in=144)" in ran.out


@pytest.mark.parametrize(
    "command",
    [
        "kernels torch_models:colour conv1",
        "kernels torch_models:colour conv1 --no-rgb",
        "histogram torch_models:colour fc",
        "heatmap torch_models:colour fc --weight bias",
        "feature-maps torch_models:colour conv1 --input first.npy",
        "feature-maps torch_models:colour conv1 --input last.npy --axes batch,y,x,channel --sample 1",
        "feature-maps torch_models:colour conv1 --input colour.png",
        "feature-maps torch_models:grey conv1 --input grey.png",
    ],
)
def test_every_figure(netviz: Callable[..., Ran], command: str) -> None:
    np.save("first.npy", np.ones((2, 3, 8, 8), np.float32))
    np.save("last.npy", np.ones((2, 8, 8, 3), np.float32))
    Image.new("RGB", (8, 8), "red").save("colour.png")
    Image.new("L", (8, 8), 128).save("grey.png")
    assert netviz(f"{command} -o figure.png") == (0, "wrote figure.png\n", "")
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")


def test_an_input_of_the_wrong_shape_says_what_was_given_and_expected(netviz: Callable[..., Ran]) -> None:
    np.save("x.npy", np.ones((2, 5, 8, 8), np.float32))
    ran = netviz("feature-maps torch_models:colour conv1 -i x.npy -o figure.png")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "conv1" in ran.err
    assert "channel=3" in ran.err
    assert "5" in ran.err


def test_what_the_users_own_model_raises_is_one_line_that_names_the_layer(netviz: Callable[..., Ran]) -> None:
    np.save("x.npy", np.ones((1, 3, 8, 8), np.float32))
    ran = netviz("feature-maps torch_models:faulty 0 -i x.npy -o figure.png")
    assert ran.status == 2
    assert ran.err == (
        "netviz: the model failed in layer '1': RuntimeError: the fault is mine and there is more to say\n"
    )


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own, about itself
def test_a_saved_program_is_opened_only_with_trust(netviz: Callable[..., Ran]) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()).eval()
    torch.export.save(torch.export.export(module, (torch.ones(2, 1, 8, 8),)), "net.pt2")
    refused = netviz("kernels net.pt2 0 -o figure.png")
    assert refused.status == 2
    assert refused.err.count("\n") == 1
    assert "'net.pt2' lets the file run code" in refused.err
    assert "--trust" in refused.err
    assert netviz("kernels net.pt2 0 -o figure.png --trust") == (0, "wrote figure.png\n", "")


def test_what_is_no_program(netviz: Callable[..., Ran]) -> None:
    Path("net.pt2").write_bytes(b"nonsense")
    ran = netviz("layers net.pt2 --trust")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "net.pt2" in ran.err
