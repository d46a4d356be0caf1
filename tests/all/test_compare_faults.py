"""One fault is planted in one layer of a Keras model or of its port: it is found there, named, and put to the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from tests.all.ported import lively, pictures

L = keras.layers
SIZE = CHANNELS = 8
HERE = {"name": "specimen"}


class Fault(NamedTuple):
    """What stands between layers that agree, on both sides, and why that differs."""

    cause: str
    in_keras: Callable[[Any], Any]
    in_torch: Callable[[], nn.Module]
    tamper: Callable[[Any, nn.Module], None] | None = None
    """Changes the weights of the two specimens, once they are the same."""


def in_keras_around(specimen: Callable[[Any], Any], depth: int) -> keras.Model:
    x = keras.Input((SIZE, SIZE, 3))
    y = x
    for place in ("before", "after"):
        for number in range(depth):
            y = L.Conv2D(CHANNELS, 3, padding="same", name=f"{place}{number}_conv")(y)
            y = L.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{place}{number}_bn")(y)
            y = L.ReLU(name=f"{place}{number}_relu")(y)
        if place == "before":
            y = specimen(y)
    return keras.Model(x, L.Dense(5, name="head")(L.GlobalAveragePooling2D(name="mean")(y)))


def in_torch_around(specimen: nn.Module, depth: int) -> nn.Sequential:
    model = nn.Sequential()
    channels = 3
    for place in ("before", "after"):
        for number in range(depth):
            model.add_module(f"{place}{number}_conv", nn.Conv2d(channels, CHANNELS, 3, padding=1))
            model.add_module(f"{place}{number}_bn", nn.BatchNorm2d(CHANNELS))
            model.add_module(f"{place}{number}_relu", nn.ReLU())
            channels = CHANNELS
        if place == "before":
            model.add_module("specimen", specimen)
    for name, module in (("mean", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten())):
        model.add_module(name, module)
    model.add_module("head", nn.Linear(CHANNELS, 5))
    return model


def conv(**settings: Any) -> Callable[[Any], Any]:
    return L.Conv2D(CHANNELS, 3, **{"padding": "same", **HERE, **settings})


def conv_in_torch(**settings: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, **{"padding": 1, **settings})


def dense(**settings: Any) -> Callable[[Any], Any]:
    return L.Dense(CHANNELS, **HERE, **settings)


def pointwise() -> nn.Module:
    return nn.Conv2d(CHANNELS, CHANNELS, 1)


def change(name: str, changed: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any, nn.Module], None]:
    """Change a weight of the Keras model, in netviz' layout."""

    def tamper(in_keras: Any, in_torch: nn.Module) -> None:
        weight = nv.wrap(in_keras)["specimen"].weights[name]
        weight.assign(np.ascontiguousarray(changed(weight.numpy())))

    return tamper


