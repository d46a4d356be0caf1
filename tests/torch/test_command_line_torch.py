"""The command line on PyTorch models: of a module, and of a saved program."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ..command_line import FIRST, LAST, CommandLine, Netviz


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own, about itself
class TestTorch(CommandLine):
    models = """
from collections import OrderedDict

from torch import nn


class Net(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3)
        self.fc = nn.Linear(4 * 36, 10)

    def forward(self, x):
        return self.fc(self.conv1(x).flatten(1))


class Faulty(nn.Module):
    def forward(self, x):
        raise RuntimeError("the fault is mine\\nand there is more to say")


def colour():
    return Net(3)


def grey():
    return Net(1)


fixed = Net(3)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attn(x, x, x, need_weights=False)[0]


attending = Attending()


with_softmax = nn.Sequential(fixed, nn.Softmax(-1))


def faulty():
    return nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 4, 3), faulty=Faulty()))
"""
    layouts = FIRST, LAST
    wrong_shape = "conv1", "channel=3", "5"
    suffixes = (".pt2",)
    weights = ".safetensors", ".pt", ".pth"
    code = "lets the file run code"

    def test_another_head_is_accepted_only_if_that_is_said(self, netviz: Netviz) -> None:
        arguments = ("compare", "mine:fixed", "mine:with_softmax", "-i", "own.npy")
        ran = netviz(*arguments)
        assert ran.status == 1
        assert "b returns the softmax of what a returns; --other-head accepts that" in ran.err
        assert netviz(*arguments, "--other-head").status == 0

    @staticmethod
    def read(path: Path) -> nn.Module:
        from mine import colour  # type: ignore[import-not-found]

        model: nn.Module = colour()
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path)
        model.load_state_dict(state)
        return model

    @staticmethod
    def save_code(path: Path) -> None:
        module = nn.Sequential(OrderedDict(conv1=nn.Conv2d(1, 4, 3), relu=nn.ReLU())).eval()
        torch.export.save(torch.export.export(module, (torch.ones(2, 1, 8, 8),)), path)
