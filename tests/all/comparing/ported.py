"""The same networks in Keras and in PyTorch, with the same weights: what a port that succeeded looks like."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import torch
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models
from netviz_core.models.alignment import LayerMapping

L = keras.layers


class Port(NamedTuple):
    """Two models that compute the same, and an input for both."""

    in_keras: Any
    in_torch: nn.Module
    x: Any


def pictures(size: int, channels: int = 3, count: int = 2) -> nv.AxisArray:
    return nv.images(np.random.default_rng(0).normal(size=(count, size, size, channels)).astype(np.float32))


def tokens(length: int, vocabulary: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, vocabulary, (count, length))


def lively(model: nn.Module, x: Any, seed: int = 0) -> nn.Module:
    """Give norms and biases values of their own, so that each matters, and norms the statistics of their input."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            numbers = torch.rand(tensor.shape, generator=generator)
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm):
                if name == "weight":
                    tensor.data = 0.6 + 0.8 * numbers
                elif name == "bias":
                    tensor.data = 0.4 * numbers - 0.2
            elif "bias" in name:
                tensor.data = 0.4 * numbers - 0.2
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.tensor(x.canonical().values) if isinstance(x, nv.AxisArray) else torch.tensor(x))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model


def ported(in_keras: Any, in_torch: nn.Module, x: Any, mapping: LayerMapping | None = None) -> Port:
    """Give the Keras model the weights of the other: all of them."""
    report = nv.copy_weights(lively(in_torch, x), in_keras, mapping)
    assert not report.skipped, str(report)
    return Port(in_keras, in_torch.eval(), x)


def vgg16() -> Port:
    size, classes = 32, 10
    in_torch = models.vgg16(weights=None, num_classes=classes)
    in_torch.avgpool = nn.Identity()
    in_torch.classifier[0] = nn.Linear(512, 64)
    in_torch.classifier[3] = nn.Linear(64, 64)
    in_torch.classifier[6] = nn.Linear(64, classes)
    trunk = keras.applications.VGG16(include_top=False, weights=None, input_shape=(size, size, 3))
    y = L.Flatten(name="flatten")(trunk.output)
    for name in ("fc1", "fc2"):
        y = L.Dense(64, activation="relu", name=name)(y)
    y = L.Dense(classes, activation="softmax", name="predictions")(y)
    return ported(keras.Model(trunk.input, y), in_torch, pictures(size))


def _convolution(y: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    """As PyTorch pads: by the same on both sides."""
    if kernel > 1:
        y = L.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(y)
    y = L.Conv2D(filters, kernel, strides=stride, use_bias=False, name=f"{name}_conv")(y)
    return L.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(y)


def _bottleneck(x: Any, filters: int, stride: int, first: bool, name: str) -> Any:
    shortcut = _convolution(x, 4 * filters, 1, stride, f"{name}_0") if first else x
    y = L.ReLU(name=f"{name}_1_relu")(_convolution(x, filters, 1, 1, f"{name}_1"))
    y = L.ReLU(name=f"{name}_2_relu")(_convolution(y, filters, 3, stride, f"{name}_2"))
    y = _convolution(y, 4 * filters, 1, 1, f"{name}_3")
    return L.ReLU(name=f"{name}_out")(L.Add(name=f"{name}_add")([y, shortcut]))


def resnet50_in_keras(size: int, classes: int = 10) -> Any:
    """ResNet-50 with the stride in the 3 × 3 convolution, as torchvision has it."""
    x = keras.Input((size, size, 3))
    y = L.ReLU(name="conv1_relu")(_convolution(x, 64, 7, 2, "conv1"))
    y = L.ZeroPadding2D(1, name="pool1_pad")(y)
    y = L.MaxPooling2D(3, strides=2, name="pool1_pool")(y)
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            y = _bottleneck(y, filters, stride, block == 1, f"conv{stage}_block{block}")
    y = L.GlobalAveragePooling2D(name="avg_pool")(y)
    return keras.Model(x, L.Dense(classes, name="predictions")(y))


def in_keras_resnet(layer: Any) -> str | None:
    """How Keras calls one of torchvision's branches: order alone does not tell which of the two comes first."""
    parts = layer.path.split(".")
    if len(parts) < 3:
        return None
    stage, block = int(parts[0][-1]) + 1, int(parts[1]) + 1
    if parts[2] == "downsample":
        return f"conv{stage}_block{block}_0_{('conv', 'bn')[int(parts[3])]}"
    return f"conv{stage}_block{block}_{parts[2][-1]}_{parts[2][:-1]}"


def resnet50() -> Port:
    in_torch = models.resnet50(weights=None, num_classes=10)
    return ported(resnet50_in_keras(64), in_torch, pictures(64), in_keras_resnet)


def stock_resnet50() -> Port:
    """Keras' own, with torchvision's weights."""
    in_keras = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg"
    )
    in_torch = models.resnet50(weights=None)
    in_torch.fc = nn.Identity()
    return ported(in_keras, in_torch, pictures(64), in_keras_resnet)


