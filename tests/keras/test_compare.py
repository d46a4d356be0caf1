"""Two Keras models side by side: a fault planted in one layer is found there, named and confirmed, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import netviz_core as nv

from .conftest import L

SIZE = CHANNELS = 8
HERE = {"name": "specimen"}
Specimen = Callable[[Any], Any]


class Dropping(L.Dropout):
    """A dropout that does not know when training is over."""

    def call(self, x: Any, training: bool = False) -> Any:
        return super().call(x, training=True)


class Training(L.BatchNormalization):
    """A norm that stays with the statistics of the batch."""

    def call(self, x: Any, training: bool = False) -> Any:
        return super().call(x, training=True)


def images_around(specimen: Specimen, depth: int) -> keras.Model:
    x = y = keras.Input((SIZE, SIZE, 3))
    for place in ("before", "after"):
        for number in range(depth):
            y = L.Conv2D(CHANNELS, 3, padding="same", name=f"{place}{number}_conv")(y)
            y = L.BatchNormalization(name=f"{place}{number}_bn")(y)
            y = L.ELU(name=f"{place}{number}_elu")(y)
        if place == "before":
            y = specimen(y)
    return keras.Model(x, L.Dense(5, name="head")(L.GlobalAveragePooling2D(name="mean")(y)))


def sequences_around(specimen: Specimen, depth: int) -> keras.Model:
    x = y = keras.Input((7, CHANNELS))
    for place in ("before", "after"):
        for number in range(depth):
            y = L.LSTM(CHANNELS, return_sequences=True, name=f"{place}{number}")(y)
        if place == "before":
            y = specimen(y)
    return keras.Model(x, L.Dense(5, name="head")(L.GlobalAveragePooling1D(name="mean")(y)))


def flat_around(specimen: Specimen, depth: int) -> keras.Model:
    x = y = keras.Input((SIZE, 6, 3))
    for number in range(depth):
        y = L.Conv2D(4, 3, padding="same", activation="elu", name=f"before{number}")(y)
    y = specimen(L.Flatten(name="flat")(y))
    for number in range(depth):
        y = L.Dense(CHANNELS, activation="elu", name=f"after{number}")(y)
    return keras.Model(x, y)


def filled(model: keras.Model) -> keras.Model:
    """Give each weight values of its own, by its layer's name and its own."""
    for layer in model.layers:
        for variable in layer.weights:
            seed = sum(map(ord, f"{layer.name} {variable.name}"))
            numbers = np.random.default_rng(seed).uniform(-1, 1, variable.shape)
            if variable.name in ("gamma", "moving_variance"):
                numbers = 1 + 0.3 * numbers
            elif len(variable.shape) > 1:
                numbers = numbers * np.sqrt(3 / np.prod(variable.shape[:-1]))
            else:
                numbers = 0.3 * numbers
            if "seed" not in variable.path:
                variable.assign(numbers.astype(np.float32))
    return model


class Fault(NamedTuple):
    cause: str
    healthy: Specimen
    faulty: Specimen
    change: tuple[str, Callable[[np.ndarray], np.ndarray]] | None = None
    """A weight of the faulty specimen, in netviz' layout, and what is done to it."""
    around: Callable[[Specimen, int], keras.Model] = images_around


def conv(**settings: Any) -> Specimen:
    return lambda y: L.Conv2D(CHANNELS, 3, **{"padding": "same", **HERE, **settings})(y)


def pool(**settings: Any) -> Specimen:
    return lambda y: L.AveragePooling2D(3, strides=1, **{"padding": "same", **HERE, **settings})(y)


def norm(**settings: Any) -> Specimen:
    return lambda y: L.BatchNormalization(**HERE, **settings)(y)


def rnn(kind: str, **settings: Any) -> Specimen:
    return lambda y: getattr(L, kind)(CHANNELS, return_sequences=True, **HERE, **settings)(y)


def dense(**settings: Any) -> Specimen:
    return lambda y: L.Dense(CHANNELS, **HERE, **settings)(y)


def activation(name: str, **settings: Any) -> Specimen:
    return lambda y: L.Activation(name, **HERE, **settings)(y)


def symmetric(y: Any) -> Any:
    return L.Conv2D(CHANNELS, 3, strides=2, **HERE)(L.ZeroPadding2D(1, name="pad")(y))


def counting(y: Any) -> Any:
    return L.AveragePooling2D(3, strides=1, **HERE)(L.ZeroPadding2D(1, name="pad")(y))


def tanh_gelu(y: Any) -> Any:
    return L.Activation(approximate_gelu, **HERE)(y)


