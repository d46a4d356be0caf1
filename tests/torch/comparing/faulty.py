"""Pairs of PyTorch layers that should agree and do not, networks to plant them in, and what is said of these."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from netviz_core import Comparison

CHANNELS, SIZE = 8, 8
FEATURES, STEPS = 12, 12


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


IMAGES = numbers(4, 3, SIZE, SIZE)
SEQUENCES = numbers(4, STEPS, FEATURES)


def settled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and statistic a value as after some training: none is zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator)
                if tensor.ndim > 1:
                    tensor.copy_(noise / tensor[0].numel() ** 0.5)
                elif name.endswith(("running_var", "weight")):
                    tensor.copy_(0.6 + noise.abs() * 0.6)
                else:
                    tensor.copy_(noise * 0.3)
    return model.eval()


# Networks with a place for a layer. The layer keeps the number of features.


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class ImageNet(nn.Module):
    def __init__(self, slot: nn.Module, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.before = nn.Sequential(*(Residual(CHANNELS) for _ in range(blocks)))
        self.linear = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.slot = slot
        self.after = nn.Sequential(*(Residual(CHANNELS) for _ in range(blocks)))
        self.last = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.head = nn.Linear(CHANNELS, 5)

    def forward(self, x):
        x = self.last(self.after(self.slot(self.linear(self.before(self.stem(x))))))
        return self.head(F.relu(x).mean((2, 3)))


class SequenceNet(nn.Module):
    """The layers around the place are Transformer encoders, or recurrent."""

    def __init__(self, slot: nn.Module, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, FEATURES)
        self.before = nn.ModuleList(
            nn.TransformerEncoderLayer(FEATURES, 3, 24, batch_first=True) for _ in range(blocks)
        )
        self.slot = slot
        self.after = nn.LSTM(FEATURES, FEATURES, max(blocks, 1), batch_first=True)
        self.head = nn.Linear(FEATURES, 5)

    def forward(self, x):
        x = self.embed(x)
        for layer in self.before:
            x = layer(x)
        x = self.slot(x)
        x, _ = self.after(x[0] if isinstance(x, tuple) else x)
        return self.head(x[:, -1])


# Layers that do something else than they say.


class PaddedAtTheEnd(nn.Conv2d):
    """Pads as TensorFlow does where a stride leaves a choice."""

    def forward(self, x):
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, self.bias, self.stride)


class FlippedKernel(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x, self.weight.flip(2, 3), self.bias, self.stride, self.padding)


class TransposedKernel(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.T, self.bias)


class WithoutBias(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight)


class NormOverTime(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class NormOverRows(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class StillTraining(nn.BatchNorm2d):
    def forward(self, x):
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.1, self.eps)


class HalfPrecision(nn.Linear):
    def forward(self, x):
        return F.linear(x.half(), self.weight.half(), self.bias.half()).float()


class BrainPrecision(nn.Conv2d):
    def forward(self, x):
        return F.conv2d(x.bfloat16(), self.weight.bfloat16(), self.bias.bfloat16(), padding=1).float()


class AlwaysDrops(nn.Dropout):
    def forward(self, x):
        return F.dropout(x, self.p, training=True)


class Tanh(nn.Module):
    def forward(self, x):
        return x.tanh()


class Does(nn.Module):
    """A module in which a function is applied that is no layer."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], features: int) -> None:
        super().__init__()
        self.first, self.function = nn.Linear(features, features), function
        self.second = nn.Linear(features, features)

    def forward(self, x):
        return self.second(self.function(self.first(x)))


# What is done to weights on the way from one model to another.


def other_gates(layer: nn.RNNBase, order: tuple[int, ...]) -> nn.RNNBase:
    with torch.no_grad():
        for parameter in layer.parameters():
            gates = parameter.chunk(len(order))
            parameter.copy_(torch.cat([gates[place] for place in order]))
    return layer


def with_weight(layer: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], name="weight") -> nn.Module:
    with torch.no_grad():
        weight = getattr(layer, name)
        weight.copy_(change(weight.clone()))
    return layer


class Fault(NamedTuple):
    """A layer, the same with a fault, and what the fault is called."""

    cause: str
    network: type[nn.Module]
    right: Callable[[], nn.Module]
    wrong: Callable[[], nn.Module]
    change: Callable[[nn.Module], object] = lambda layer: None
    """Done to the weights of the wrong one, after those of the right one have been copied."""


def conv(**options):
    return nn.Conv2d(CHANNELS, CHANNELS, 3, **{"padding": 1, **options})


def dense(features=FEATURES, **options):
    return nn.Linear(FEATURES, features, **options)


def pooling(**options):
    return nn.AvgPool2d(3, 1, 1, **options)


def lstm(**options):
    return nn.LSTM(FEATURES, FEATURES, batch_first=True, **options)


def gru(**options):
    return nn.GRU(FEATURES, FEATURES, batch_first=True, **options)


def norm(epsilon=1e-5, **options):
    return nn.BatchNorm2d(CHANNELS, epsilon, **options)