def _separable(x: Any, filters: int, stride: int, expansion: int, name: str) -> Any:
    """One block of MobileNetV2."""
    y, channels = x, x.shape[-1]
    if expansion > 1:
        y = L.Conv2D(expansion * channels, 1, use_bias=False, name=f"{name}_expand")(y)
        y = L.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_expand_bn")(y)
        y = L.ReLU(6.0, name=f"{name}_expand_relu")(y)
    y = L.ZeroPadding2D(1, name=f"{name}_pad")(y)
    y = L.DepthwiseConv2D(3, strides=stride, use_bias=False, name=f"{name}_depthwise")(y)
    y = L.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_depthwise_bn")(y)
    y = L.ReLU(6.0, name=f"{name}_depthwise_relu")(y)
    y = L.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = L.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_project_bn")(y)
    return L.Add(name=f"{name}_add")([x, y]) if stride == 1 and channels == filters else y


_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
)  # fmt: skip
"""Of MobileNetV2: expansion, filters, how many blocks, stride of the first."""


def mobilenet_in_keras(size: int, classes: int = 10) -> Any:
    x = keras.Input((size, size, 3))
    y = L.ReLU(6.0, name="stem_relu")(_convolution(x, 32, 3, 2, "stem"))
    number = 0
    for expansion, filters, count, stride in _STAGES:
        for place in range(count):
            y = _separable(y, filters, stride if place == 0 else 1, expansion, f"block{number}")
            number += 1
    y = L.ReLU(6.0, name="top_relu")(_convolution(y, 1280, 1, 1, "top"))
    y = L.Dropout(0.2, name="drop")(L.GlobalAveragePooling2D(name="avg_pool")(y))
    return keras.Model(x, L.Dense(classes, name="predictions")(y))


def mobilenet_v2() -> Port:
    return ported(mobilenet_in_keras(64), models.mobilenet_v2(weights=None, num_classes=10), pictures(64))


class Classifier(nn.Module):
    """Sentences to classes, by the last state of each direction."""

    def __init__(self, bidirectional: bool, kind: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 12)
        self.rnn = kind(12, 16, batch_first=True, bidirectional=bidirectional)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(16 * (1 + bidirectional), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, state = self.rnn(self.embedding(x))
        hidden = state[0] if isinstance(state, tuple) else state
        return self.fc(self.dropout(torch.cat([*hidden], 1)))


def classifier(bidirectional: bool = False, kind: str = "LSTM") -> Port:
    memory: Any = getattr(L, kind)(16, name="memory")
    if bidirectional:
        memory = L.Bidirectional(memory, name="both_ways")
    in_keras = keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            L.Embedding(30, 12, name="words"),
            memory,
            L.Dropout(0.3, name="dropout"),
            L.Dense(4, activation="softmax", name="predictions"),
        ]
    )
    return ported(in_keras, Classifier(bidirectional, getattr(nn, kind)), tokens(9, 30))


class Encoder(nn.Module):
    """Embedding, encoder layers, mean over time, classes."""

    def __init__(self, pre_norm: bool, depth: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16)
        layer = nn.TransformerEncoderLayer(
            16, 4, 32, dropout=0.1, activation="gelu", batch_first=True, norm_first=pre_norm
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(16)
        self.fc = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.encoder(self.embedding(x))).mean(1))


def encoder_in_keras(pre_norm: bool, depth: int = 2) -> Any:
    def norm(name: str) -> Any:
        return L.LayerNormalization(epsilon=1e-5, name=name)

    x = keras.Input((9,), dtype="int32")
    y = L.Embedding(30, 16, name="words")(x)
    for number in range(depth):
        name = f"block{number}"
        attention = L.MultiHeadAttention(4, 4, name=f"{name}_attention")
        norm1, norm2 = norm(f"{name}_norm1"), norm(f"{name}_norm2")
        wide, narrow = L.Dense(32, activation="gelu", name=f"{name}_wide"), L.Dense(16, name=f"{name}_narrow")
        if pre_norm:
            z = norm1(y)
            y = L.Add(name=f"{name}_add1")([y, attention(z, z)])
            y = L.Add(name=f"{name}_add2")([y, narrow(wide(norm2(y)))])
        else:
            y = norm1(L.Add(name=f"{name}_add1")([y, attention(y, y)]))
            y = norm2(L.Add(name=f"{name}_add2")([y, narrow(wide(y))]))
    y = L.GlobalAveragePooling1D(name="mean")(norm("norm")(y))
    return keras.Model(x, L.Dense(4, name="predictions")(y))


def encoder(pre_norm: bool = False) -> Port:
    return ported(encoder_in_keras(pre_norm), Encoder(pre_norm), tokens(9, 30))


def encoder_pre() -> Port:
    return encoder(True)


def bilstm() -> Port:
    return classifier(True)


def gru() -> Port:
    return classifier(True, "GRU")
