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

from ...keras.comparing.faulty import Dropping, Training
from .ported import lively, pictures

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
            y = L.ELU(name=f"{place}{number}_elu")(y)
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
            model.add_module(f"{place}{number}_elu", nn.ELU())
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
    """The same in PyTorch."""

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
    "pooling": Fault("pooling", lambda y: L.AveragePooling2D(2, **HERE)(y), lambda: nn.MaxPool2d(2)),
    "missing bias": Fault("bias", lambda y: conv()(y), conv_in_torch(bias=False), change("bias", lambda b: b + 1)),
    "bias that is not there": Fault(
        "bias", lambda y: conv()(y), conv_in_torch(), change("bias", np.zeros_like)
    ),
    "axis of a norm": Fault(
        "axis", lambda y: L.BatchNormalization(axis=1, epsilon=1e-5, **HERE)(y), lambda: nn.BatchNorm2d(CHANNELS)
    ),
    "training mode": Fault(
        "training mode",
        lambda y: Training(epsilon=1e-5, **HERE)(y),
        lambda: nn.BatchNorm2d(CHANNELS),
    ),
    "training mode in PyTorch": Fault(
        "training mode",
        lambda y: L.BatchNormalization(epsilon=1e-5, **HERE)(y),
        lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    ),
    "dropout": Fault("dropout", lambda y: Dropping(0.4, **HERE)(y), lambda: nn.Dropout(0.4)),
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
    specimen = in_torch.get_submodule("specimen")
    if getattr(specimen, "running_var", None) is not None:
        specimen.running_mean += 0.3  # else it normalises in evaluation as it does in training
        specimen.running_var *= 1.4
    in_keras = in_keras_around(fault.in_keras, depth)
    ours, theirs = (nv.wrap(model)["specimen"].weights.keys() for model in (in_keras, in_torch))
    nv.copy_weights(in_torch, in_keras, {"specimen": "specimen"} if ours and ours == theirs else None)
    for name in ours & theirs:
        nv.wrap(in_keras)["specimen"].weights[name].assign(
            nv.wrap(in_torch)["specimen"].weights[name].numpy()
        )
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


NARROWER = {
    "float16": Fault("precision", lambda y: L.Activation("tanh", dtype="float16", **HERE)(y), nn.Tanh),
    "bfloat16": Fault("precision", lambda y: conv(dtype="mixed_bfloat16")(y), conv_in_torch()),
}


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize("depth", [1, 6], ids=["small", "deep"])
@pytest.mark.parametrize("dtype", NARROWER)
def test_a_layer_that_says_to_compute_in_a_narrower_float_is_named(dtype, depth, back):
    """Its rounding is no fault, and no other is."""
    in_keras, in_torch, x = made(NARROWER[dtype], depth)
    found = nv.compare(in_torch, in_keras, x) if back else nv.compare(in_keras, in_torch, x)
    assert found.agrees, str(found)
    (remark,) = found.causes
    assert (remark.name, remark.path_a, remark.path_b) == ("precision", "specimen", "specimen")
    assert f"{'b' if back else 'a'} computes in {dtype}: from 'specimen' on" in remark.text


class Sentences(nn.Module):
    """Recurrent layers in a row, and the mean over time."""

    def __init__(self, kind: str, depth: int) -> None:
        super().__init__()
        rnn = getattr(nn, kind)
        self.before = nn.ModuleList(rnn(6, 6, batch_first=True) for _ in range(depth))
        self.specimen = rnn(6, 6, batch_first=True)
        self.after = nn.ModuleList(rnn(6, 6, batch_first=True) for _ in range(depth))
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (*self.before, self.specimen, *self.after):
            x = layer(x)[0]
        return self.head(x.mean(1))


def sentences_in_keras(kind: str, depth: int) -> keras.Model:
    rnn = getattr(L, kind)
    x = keras.Input((7, 6))
    y = x
    for name in (*(f"before_{n}" for n in range(depth)), "specimen", *(f"after_{n}" for n in range(depth))):
        y = rnn(6, return_sequences=True, name=name)(y)
    return keras.Model(x, L.Dense(4, name="head")(L.GlobalAveragePooling1D(name="mean")(y)))


