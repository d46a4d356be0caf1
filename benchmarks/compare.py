"""What a comparison of two models costs beside their two forward passes.

    python benchmarks/compare.py [--rounds 5] [--threads 1] [--only WORD …]

ResNet-50 with one picture: copies, copies with one and with three faults, and torchvision's against Keras' with
the same weights, once built alike and once as both come, with the strides elsewhere. Networks of 1,000 small layers,
one after the other and in residual blocks. All measured in turns, in one run.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import torch
from torch import nn
from torchvision_models import models
from turns import in_turns

import netviz_core as nv

_BLOCKS = 200
_WIDTH = 8


class Case(NamedTuple):
    """Two models, what each is given by itself, and what both are in a comparison."""

    a: Any
    b: Any
    natives: tuple[Any, Any]
    x: Any
    faults: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""], help="measure the cases with one of these words")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.setrecursionlimit(20_000)  # Keras walks through a model layer by layer, each within the one before
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(options.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(options.threads)
    for name, make in CASES.items():
        if any(word in name for word in options.only):
            _measure(name, make(), options.rounds)


def _measure(name: str, case: Case, rounds: int) -> None:
    found = nv.compare(case.a, case.b, case.x)
    places = len(found.faults)
    assert found.agrees is not bool(case.faults), str(found)
    assert places >= case.faults, str(found)

    def passes() -> None:
        for model, given in zip((case.a, case.b), case.natives, strict=True):
            if isinstance(model, nn.Module):
                with torch.no_grad():
                    model(given)
            else:
                model(given, training=False)

    ways = {"compare": lambda: nv.compare(case.a, case.b, case.x), "both passes": passes}
    in_turns(f"{name} ({places} faults told)", ways, rounds)


def copies() -> Case:
    """A ResNet-50 and its copy."""
    a = _resnet()
    return _of_pictures(a, copy.deepcopy(a))


def one_fault() -> Case:
    """A copy with another epsilon in one norm."""
    case = copies()
    case.b.layer2[1].bn2.eps = 1e-3
    return case._replace(faults=1)


def three_faults() -> Case:
    """A copy with another epsilon, another activation, and another weight."""
    case = one_fault()
    case.b.layer1[2].relu = nn.LeakyReLU(0.1)
    with torch.no_grad():
        case.b.layer3[3].conv2.weight[5] *= 1.5
    return case._replace(faults=3)


def built_alike() -> Case:
    """Keras' ResNet-50, and torchvision's with its strides and epsilons."""
    case = as_they_come()
    for module in case.a.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5
        if isinstance(module, models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    return case._replace(faults=0)


def built_alike_with_faults() -> Case:
    """The same with another epsilon, another activation, and another weight."""
    case = built_alike()
    case.a.layer2[1].bn2.eps = 1e-3
    case.a.layer1[2].relu = nn.LeakyReLU(0.1)
    with torch.no_grad():
        case.a.layer3[3].conv2.weight[5] *= 1.5
    return case._replace(faults=3)


def as_they_come() -> Case:
    """Both as they come: the strides stand elsewhere."""
    a, b = _resnet(), keras.applications.ResNet50(weights=None, classifier_activation=None)
    # Of one form, and listed in another order.
    mapping = {
        f"layer{stage}.0.{one}": f"conv{stage + 1}_block1_{other}"
        for stage in range(1, 5)
        for one, other in {
            "downsample.0": "0_conv", "downsample.1": "0_bn", "conv3": "3_conv", "bn3": "3_bn"
        }.items()
    }  # fmt: skip
    nv.copy_weights(a, b, mapping)
    return _of_pictures(a, b)._replace(faults=1)


def _resnet() -> nn.Module:
    torch.manual_seed(0)
    model = models.resnet50().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def _of_pictures(a: Any, b: Any) -> Case:
    pictures = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    return Case(a, b, (_native(a, pictures), _native(b, pictures)), nv.images(pictures))


def _native(model: Any, values: Any) -> Any:
    """Pictures, or features, as a model's own framework has them."""
    if not isinstance(model, nn.Module):
        return values
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 1)))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_block() for _ in range(_BLOCKS))

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


def _flat() -> nn.Sequential:
    stages = [[nn.Linear(_WIDTH, _WIDTH), nn.LayerNorm(_WIDTH), nn.ReLU()] for _ in range(333)]
    return nn.Sequential(*(layer for stage in stages for layer in stage), nn.Linear(_WIDTH, _WIDTH)).eval()


def _flat_in_keras() -> Any:
    layers = keras.layers
    stages = [
        [layers.Dense(_WIDTH), layers.LayerNormalization(epsilon=1e-5), layers.ReLU()] for _ in range(333)
    ]
    flat = [layer for stage in stages for layer in stage]
    return keras.Sequential([keras.Input((_WIDTH,)), *flat, layers.Dense(_WIDTH)])


def _residual_in_keras() -> Any:
    layers = keras.layers
    x = given = keras.Input((_WIDTH, _WIDTH, _WIDTH))
    for _ in range(_BLOCKS):
        y = layers.Conv2D(_WIDTH, 3, padding="same")(x)
        y = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(y))
        y = layers.Conv2D(_WIDTH, 3, padding="same")(y)
        y = layers.BatchNormalization(epsilon=1e-5)(y)
        x = layers.Add()([x, y])
    return keras.Model(given, x)


def _thousand(in_keras: bool, is_residual: bool, is_wrong: bool) -> Callable[[], Case]:
    def make() -> Case:
        torch.manual_seed(0)
        a = _Residual().eval() if is_residual else _flat()
        maker = _residual_in_keras if is_residual else _flat_in_keras
        b = maker() if in_keras else copy.deepcopy(a)
        if in_keras:
            nv.copy_weights(a, b)
        if is_wrong:
            for child in [m for m in a.modules() if isinstance(m, (nn.BatchNorm2d, nn.LayerNorm))][-4:-2]:
                child.eps = 1e-2
        shape = (2, _WIDTH, _WIDTH, _WIDTH) if is_residual else (2, _WIDTH)
        values = np.random.default_rng(0).normal(size=shape).astype("float32")
        natives = _native(a, values), _native(b, values)
        return Case(a, b, natives, nv.images(values) if is_residual else values, is_wrong)

    return make


def _thousands() -> Iterator[tuple[str, Callable[[], Case]]]:
    for is_wrong in (False, True):
        for is_residual in (False, True):
            for in_keras in (False, True):
                yield (
                    f"1,000 layers {'in residual blocks' if is_residual else 'one after the other'}, PyTorch and "
                    f"{'Keras' if in_keras else 'PyTorch'}, {'with faults' if is_wrong else 'which agree'}",
                    _thousand(in_keras, is_residual, is_wrong),
                )


CASES: dict[str, Callable[[], Case]] = {
    "ResNet-50 in PyTorch twice": copies,
    "ResNet-50 in PyTorch twice, one fault": one_fault,
    "ResNet-50 in PyTorch twice, three faults": three_faults,
    "ResNet-50 in PyTorch and Keras, built alike": built_alike,
    "ResNet-50 in PyTorch and Keras, built alike, three faults": built_alike_with_faults,
    "ResNet-50 in PyTorch and Keras, as they come": as_they_come,
    **dict(_thousands()),
}

if __name__ == "__main__":
    main()
