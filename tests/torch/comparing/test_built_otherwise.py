"""The same model, built in another way, agrees; and a fault beside it is found."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch.nn.functional as F
from torch import nn

from .faulty import FEATURES, IMAGES, ImageNet, Residual, compared, copied, numbers, settled


class Renamed(nn.Module):
    """An `ImageNet`, in other words and with layers that do nothing."""

    def __init__(self, model: ImageNet) -> None:
        super().__init__()
        parts = [nn.Sequential(model.stem, nn.Identity())]
        parts += [Again(block) for block in model.before]
        parts += [nn.Sequential(OrderedDict(inner=nn.Sequential(model.linear, model.slot)))]
        parts += [Again(block) for block in model.after]
        self.trunk = nn.Sequential(*parts, nn.Dropout(0.3), model.last, nn.ReLU())
        self.pool, self.flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.classifier = model.head

    def forward(self, x):
        return self.classifier(self.flat(self.pool(self.trunk(x))))


class Again(nn.Module):
    def __init__(self, block: Residual) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            OrderedDict(a=block.conv1, b=block.bn1, c=nn.ReLU(True), d=block.conv2, e=block.bn2)
        )

    def forward(self, x):
        return F.relu(x + self.branch(x))


@pytest.mark.parametrize("depth", [1, 4])
def test_other_names_and_nesting_agree(depth: int, turned: bool) -> None:
    model = settled(ImageNet(nn.ReLU(), depth))
    found, paths = compared(turned, model, Renamed(copied(model)).eval(), IMAGES)
    assert not paths
    assert not found.causes
    weighty = [found_pair for found_pair in found.pairs if found_pair.weights]
    assert len(weighty) == sum(1 for module in model.modules() if list(module.parameters(recurse=False)))


@pytest.mark.parametrize("depth", [1, 4])
def test_batch_norms_that_are_folded_agree(depth: int, turned: bool) -> None:
    model = settled(ImageNet(nn.ReLU(), depth))
    folded = copied(model)
    for block in (*folded.before, *folded.after):
        for first, second in (("conv1", "bn1"), ("conv2", "bn2")):
            fused = nn.utils.fuse_conv_bn_eval(getattr(block, first), getattr(block, second))
            setattr(block, first, fused)
            setattr(block, second, nn.Identity())
    found, paths = compared(turned, model, folded, IMAGES)
    assert not paths
    assert not found.causes


@pytest.mark.parametrize("last", [nn.Softmax(-1), nn.Sigmoid(), nn.LogSoftmax(-1)])
def test_a_softmax_at_the_end_agrees_with_its_logits(last: nn.Module, turned: bool) -> None:
    model = settled(ImageNet(nn.ReLU(), 1))
    found, paths = compared(turned, model, nn.Sequential(copied(model), last).eval(), IMAGES)
    assert found.agrees
    assert not paths
    assert [cause.name for cause in found.causes] == ["head"]


def test_a_corrupted_weight_beside_a_softmax_is_found(turned: bool) -> None:
    model = settled(ImageNet(nn.ReLU(), 1))
    wrong = nn.Sequential(copied(model), nn.Softmax(-1)).eval()
    wrong[0].head.weight.data[0, 0] += 0.5
    _, paths = compared(turned, model, wrong, IMAGES)
    assert paths == ["head", "0.head"]


def test_a_model_that_mixes_channels_can_be_compared(turned: bool) -> None:
    """A dense layer over what was the axis of time, as in an MLP-Mixer."""

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.channels, self.steps = nn.Linear(FEATURES, FEATURES), nn.Linear(7, 7)

        def forward(self, x):
            return self.steps(self.channels(x).transpose(1, 2)).transpose(1, 2)

    model, x = settled(Mixer()), numbers(4, 7, FEATURES)
    wrong = copied(model)
    wrong.steps.bias.data[0] += 1
    assert not compared(turned, model, copied(model), x)[1]
    assert compared(turned, model, wrong, x)[1] == ["steps", "steps"]
