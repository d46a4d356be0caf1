"""One pass: inputs as Keras takes them, errors that say what is wrong, and a model left as it came."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.captures.recorder import Recorder

from ..conftest import Block, L, Subclassed, array, native, small_cnn

BACKEND = nv.get_backend("keras")


def two_inputs(struct: Any = list) -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    joined = L.Concatenate(name="joined")([L.Dense(2, name="left")(a), b])
    return keras.Model({"a": a, "b": b} if struct is dict else [a, b], L.Dense(2, name="out")(joined))


def state(model: Any) -> list[np.ndarray]:
    return [native(variable.value).copy() for variable in model.variables]


# Inputs


def test_the_output_is_the_models_own() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    for wanted in (None, Recorder(nv.wrap(model).select("conv1"))):
        np.testing.assert_array_equal(native(BACKEND.run(model, x, wanted)), native(model(x, training=False)))


def test_an_axis_array_is_laid_out_for_the_model() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    first = nv.AxisArray(np.moveaxis(x, -1, 1), ("batch", "channel", "y", "x"))
    for given in (first, nv.images(x)):
        np.testing.assert_array_equal(native(BACKEND.run(model, given)), native(model(x)))


def test_a_channels_first_model_gets_channels_first() -> None:
    model = keras.Sequential([keras.Input((2, 4, 4)), L.GlobalAveragePooling2D(data_format="channels_first")])
    x = array(3, 4, 4, 2)
    np.testing.assert_allclose(native(BACKEND.run(model, nv.images(x))), x.mean((1, 2)), rtol=1e-5)


def test_several_inputs() -> None:
    a, b = array(2, 3), array(2, 4)
    for model in (two_inputs(), two_inputs(dict)):
        expected = native(model({"a": a, "b": b}))
        np.testing.assert_array_equal(native(BACKEND.run(model, {"a": a, "b": b})), expected)
    np.testing.assert_array_equal(native(BACKEND.run(two := two_inputs(), (a, b))), native(two([a, b])))


def test_a_call_with_several_arguments() -> None:
    class Two(keras.Model):
        def call(self, a: Any, b: Any) -> Any:
            return a - b

    a, b = array(2, 3), array(2, 3) + 1
    np.testing.assert_allclose(native(BACKEND.run(Two(), (a, b))), a - b)
    np.testing.assert_allclose(native(BACKEND.run(Two(), {"b": a, "a": b})), b - a)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (array(2, 9, 8, 1), r"shape \(2, 9, 8, 1\) was given.*'image' of shape \(any, 8, 8, 1\)"),
        (array(2, 8), r"shape \(2, 8\) was given"),
        ("a string", "'a string' was given as input"),
        ((array(2, 8, 8, 1), array(1)), "2 inputs were given; the model takes 1"),
    ],
)
def test_a_wrong_input_is_named(given: Any, said: str) -> None:
    with pytest.raises(nv.InputError, match=said):
        nv.capture(small_cnn(), given)


def test_a_missing_input_is_named() -> None:
    for model in (two_inputs(), two_inputs(dict)):
        with pytest.raises(
            nv.InputError, match=r"named \['a'\]; the model takes 'a' of shape \(any, 3\), 'b'"
        ):
            nv.capture(model, {"a": array(2, 3)})


def test_what_keras_bends_into_shape_is_taken() -> None:
    model, x = small_cnn(), array(2, 8, 8)
    np.testing.assert_array_equal(native(BACKEND.run(model, x)), native(model(x)))


class Broken(keras.Model):
    class Error(Exception):
        pass

    def __init__(self) -> None:
        super().__init__()
        self.norm = L.BatchNormalization(name="norm")
        self.broken = True

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.norm(x)
        if self.broken:
            raise Broken.Error("mine")
        return x


def test_the_models_own_error_passes_unchanged() -> None:
    model = Broken()
    model.broken = False
    model(array(2, 3))
    before, model.broken = state(model), True
    with pytest.raises(Exception, match="mine") as theirs:
        model(array(2, 3))
    with pytest.raises(type(theirs.value), match="mine") as ours:
        nv.capture(model, array(2, 3))
    assert str(ours.value) == str(theirs.value)
    np.testing.assert_equal(state(model), before)
    assert keras.Layer.__call__.__qualname__ == "Layer.__call__"
    model.broken = False
    assert nv.capture(model, array(2, 3))["norm"].shape == (2, 3)


# The state of the model


class Stateful(L.Layer):
    """Counts its calls in a variable, and adds noise in every mode."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(5)

    def build(self, shape: Any) -> None:
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.count.assign(self.count + 1)
        self.add_loss(keras.ops.sum(x))
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds) + self.count


def stateful_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((4, 3), batch_size=2),
            L.LSTM(3, return_sequences=True, stateful=True, name="lstm"),
            L.BatchNormalization(name="norm"),
            Stateful(name="noise"),
            L.Dropout(0.5, name="dropout"),
        ]
    )


@pytest.mark.parametrize("layers", ["*", "noise"])
def test_variables_and_random_numbers_are_put_back(layers: str) -> None:
    model, x = stateful_model(), array(2, 4, 3)
    before, losses = state(model), len(model.losses)
    first = nv.capture(model, x, layers)["noise"].values
    np.testing.assert_equal(state(model), before)
    assert len(model.losses) == losses
    np.testing.assert_array_equal(nv.capture(model, x, layers)["noise"].values, first)


def test_modes_gradients_and_attributes_are_untouched() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    model.get_layer("norm").trainable = False
    model(x)
    before = {path: sorted(vars(layer.native)) for path, layer in nv.wrap(model).layers.items()}
    trainable = [variable.trainable for variable in model.variables]
    nv.capture(model, x)
    with nv.recording(model):
        model(x)
    assert {path: sorted(vars(layer.native)) for path, layer in nv.wrap(model).layers.items()} == before
    assert [variable.trainable for variable in model.variables] == trainable


