"""What a comparison of two models costs beside their two forward passes.

ResNet-50 with one picture: copies, copies with one and with three faults, and torchvision's against Keras' with
the same weights, once built alike and once as both come, with the strides elsewhere. Networks of 1,000 small layers,
one after the other and in residual blocks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import torch
from torch import nn

import netviz_core as nv

from ..torchvision_models import models
from .capture_torch import forward
from .turns import Case, Ways

_WIDTH = 8


class Pair(NamedTuple):
    """Two models, what each is given by itself, and what both are in a comparison."""

    a: Any
    b: Any
    natives: tuple[Any, Any]
    x: Any
    faults: int = 0


def _timed(make: Callable[[bool], Pair]) -> Callable[[bool], Ways]:
    def ways(quick: bool) -> Ways:
        pair = make(quick)

        def passes() -> None:
            for model, given in zip((pair.a, pair.b), pair.natives, strict=True):
                if isinstance(model, nn.Module):
                    forward(model, given)
                else:
                    model(given, training=False)

        return {"netviz": lambda: _compared(pair), "both passes": passes}

    return ways


def _compared(pair: Pair) -> nv.Comparison:
    found = nv.compare(pair.a, pair.b, pair.x, progress=False)
    assert found.agrees is not bool(pair.faults), str(found)
    assert len(found.faults) >= pair.faults, str(found)
    return found


def copies(quick: bool) -> Pair:
    """A ResNet-50 and its copy."""
    a = _resnet()
    return _of_pictures(a, copy.deepcopy(a), _side(quick))


def one_fault(quick: bool) -> Pair:
    """A copy with another epsilon in one norm."""
    case = copies(quick)
    case.b.layer2[1].bn2.eps = 1e-3
    return case._replace(faults=1)


def three_faults(quick: bool) -> Pair:
    """A copy with another epsilon, another activation, and another weight."""
    case = one_fault(quick)
    case.b.layer1[2].relu = nn.LeakyReLU(0.1)
    with torch.no_grad():
        case.b.layer3[3].conv2.weight[5] *= 1.5
    return case._replace(faults=3)


def built_alike(quick: bool) -> Pair:
    """Keras' ResNet-50, and torchvision's with its strides and epsilons."""
    case = as_they_come(quick)
    for module in case.a.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5
        if isinstance(module, models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    return case._replace(faults=0)


def built_alike_with_faults(quick: bool) -> Pair:
    """The same with another epsilon, another activation, and another weight."""
    case = built_alike(quick)
    case.a.layer2[1].bn2.eps = 1e-3
    case.a.layer1[2].relu = nn.LeakyReLU(0.1)
    with torch.no_grad():
        case.a.layer3[3].conv2.weight[5] *= 1.5
    return case._replace(faults=3)


def as_they_come(quick: bool) -> Pair:
    """Both as they come: the strides stand elsewhere."""
    a, b = (
        _resnet(),
        keras.applications.ResNet50(
            weights=None, classifier_activation=None, input_shape=(_side(quick), _side(quick), 3)
        ),
    )
    # Of one form, and listed in another order.
    mapping = {
        f"layer{stage}.0.{one}": f"conv{stage + 1}_block1_{other}"
        for stage in range(1, 5)
        for one, other in {
            "downsample.0": "0_conv", "downsample.1": "0_bn", "conv3": "3_conv", "bn3": "3_bn"
        }.items()
    }  # fmt: skip
    nv.copy_weights(a, b, mapping)
    return _of_pictures(a, b, _side(quick))._replace(faults=1)


def _resnet() -> nn.Module:
    torch.manual_seed(0)
    model = models.resnet50().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def _side(quick: bool) -> int:
    return 64 if quick else 224


def _of_pictures(a: Any, b: Any, side: int) -> Pair:
    pictures = np.random.default_rng(0).normal(size=(1, side, side, 3)).astype("float32")
    return Pair(a, b, (_native(a, pictures), _native(b, pictures)), nv.images(pictures))


def _native(model: Any, values: Any) -> Any:
    """What a model is given in a bare pass; channels stand last in `values`."""
    return torch.from_numpy(np.moveaxis(values, -1, 1).copy()) if isinstance(model, nn.Module) else values


class _Residual(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_block() for _ in range(count // 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


def _block() -> nn.Sequential:
    conv = {"kernel_size": 3, "padding": 1}
    layers = [
        nn.Conv2d(_WIDTH, _WIDTH, **conv),
        nn.BatchNorm2d(_WIDTH),
        nn.ReLU(),
        nn.Conv2d(_WIDTH, _WIDTH, **conv),
        nn.BatchNorm2d(_WIDTH),
    ]
    nn.init.constant_(layers[-1].weight, 0.1)
    return nn.Sequential(*layers)


def _flat(count: int) -> nn.Sequential:
    stages = [[nn.Linear(_WIDTH, _WIDTH), nn.LayerNorm(_WIDTH), nn.ReLU()] for _ in range(count // 3)]
    return nn.Sequential(*(layer for stage in stages for layer in stage), nn.Linear(_WIDTH, _WIDTH)).eval()


def _flat_in_keras(count: int) -> Any:
    layers = keras.layers
    stages = [
        [layers.Dense(_WIDTH), layers.LayerNormalization(epsilon=1e-5), layers.ReLU()]
        for _ in range(count // 3)
    ]
    flat = [layer for stage in stages for layer in stage]
    return keras.Sequential([keras.Input((_WIDTH,)), *flat, layers.Dense(_WIDTH)])


def _residual_in_keras(count: int) -> Any:
    layers = keras.layers
    x = given = keras.Input((_WIDTH, _WIDTH, _WIDTH))
    for _ in range(count // 5):
        y = layers.Conv2D(_WIDTH, 3, padding="same")(x)
        y = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(y))
        y = layers.Conv2D(_WIDTH, 3, padding="same")(y)
        y = layers.BatchNormalization(epsilon=1e-5)(y)
        x = layers.Add()([x, y])
    return keras.Model(given, x)


def _thousand(in_keras: bool, is_residual: bool, is_wrong: bool) -> Callable[[bool], Pair]:
    def make(quick: bool) -> Pair:
        count = 30 if quick else 1_000
        torch.manual_seed(0)
        a = _Residual(count).eval() if is_residual else _flat(count)
        maker = _residual_in_keras if is_residual else _flat_in_keras
        b = maker(count) if in_keras else copy.deepcopy(a)
        if in_keras:
            nv.copy_weights(a, b)
        if is_wrong:
            for child in [m for m in a.modules() if isinstance(m, (nn.BatchNorm2d, nn.LayerNorm))][-4:-2]:
                child.eps = 1e-2
        shape = (2, _WIDTH, _WIDTH, _WIDTH) if is_residual else (2, _WIDTH)
        values = np.random.default_rng(0).normal(size=shape).astype("float32")
        natives = _native(a, values), _native(b, values)
        return Pair(a, b, natives, nv.images(values) if is_residual else values, is_wrong)

    return make


def _thousands() -> Iterator[tuple[str, Callable[[bool], Pair]]]:
    for is_wrong in (False, True):
        for is_residual in (False, True):
            for in_keras in (False, True):
                yield (
                    f"1,000 layers {'in residual blocks' if is_residual else 'one after the other'}, PyTorch and "
                    f"{'Keras' if in_keras else 'PyTorch'}, {'with faults' if is_wrong else 'which agree'}",
                    _thousand(in_keras, is_residual, is_wrong),
                )


_OF_RESNETS = {
    "ResNet-50 in PyTorch and Keras, as they come": as_they_come,
    "ResNet-50 in PyTorch and Keras, built alike": built_alike,
    "ResNet-50 in PyTorch and Keras, built alike, three faults": built_alike_with_faults,
    "ResNet-50 in PyTorch twice": copies,
    "ResNet-50 in PyTorch twice, one fault": one_fault,
    "ResNet-50 in PyTorch twice, three faults": three_faults,
}
CASES = [
    *(
        Case(f"compare, {name}", _timed(make), {"both passes": 3.0}, is_variant=make is not built_alike)
        for name, make in _OF_RESNETS.items()
    ),
    *(Case(f"compare, {name}", _timed(make)) for name, make in _thousands()),
]