@keras.saving.register_keras_serializable()
def approximate_gelu(x: Any) -> Any:
    return keras.ops.gelu(x, approximate=True)


def flattened_otherwise(kernel: np.ndarray) -> np.ndarray:
    """For features by channel, as PyTorch flattens."""
    return kernel.reshape(len(kernel), SIZE, 6, 4).transpose(0, 3, 1, 2).reshape(kernel.shape)


def one_value(weight: np.ndarray) -> np.ndarray:
    weight = weight.copy()
    weight.flat[weight.size // 2] += 0.5
    return weight


FAULTS = {
    "epsilon": Fault("epsilon", norm(), norm(epsilon=1e-5)),
    "padding": Fault("padding", conv(strides=2), symmetric),
    "gates of an lstm": Fault(
        "gate order", rnn("LSTM"), rnn("LSTM"), ("recurrent_kernel", lambda w: w[[0, 2, 1, 3]]), sequences_around
    ),
    "gates of a gru": Fault(
        "gate order", rnn("GRU"), rnn("GRU"), ("input_kernel", lambda w: w[[1, 0, 2]]), sequences_around
    ),
    "direction": Fault(
        "direction", rnn("LSTM"), rnn("LSTM", go_backwards=True), around=sequences_around
    ),
    "activation of a gate": Fault(
        "activation", rnn("LSTM"), rnn("LSTM", recurrent_activation="hard_sigmoid"), around=sequences_around
    ),
    "flatten order": Fault("flatten order", dense(), dense(), ("kernel", flattened_otherwise), flat_around),
    "transposed kernel": Fault(
        "transposed kernel", conv(), conv(), ("kernel", lambda w: w.swapaxes(0, 1))
    ),
    "unflipped kernel": Fault(
        "flipped kernel", conv(), conv(), ("kernel", lambda w: np.flip(w, (2, 3)))
    ),
    "activation": Fault("activation", activation("silu"), activation("tanh")),
    "activation that is forgotten": Fault("activation", conv(activation="tanh"), conv()),
    "slope": Fault("slope", lambda y: L.LeakyReLU(0.3, **HERE)(y), lambda y: L.LeakyReLU(0.01, **HERE)(y)),
    "exactness": Fault("activation", activation("gelu"), tanh_gelu),
    "pooling that counts padding": Fault("pool padding", pool(), counting),
    "pooling": Fault(
        "pooling", lambda y: L.MaxPooling2D(2, **HERE)(y), lambda y: L.AveragePooling2D(2, **HERE)(y)
    ),
    "missing bias": Fault("bias", conv(), conv(use_bias=False)),
    "axis": Fault("axis", norm(), norm(axis=1)),
    "training mode": Fault("training mode", norm(), lambda y: Training(**HERE)(y)),
    "precision": Fault("precision", conv(), conv(dtype="mixed_bfloat16")),
    "float16": Fault("precision", activation("tanh"), activation("tanh", dtype="mixed_float16")),
    "dropout": Fault(
        "dropout", lambda y: L.Dropout(0.4, **HERE)(y), lambda y: Dropping(0.4, **HERE)(y)
    ),
    "one value": Fault("weights", conv(), conv(), ("kernel", one_value)),
}  # fmt: skip


def pair(fault: Fault, depth: int) -> tuple[keras.Model, keras.Model, np.ndarray]:
    healthy, faulty = (filled(fault.around(specimen, depth)) for specimen in (fault.healthy, fault.faulty))
    if fault.change is not None:
        name, changed = fault.change
        weight = nv.wrap(faulty)["specimen"].weights[name]
        weight.assign(np.ascontiguousarray(changed(weight.numpy())))
    shape = (3, *healthy.inputs[0].shape[1:])
    return healthy, faulty, np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("depth", [1, 5], ids=["small", "deep"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_at_its_place(fault, depth, back):
    healthy, faulty, x = pair(fault, depth)
    found = nv.compare(faulty, healthy, x) if back else nv.compare(healthy, faulty, x)
    first = found.first_divergence
    assert first is not None, str(found)
    assert (first.path_a, first.path_b) == ("specimen", "specimen"), str(found)
    assert (fault.cause, True) in {(each.name, each.confirmed) for each in found.causes[:2]}, str(found)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_without_the_fault_nothing_is_found(fault):
    """Else it would not be the fault that is found."""
    healthy = pair(fault, 2)[0]
    again, _, x = pair(fault, 2)
    found = nv.compare(healthy, again, x)
    assert found.first_divergence is None, str(found)
    assert not found.causes