FAULTS = {
    "epsilon of a batch norm": Fault("epsilon", ImageNet, norm, lambda: norm(1e-3)),
    "epsilon of a group norm": Fault(
        "epsilon", ImageNet, lambda: nn.GroupNorm(2, CHANNELS), lambda: nn.GroupNorm(2, CHANNELS, 1e-2)
    ),
    "epsilon of a layer norm": Fault(
        "epsilon", SequenceNet, lambda: nn.LayerNorm(FEATURES), lambda: nn.LayerNorm(FEATURES, 1e-2)
    ),
    "padding at the end": Fault(
        "padding", ImageNet, lambda: conv(stride=2), lambda: PaddedAtTheEnd(CHANNELS, CHANNELS, 3, 2, 1)
    ),
    "padding by another mode": Fault("padding", ImageNet, conv, lambda: conv(padding_mode="reflect")),
    "stride in a pool": Fault("stride", ImageNet, lambda: nn.MaxPool2d(2, 2), lambda: nn.MaxPool2d(2, 1)),
    "dilation": Fault("dilation", ImageNet, conv, lambda: conv(dilation=2, padding=2)),
    "gates of an LSTM": Fault(
        "gate order", SequenceNet, lstm, lstm, lambda layer: other_gates(layer, (0, 2, 1, 3))
    ),
    "gates of a GRU": Fault("gate order", SequenceNet, gru, gru, lambda layer: other_gates(layer, (1, 0, 2))),
    "gates of an LSTM in both directions": Fault(
        "gate order",
        SequenceNet,
        lambda: nn.LSTM(FEATURES, FEATURES // 2, batch_first=True, bidirectional=True),
        lambda: nn.LSTM(FEATURES, FEATURES // 2, batch_first=True, bidirectional=True),
        lambda layer: other_gates(layer, (0, 1, 3, 2)),
    ),
    "transposed kernel": Fault(
        "transposed kernel", SequenceNet, dense, dense, lambda layer: with_weight(layer, lambda w: w.T)
    ),
    "kernel transposed where it is used": Fault(
        "transposed kernel", SequenceNet, dense, lambda: TransposedKernel(FEATURES, FEATURES)
    ),
    "transposed kernel of a convolution": Fault(
        "transposed kernel",
        ImageNet,
        conv,
        conv,
        lambda layer: with_weight(layer, lambda w: w.transpose(2, 3)),
    ),
    "flipped kernel": Fault(
        "flipped kernel", ImageNet, conv, conv, lambda layer: with_weight(layer, lambda w: w.flip(2, 3))
    ),
    "kernel flipped where it is used": Fault(
        "flipped kernel", ImageNet, conv, lambda: FlippedKernel(CHANNELS, CHANNELS, 3, padding=1)
    ),
    "activation": Fault("activation", ImageNet, nn.ReLU, nn.GELU),
    "activation in a transformer": Fault("activation", SequenceNet, nn.SiLU, nn.GELU),
    "activation of an unknown module": Fault("activation", SequenceNet, nn.ReLU, Tanh),
    "slope": Fault("slope", ImageNet, nn.LeakyReLU, lambda: nn.LeakyReLU(0.2)),
    "slope or none": Fault("slope", ImageNet, nn.ReLU, nn.LeakyReLU),
    "exactness of GELU": Fault("activation", SequenceNet, nn.GELU, lambda: nn.GELU("tanh")),
    "pooling that counts padding": Fault(
        "pool padding", ImageNet, pooling, lambda: pooling(count_include_pad=False)
    ),
    "pooling": Fault("pooling", ImageNet, lambda: nn.AvgPool2d(2), lambda: nn.MaxPool2d(2)),
    "missing bias": Fault("bias", ImageNet, conv, lambda: conv(bias=False)),
    "missing bias of a dense layer": Fault("bias", SequenceNet, dense, lambda: dense(bias=False)),
    "bias of zeros": Fault(
        "bias", SequenceNet, dense, dense, lambda layer: with_weight(layer, torch.zeros_like, "bias")
    ),
    "bias that is not added": Fault("bias", SequenceNet, dense, lambda: WithoutBias(FEATURES, FEATURES)),
    "layer norm over another axis": Fault(
        "axis", SequenceNet, lambda: nn.LayerNorm(FEATURES), lambda: NormOverTime(FEATURES)
    ),
    "batch norm over another axis": Fault("axis", ImageNet, norm, lambda: NormOverRows(CHANNELS)),
    "training mode": Fault("training mode", ImageNet, norm, lambda: StillTraining(CHANNELS)),
    "no running statistics": Fault("training mode", ImageNet, norm, lambda: norm(track_running_stats=False)),
    "half precision": Fault("precision", SequenceNet, dense, lambda: HalfPrecision(FEATURES, FEATURES)),
    "bfloat16": Fault("precision", ImageNet, conv, lambda: BrainPrecision(CHANNELS, CHANNELS, 3, padding=1)),
    "dropout": Fault("dropout", SequenceNet, nn.Dropout, AlwaysDrops),
    "dropout in a deep place": Fault("dropout", ImageNet, nn.Dropout, AlwaysDrops),
}


def pair(fault: Fault, blocks: int, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """Two networks that are the same, but for the layer called ``slot``."""
    right = settled(fault.network(fault.right(), blocks), seed)
    wrong = fault.network(fault.wrong(), blocks).eval()
    known = right.state_dict()
    wrong.load_state_dict({name: known[name] for name in wrong.state_dict()})
    fault.change(wrong.slot)
    return right, wrong


def copied(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model)


def compared(turned: bool, right: nn.Module, wrong: nn.Module, x: object) -> tuple[Comparison, list[str]]:
    """The comparison, and where it says that they part: the right model's path first."""
    if turned and isinstance(x, tuple):
        x = x[::-1]
    found = nv.compare(wrong, right, x) if turned else nv.compare(right, wrong, x)
    first = found.first_divergence
    paths = [] if first is None else [first.path_a, first.path_b]
    return found, paths[::-1] if turned else paths