class Always(nn.Dropout):
    """A dropout that does not know when training is over."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, self.p, training=True)


def corrupted(kernel: np.ndarray) -> np.ndarray:
    kernel = kernel.copy()
    kernel[2, 1, 0, 2] += 1
    return kernel


FAULTS = {
    "epsilon": Fault(
        "epsilon",
        lambda y: L.BatchNormalization(**HERE)(y),
        lambda: nn.BatchNorm2d(CHANNELS),
    ),
    "epsilon of a layer norm": Fault(
        "epsilon",
        lambda y: L.GroupNormalization(2, epsilon=1e-2, **HERE)(y),
        lambda: nn.GroupNorm(2, CHANNELS),
    ),
    "padding": Fault("padding", lambda y: conv(strides=2)(y), conv_in_torch(stride=2)),
    "padding of a pooling": Fault(
        "padding",
        lambda y: L.MaxPooling2D(3, strides=2, padding="same", **HERE)(y),
        lambda: nn.MaxPool2d(3, 2, 1),
    ),
    "padding mode": Fault("padding", lambda y: conv()(y), conv_in_torch(padding_mode="reflect")),
    "dilation": Fault("dilation", lambda y: conv()(y), conv_in_torch(dilation=2, padding=2)),
    "transposed kernel": Fault(
        "transposed kernel",
        lambda y: conv()(y),
        conv_in_torch(),
        change("kernel", lambda kernel: kernel.swapaxes(0, 1)),
    ),
    "exchanged y and x": Fault(
        "transposed kernel",
        lambda y: conv()(y),
        conv_in_torch(),
        change("kernel", lambda kernel: kernel.swapaxes(2, 3)),
    ),
    "unflipped kernel": Fault(
        "flipped kernel",
        lambda y: conv()(y),
        conv_in_torch(),
        change("kernel", lambda kernel: np.flip(kernel, (2, 3))),
    ),
    "unflipped kernel of a transposed convolution": Fault(
        "flipped kernel",
        lambda y: L.Conv2DTranspose(CHANNELS, 3, **HERE)(y),
        lambda: nn.ConvTranspose2d(CHANNELS, CHANNELS, 3),
        change("kernel", lambda kernel: np.flip(kernel, (2, 3))),
    ),
    "activation": Fault("activation", lambda y: L.Activation("silu", **HERE)(y), nn.Tanh),
    "activation that is forgotten": Fault(
        "activation", lambda y: conv(activation="tanh")(y), conv_in_torch()
    ),
    "slope": Fault("slope", lambda y: L.LeakyReLU(**HERE)(y), nn.LeakyReLU),
    "exactness": Fault(
        "activation", lambda y: L.Activation("gelu", **HERE)(y), lambda: nn.GELU(approximate="tanh")
    ),
    "pooling that counts padding": Fault(
        "pool padding",
        lambda y: L.AveragePooling2D(3, strides=1, padding="same", **HERE)(y),
        lambda: nn.AvgPool2d(3, 1, 1),
    ),
    "pooling": Fault("pooling", lambda y: L.AveragePooling2D(**HERE)(y), lambda: nn.MaxPool2d(2)),
    "missing bias": Fault("bias", lambda y: conv()(y), conv_in_torch(bias=False), change("bias", lambda b: b + 1)),
    "bias that is not there": Fault(
        "bias", lambda y: conv()(y), conv_in_torch(), change("bias", np.zeros_like)
    ),
    "axis of a norm": Fault(
        "axis", lambda y: L.BatchNormalization(axis=1, epsilon=1e-5, **HERE)(y), lambda: nn.BatchNorm2d(CHANNELS)
    ),
    "training mode": Fault(
        "training mode",
        lambda y: L.BatchNormalization(epsilon=1e-5, **HERE)(y, training=True),
        lambda: nn.BatchNorm2d(CHANNELS),
    ),
    "training mode in PyTorch": Fault(
        "training mode",
        lambda y: L.BatchNormalization(epsilon=1e-5, **HERE)(y),
        lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    ),
    "float16": Fault("precision", lambda y: L.Activation("tanh", dtype="float16", **HERE)(y), nn.Tanh),
    "mixed bfloat16": Fault("precision", lambda y: conv(dtype="mixed_bfloat16")(y), conv_in_torch()),
    "dropout": Fault("dropout", lambda y: L.Dropout(0.4, **HERE)(y, training=True), lambda: nn.Dropout(0.4)),
    "dropout in PyTorch": Fault("dropout", lambda y: L.Dropout(0.4, **HERE)(y), lambda: Always(0.4)),
    "one value": Fault("weights", lambda y: conv()(y), conv_in_torch(), change("kernel", corrupted)),
    "scaled kernel": Fault(
        "weights", lambda y: conv()(y), conv_in_torch(), change("kernel", lambda kernel: 0.5 * kernel)
    ),
}  # fmt: skip


def assert_found(found: nv.Comparison, cause: str, paths: tuple[str, str] = ("specimen", "specimen")) -> None:
    first = found.first_divergence
    assert first is not None, str(found)
    assert (first.path_a, first.path_b) == paths, str(found)
    named = {(each.name, each.confirmed) for each in found.causes[:2]}
    assert (cause, True) in named, str(found)


def made(fault: Fault, depth: int) -> tuple[Any, nn.Module, nv.AxisArray]:
    x = pictures(SIZE, count=3)
    in_torch = lively(in_torch_around(fault.in_torch(), depth), x)
    in_keras = in_keras_around(fault.in_keras, depth)
    here = "specimen"
    both = nv.wrap(in_keras)[here].weights and nv.wrap(in_torch)[here].weights
    nv.copy_weights(in_torch, in_keras, {here: here} if both else None)
    if fault.tamper is not None:
        fault.tamper(in_keras, in_torch)
    return in_keras, in_torch.eval(), x


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize("depth", [1, 6], ids=["small", "deep"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_at_its_place(fault, depth, back):
    in_keras, in_torch, x = made(fault, depth)
    found = nv.compare(in_torch, in_keras, x) if back else nv.compare(in_keras, in_torch, x)
    assert_found(found, fault.cause)
