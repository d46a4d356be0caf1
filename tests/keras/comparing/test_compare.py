"""Two Keras models side by side: a fault planted in one layer is found there, named and confirmed, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L
from .faulty import Dropping, Training

SIZE = CHANNELS = 8
HERE = {"name": "specimen"}
Specimen = Callable[[Any], Any]


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


# Where a fault stands, and in which model, has nothing to do with Keras' engine; JAX compiles each model anew.
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
DEPTHS = {"small": 1, "deep": 5} if IS_TENSORFLOW else {"small": 1}
WAYS = {"there": False, "back": True} if IS_TENSORFLOW else {"there": False}


@pytest.mark.parametrize("back", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_at_its_place(fault, depth, back):
    healthy, faulty, x = pair(fault, depth)
    found = nv.compare(faulty, healthy, x) if back else nv.compare(healthy, faulty, x)
    first = found.first_divergence
    assert first is not None, str(found)
    assert (first.path_a, first.path_b) == ("specimen", "specimen"), str(found)
    assert (fault.cause, True) in {(each.name, each.confirmed) for each in found.causes[:2]}, str(found)


NARROWER = {
    "bfloat16": Fault("precision", conv(), conv(dtype="mixed_bfloat16")),
    "float16": Fault("precision", activation("tanh"), activation("tanh", dtype="mixed_float16")),
}


@pytest.mark.parametrize("back", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)
@pytest.mark.parametrize("dtype", NARROWER)
def test_a_layer_that_says_to_compute_in_a_narrower_float_is_named(dtype, depth, back):
    """Its rounding is no fault, and no other is."""
    healthy, faulty, x = pair(NARROWER[dtype], depth)
    found = nv.compare(faulty, healthy, x) if back else nv.compare(healthy, faulty, x)
    assert found.agrees, str(found)
    (remark,) = found.causes
    assert (remark.name, remark.path_a, remark.path_b) == ("precision", "specimen", "specimen")
    assert f"{'a' if back else 'b'} computes in {dtype}: from 'specimen' on" in remark.text


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_without_the_fault_nothing_is_found(fault):
    """Else it would not be the fault that is found."""
    healthy = pair(fault, 2)[0]
    again, _, x = pair(fault, 2)
    found = nv.compare(healthy, again, x)
    assert found.first_divergence is None, str(found)
    assert not found.causes


def residual() -> keras.Model:
    """A stem, three stages of two blocks with a shortcut each, as ResNet has them."""
    x = y = keras.Input((16, 16, 3))
    y = L.Conv2D(4, 3, padding="same", name="stem")(y)
    for stage, filters in enumerate((4, 8, 16)):
        for block in range(2):
            name = f"stage{stage}_block{block}"
            stride = 2 if stage and not block else 1
            z = L.Conv2D(filters, 3, strides=stride, padding="same", name=f"{name}_conv1")(y)
            z = L.ReLU(name=f"{name}_relu1")(L.BatchNormalization(name=f"{name}_bn1")(z))
            z = L.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(z)
            z = L.BatchNormalization(name=f"{name}_bn2")(z)
            if y.shape[-1] != filters:
                y = L.Conv2D(filters, 1, strides=stride, name=f"{name}_shortcut")(y)
            y = L.ReLU(name=f"{name}_relu2")(L.Add(name=f"{name}_add")([y, z]))
    return keras.Model(x, L.Dense(5, name="head")(L.GlobalAveragePooling2D(name="mean")(y)))


def recurrent() -> keras.Model:
    x = keras.Input((7,), dtype="int32")
    y = L.Embedding(9, CHANNELS, name="words")(x)
    y = L.LSTM(CHANNELS, return_sequences=True, name="lstm1")(y)
    y = L.Bidirectional(L.LSTM(CHANNELS, return_sequences=True), name="both")(y)
    y = L.LayerNormalization(name="norm")(y)
    y = L.GRU(CHANNELS, name="gru")(y)
    return keras.Model(x, L.Dense(4, activation="softmax", name="head")(y))


@pytest.mark.parametrize("make", [residual, recurrent])
def test_one_corrupted_weight_is_found_in_every_layer(make):
    healthy, faulty = filled(make()), filled(make())
    random = np.random.default_rng(0)
    shape = (3, *healthy.inputs[0].shape[1:])
    images = random.normal(size=shape).astype(np.float32)
    x = images if make is residual else random.integers(0, 9, shape)
    layers = [layer for layer in faulty.layers if layer.weights]
    assert len(layers) > 4
    for layer in layers:
        before = layer.get_weights()
        values = [weight.copy() for weight in before]
        values[0].flat[values[0].size // 2] += 0.5
        layer.set_weights(values)
        found = nv.compare(healthy, faulty, x)
        assert found.first_divergence.path_b == layer.name, str(found)
        assert (found.causes[0].name, found.causes[0].confirmed) == ("weights", True), str(found)
        assert "1 of " in found.causes[0].text
        layer.set_weights(before)
    assert nv.compare(healthy, faulty, x).first_divergence is None


def folded(norm: Any, kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
    gamma, beta, mean, variance = norm.get_weights()
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return [kernel * scale, (bias - mean) * scale + beta]


def with_norms() -> keras.Model:
    x = y = keras.Input((SIZE, SIZE, 3))
    for number in range(3):
        y = L.Conv2D(CHANNELS, 3, padding="same", name=f"conv{number}")(y)
        y = L.BatchNormalization(name=f"bn{number}")(y)
        y = L.ReLU(name=f"relu{number}")(y)
    return keras.Model(x, L.Dense(5, name="head")(L.GlobalAveragePooling2D(name="mean")(y)))


def without_norms(source: keras.Model) -> keras.Model:
    """The same function: norms folded, activations built in, other names, another nesting, a softmax at the end."""
    inner = keras.Sequential([keras.Input((SIZE, SIZE, 3))], name="trunk")
    for number in range(3):
        inner.add(L.Conv2D(CHANNELS, 3, padding="same", activation="relu", name=f"part{number}"))
        inner.add(L.Dropout(0.3, name=f"drop{number}"))
    head = L.Dense(5, activation="softmax", name="scores")
    x = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(x, head(L.Flatten()(L.GlobalAveragePooling2D(keepdims=True)(inner(x)))))
    for number in range(3):
        conv, bn = (source.get_layer(f"{name}{number}") for name in ("conv", "bn"))
        inner.get_layer(f"part{number}").set_weights(folded(bn, *conv.get_weights()))
    head.set_weights(source.get_layer("head").get_weights())
    return model


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_the_same_function_written_otherwise_is_the_same(back):
    plain = filled(with_norms())
    other = without_norms(plain)
    x = np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 3)).astype(np.float32)
    found = nv.compare(other, plain, x) if back else nv.compare(plain, other, x)
    assert found.first_divergence is None, str(found)
    part = other.get_layer("trunk").get_layer("part1")
    kernel, bias = part.get_weights()
    part.set_weights([kernel, bias + 0.1])
    found = nv.compare(other, plain, x) if back else nv.compare(plain, other, x)
    first = found.first_divergence
    assert {first.path_a, first.path_b} == {"conv1", "trunk/part1"}, str(found)


def test_it_leaves_the_models_as_they_were():
    healthy, faulty, x = pair(FAULTS["epsilon"], 1)
    before = [w.copy() for model in (healthy, faulty) for w in model.get_weights()]
    nv.compare(healthy, faulty, x)
    after = [w for model in (healthy, faulty) for w in model.get_weights()]
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)