def permuted(*order: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda weight: weight[list(order)]


def corrupt_one(weight: np.ndarray) -> np.ndarray:
    weight = weight.copy()
    weight.flat[weight.size // 2] += 0.5
    return weight


RECURRENT = {
    "gates of an lstm": ("LSTM", "gate order", ("input_kernel", "recurrent_kernel", "bias"), permuted(0, 2, 1, 3)),
    "gates of a gru": (
        "GRU", "gate order", ("input_kernel", "recurrent_kernel", "bias", "recurrent_bias"), permuted(1, 0, 2)
    ),
    "transposed recurrent kernel": (
        "LSTM", "transposed kernel", ("recurrent_kernel",), lambda weight: weight.swapaxes(1, 2)
    ),
    "no bias": ("LSTM", "bias", ("bias",), np.zeros_like),
    "one value of a gru": ("GRU", "weights", ("recurrent_kernel",), corrupt_one),
}  # fmt: skip


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize("depth", [1, 4], ids=["small", "deep"])
@pytest.mark.parametrize(("kind", "cause", "names", "changed"), RECURRENT.values(), ids=RECURRENT)
def test_a_fault_of_a_recurrent_layer(kind, cause, names, changed, depth, back):
    x = np.random.default_rng(0).normal(size=(3, 7, 6)).astype(np.float32)
    in_torch = lively(Sentences(kind, depth), x).eval()
    in_keras = sentences_in_keras(kind, depth)
    assert not nv.copy_weights(in_torch, in_keras).skipped
    for name in names:
        change(name, changed)(in_keras, in_torch)
    found = nv.compare(in_torch, in_keras, x) if back else nv.compare(in_keras, in_torch, x)
    assert_found(found, cause)


def flattening(depth: int) -> tuple[keras.Model, nn.Module]:
    x = y = keras.Input((SIZE, 6, 3))
    in_torch = nn.Sequential()
    for number in range(depth):
        y = L.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{number}")(y)
        in_torch.append(nn.Conv2d(3 if number == 0 else 4, 4, 3, padding=1))
        in_torch.append(nn.ReLU())
    y = L.Dense(5, activation="relu", name="specimen")(L.Flatten()(y))
    in_keras = keras.Model(x, L.Dense(4, name="head")(y))
    in_torch.append(nn.Flatten())
    for name, module in (
        ("specimen", nn.Linear(4 * SIZE * 6, 5)),
        ("relu", nn.ReLU()),
        ("head", nn.Linear(5, 4)),
    ):
        in_torch.add_module(name, module)
    return in_keras, in_torch


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize("depth", [1, 6], ids=["small", "deep"])
def test_a_kernel_for_features_flattened_in_another_order(depth, back):
    in_keras, in_torch = flattening(depth)
    x = nv.images(np.random.default_rng(0).normal(size=(3, SIZE, 6, 3)).astype(np.float32))
    nv.copy_weights(lively(in_torch, x), in_keras)
    assert nv.compare(in_keras, in_torch, x).first_divergence is None
    specimen = in_keras.get_layer("specimen")
    specimen.set_weights(
        [in_torch.specimen.weight.detach().numpy().T, in_torch.specimen.bias.detach().numpy()]
    )
    assert_found(nv.compare(*((in_torch, in_keras) if back else (in_keras, in_torch)), x), "flatten order")


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize("depth", [2, 8], ids=["small", "deep"])
def test_layers_that_changed_places(depth, back):
    x = pictures(SIZE, count=3)
    y = start = keras.Input((SIZE, SIZE, CHANNELS))
    names = [f"conv{number}" for number in range(depth)]
    for name in names:
        y = L.Conv2D(CHANNELS, 3, padding="same", activation="tanh", name=name)(y)
    in_keras = keras.Model(start, y)
    x = pictures(SIZE, channels=CHANNELS)
    in_torch = nn.Sequential()
    for name in names:
        in_torch.add_module(name, nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1))
        in_torch.add_module(f"{name}_tanh", nn.Tanh())
    here, there = names[depth // 2 - 1 : depth // 2 + 1]
    exchanged = {**{name: name for name in names}, here: there, there: here}
    nv.copy_weights(in_torch, in_keras, exchanged)
    found = nv.compare(*((in_torch, in_keras) if back else (in_keras, in_torch)), x)
    first = found.first_divergence
    assert first is not None
    assert {first.path_a, first.path_b} & {here, there} or f"{here!r}" in first.note, str(found)
    assert found.causes[0].name == "order of layers", str(found)
    assert found.causes[0].confirmed


INPUTS = {
    "scale": ("preprocessing", lambda x: x / 255),
    "mean and scale": ("preprocessing", lambda x: (x - [103.9, 116.8, 123.7]) / [58.4, 57.1, 57.4]),
    "centred": ("preprocessing", lambda x: x / 127.5 - 1),
    "channel order": ("channel order", lambda x: x[..., ::-1]),
    "channel order and mean": ("preprocessing", lambda x: x[..., ::-1] - [103.9, 116.8, 123.7]),
    "exchanged y and x": ("layout", lambda x: x.swapaxes(1, 2)),
    "reshaped, not transposed": (
        "layout",
        lambda x: np.moveaxis(x.reshape(len(x), x.shape[3], *x.shape[1:3]), 1, -1),
    ),
}


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize("depth", [1, 6], ids=["small", "deep"])
@pytest.mark.parametrize(("cause", "prepared"), INPUTS.values(), ids=INPUTS)
def test_what_was_done_to_the_input(cause, prepared, depth, back):
    in_keras, in_torch, _ = made(Fault("", lambda y: conv()(y), conv_in_torch()), depth)
    x = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype(np.float32)
    pair = nv.images(x), nv.images(np.ascontiguousarray(prepared(x), np.float32))
    found = nv.compare(in_torch, in_keras, pair) if back else nv.compare(in_keras, in_torch, pair)
    assert_found(found, cause, ("", ""))
    assert "before 'before0_conv'" in found.first_divergence.note


@pytest.mark.parametrize("back", [False, True], ids=["keras, torch", "torch, keras"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Rescaling(1 / 127.5, offset=-1, name="prepare"),
        lambda: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0], name="prepare"),
    ],
    ids=["Rescaling", "Normalization"],
)
def test_a_layer_that_prepares_the_input_on_one_side_alone(layer, back):
    healthy, in_torch, _ = made(Fault("", lambda y: conv()(y), conv_in_torch()), 1)
    start = keras.Input((SIZE, SIZE, 3))
    in_keras = keras.Model(start, healthy(layer()(start)))
    x = nv.images(np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype(np.float32))
    found = nv.compare(in_torch, in_keras, x) if back else nv.compare(in_keras, in_torch, x)
    first = found.first_divergence
    assert "prepare" in (first.path_b if back else first.path_a), str(found)
    assert (found.causes[0].name, found.causes[0].confirmed) == ("preprocessing", True), str(found)


def test_a_momentum_that_differs_is_said_though_nothing_diverges():
    in_keras, in_torch, x = made(
        Fault("", lambda y: L.BatchNormalization(epsilon=1e-5, **HERE)(y), lambda: nn.BatchNorm2d(CHANNELS)),
        1,
    )
    for pair in ((in_keras, in_torch), (in_torch, in_keras)):
        found = nv.compare(*pair, x)
        assert found.first_divergence is None
        (cause,) = found.causes
        assert (cause.name, cause.confirmed, cause.path_a, cause.path_b) == (
            "momentum", True, "specimen", "specimen"
        )  # fmt: skip
        assert "0.01" in cause.text
        assert "0.1 " in cause.text