def test_no_gradient_is_kept() -> None:
    output = BACKEND.run(small_cnn(), array(2, 8, 8, 1))
    assert not getattr(output, "requires_grad", False)


def test_evaluation_mode() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    captured = nv.capture(model, x)
    np.testing.assert_array_equal(captured["dropout"].values, captured["flatten"].values)


@pytest.mark.parametrize("make", [small_cnn, stateful_model])
def test_afterwards_a_model_pickles_saves_compiles_and_trains(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(keras.utils.get_custom_objects(), "Stateful", Stateful)
    model = make()
    x = array(2, *model.input_shape[1:])
    nv.capture(model, x)
    with nv.recording(model):
        model(x)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    model.save(tmp_path / "model.keras")
    copies.append(keras.saving.load_model(tmp_path / "model.keras"))
    for other in copies:
        np.testing.assert_equal(other.get_weights(), model.get_weights())
        assert list(nv.capture(other, x)) == list(nv.capture(model, x))
    if make is stateful_model:  # which Keras itself cannot train on torch
        return
    model.compile("sgd", "mse")
    before = state(model)
    model.fit(x, native(model(x)) + 1, verbose=0, batch_size=2)
    assert any(not np.array_equal(a, b) for a, b in zip(state(model), before, strict=True))


class ReadyMade(L.Layer):
    """Makes a variable of a value, which Keras does not put off."""

    def build(self, shape: Any) -> None:
        self.table = keras.Variable(np.arange(3.0), trainable=False, dtype="float32")

    def call(self, x: Any) -> Any:
        return x + self.table


def test_building_moves_no_variable() -> None:
    for make in (ReadyMade, lambda: Stateful()):
        model = keras.Sequential([make()])
        seeded = keras.Sequential([Stateful()])
        seeded(array(2, 3))
        before = state(seeded)
        model.add(seeded)
        captured = nv.capture(model, array(2, 3))
        assert all(entry.status == "captured" for entry in captured.coverage.values())
        np.testing.assert_equal(state(seeded), before)
    assert native(model.layers[0].count) == 0
    assert model.losses == []


def test_keyboard_interrupt() -> None:
    class Impatient(keras.Model):
        def call(self, x: Any) -> Any:
            raise KeyboardInterrupt

    original = keras.Layer.__call__
    with pytest.raises(KeyboardInterrupt):
        nv.capture(Impatient(), array(1, 2))
    assert keras.Layer.__call__ is original


def test_the_inputs_memory_is_not_the_captures() -> None:
    class Passing(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.same = L.Identity(name="same")

        def call(self, x: Any) -> Any:
            return self.same(x)

    x = keras.Input((16,), name="x")
    # JAX shares memory that lies at a multiple of 64 bytes.
    room = np.zeros(8 * 16 * 4 + 64, np.uint8)
    start = -room.ctypes.data % 64
    values = room[start : start + 8 * 16 * 4].view(np.float32).reshape(8, 16)
    for model, key in ((Passing(), "same"), (keras.Model(x, L.Identity(name="same")(x)), "x")):
        values[:] = 1
        captured = nv.capture(model, values)
        with nv.recording(model) as recorded:
            model(values)
        values[:] = 0
        assert (captured[key].values == 1).all()
        assert (recorded[key].values == 1).all()


def test_two_threads_with_two_models_and_a_layer_in_both() -> None:
    shared = L.Dense(4, name="shared")
    models = []
    for name in "ab":
        x = keras.Input((4,), name="x")
        inner = keras.Sequential([keras.Input((4,)), L.Dense(4, name=name), shared], name="inner")
        models.append(keras.Model(x, L.ReLU(name="act")(inner(x))))
    x = array(3, 4)
    expected = [[nv.capture(model, x)[key].values for key in ("inner/shared", "act")] for model in models]
    failures: list[Any] = []

    def work(model: keras.Model, values: list[np.ndarray]) -> None:
        for _ in range(10):
            captured = nv.capture(model, x)
            same = [
                np.array_equal(captured[k].values, v)
                for k, v in zip(("inner/shared", "act"), values, strict=True)
            ]
            if not all(same) or "inner/shared:1" in captured:
                failures.append(list(captured))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(models, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_captures_within_captures() -> None:
    model, x = Subclassed(), array(2, 5)
    alone = nv.capture(model, x)
    with nv.recording(model) as outer:
        inner = nv.capture(model, x)
        with nv.recording(model, "stem") as second:
            model(x)
    assert list(inner) == list(alone)
    assert list(second) == ["stem"]
    assert {key for key in outer if key.startswith("stem")} == {"stem:0", "stem:1"}


def test_an_unbuilt_model_is_built_and_each_call_recorded_once() -> None:
    class Attentive(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block(4, name="block")
            self.attention = L.MultiHeadAttention(1, 2, name="attention")

        def call(self, x: Any) -> Any:
            x = self.block(x)
            return self.attention(x, x)

    for make in (Attentive, lambda: keras.Sequential([L.Dense(3, name="a"), Block(4, name="block")])):
        model = make()
        captured = nv.capture(model, array(2, 3, 4))
        assert not any(":" in key for key in captured)
        assert {"block", "block/inner", "block/act", ""} <= set(captured)
        again = nv.capture(model, array(2, 3, 4))
        assert [np.array_equal(captured[key].values, again[key].values) for key in captured] == [True] * len(
            again
        )
        assert dict(again.coverage) == dict(captured.coverage)
    assert "attention/query" in nv.capture(Attentive(), array(2, 3, 4))
