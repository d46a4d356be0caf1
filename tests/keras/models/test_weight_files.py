"""Files of weights: what Keras wrote of a model fits that model, and what is the optimizer's is no weight."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L


def sequential() -> Any:
    """Its layers have names that Keras makes up, other ones each time."""
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(6), L.Dense(6)]
    )


def nested() -> Any:
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3, name="same"), L.Flatten()], name="encoder"
    )
    x = keras.Input((8, 8, 1))
    return keras.Model(x, L.Dense(3, name="same")(encoder(x)))


def shared() -> Any:
    layer, x = L.Dense(4), keras.Input((4,))
    return keras.Model(x, L.Dense(4)(layer(layer(x))))


def recurrent() -> Any:
    return keras.Sequential(
        [keras.Input((5, 3)), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.GRU(4)]
    )


def attending() -> Any:
    x = keras.Input((5, 4))
    return keras.Model(x, L.LayerNormalization()(L.MultiHeadAttention(2, 3)(x, x)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.tail = L.Dense(3)
        self.blocks = [L.Dense(5), L.Dense(5)]
        self.scale = self.add_weight(shape=(3,), name="scale")
        self.build((None, 5))

    def build(self, shape: Any) -> None:
        for layer in (*self.blocks, self.tail):
            layer.build(shape)
        super().build(shape)

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.tail(x) * self.scale


MODELS = [sequential, nested, shared, recurrent, attending, Subclassed]


def _random(make: Callable[[], Any], seed: int) -> Any:
    model, random = make(), np.random.default_rng(seed)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("make", MODELS)
def test_what_a_model_wrote_is_copied_back(make: Callable[[], Any], shards: bool, tmp_path: Path) -> None:
    saved, model = _random(make, 1), _random(make, 2)
    path = tmp_path / f"own.weights.{'json' if shards else 'h5'}"
    saved.save_weights(path, **({"max_shard_size": 3.6e-6} if shards else {}))
    report = nv.copy_weights(path, model)
    assert not report.skipped
    for want, got in zip(saved.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("make", MODELS)
def test_the_optimizer_is_no_weight(make: Callable[[], Any], tmp_path: Path) -> None:
    model = _random(make, 1)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10)), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(tmp_path / "after.weights.h5")
    network = nv.wrap(tmp_path / "after.weights.h5")
    assert nv.summary(network).total_parameters == model.count_params()
    assert "without optimizer (an optimizer's state)" in network[""].type_name
    assert not any("optimizer" in path for path in network)
    assert not nv.copy_weights(network, _random(make, 2)).skipped


def test_layers_have_the_names_of_the_model(tmp_path: Path) -> None:
    model = nested()
    model.save_weights(tmp_path / "own.weights.h5")
    found = nv.wrap(tmp_path / "own.weights.h5")
    assert set(found) == {"", "encoder/same", "same"}
    assert found["encoder/same"].weights["kernel"].axes == ("out", "in", "y", "x")


def test_brain_floats_are_read(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, dtype="bfloat16")])
    model.save_weights(tmp_path / "half.weights.h5")
    kernel = nv.wrap(tmp_path / "half.weights.h5").select(kind="dense")[0].weights["kernel"]
    assert kernel.dtype == "bfloat16"
    want = keras.ops.convert_to_numpy(keras.ops.cast(model.layers[0].kernel, "float32"))
    np.testing.assert_array_equal(kernel.numpy(), want.T)


def test_weights_of_keras_2_are_copied_by_their_names(tmp_path: Path) -> None:
    """Keras 3 still writes this form inside of its whole .h5 files."""
    saved, model = (
        keras.Sequential([keras.Input((5, 3)), L.LSTM(4, name="rnn"), L.Dense(2, name="fc")]) for _ in "ab"
    )
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"] = ["rnn", "fc"], b"2.15.0"
        for layer, inner in (("rnn", "rnn/lstm_cell/"), ("fc", "fc/")):
            native = saved.get_layer(layer)
            names = [f"{inner}{variable.name}:0" for variable in native.variables]
            names = [name for name in names if "seed" not in name]
            group = file.create_group(layer)
            group.attrs["weight_names"] = names
            for name, values in zip(names, native.get_weights(), strict=True):
                group[name] = values
    assert nv.wrap(path)[""].type_name == "weights of Keras 2.15.0"
    assert not nv.copy_weights(path, model).skipped
    for want, got in zip(saved.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.weights.json"
    sequential().save_weights(path, max_shard_size=3.6e-6)
    os.unlink(tmp_path / "own_00001.weights.h5")
    with pytest.raises(nv.FileFormatError, match=r"'own_00001.weights.h5' is not beside it"):
        nv.wrap(path)


def test_metrics_are_no_weights(tmp_path: Path) -> None:
    """Keras 2 wrote theirs beside the layers."""
    saved, model, path = _random(nested, 1), _random(nested, 2), tmp_path / "old.weights.h5"
    saved.save_weights(path)
    with h5py.File(path, "a") as file:
        file["metrics/mean/vars/0"] = np.float32(3)
    assert nv.summary(path).total_parameters == saved.count_params()
    assert not nv.copy_weights(path, model).skipped


@pytest.mark.parametrize("adapted", ["query", "dense"])
def test_one_adapted_kernel_keeps_no_other_weight_from_being_copied(adapted: str, tmp_path: Path) -> None:
    x = keras.Input((5, 4))
    attention, dense = L.MultiHeadAttention(2, 3), L.Dense(3)
    model = keras.Model(x, dense(attention(x, x)))
    (dense if adapted == "dense" else attention._query_dense).enable_lora(2)
    model.save_weights(tmp_path / "own.weights.h5")
    copied = nv.copy_weights(tmp_path / "own.weights.h5", model)
    assert len(copied.copied) == 9
    assert "1 not" in str(copied).splitlines()[0]
