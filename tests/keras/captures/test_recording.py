"""The user's own loop: what runs inside is kept, in the user's own mode, and never a symbol for a value."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_keras.listening import TRACED

from ..conftest import ENGINE, L, array, native, small_cnn


def dropping() -> keras.Model:
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(6, name="d"), L.Dropout(0.5, name="drop"), L.Dense(1, name="o")]
    )


def test_several_passes_in_the_users_own_mode() -> None:
    model, x = dropping(), array(4, 6)
    with nv.recording(model, ["d", "drop"]) as captured:
        model(x)
        model(x, training=True)
    np.testing.assert_array_equal(captured["drop:0"].values, captured["d:0"].values)
    assert (captured["drop:1"].values == 0).any()
    model(x)
    assert list(captured) == ["d:0", "drop:0", "d:1", "drop:1"]


def test_gradients_inside_are_the_same_as_without() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)

    def gradients() -> list[np.ndarray]:
        if ENGINE == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = keras.ops.sum(model(x, training=False) ** 2)
            return [native(g) for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]
        if ENGINE == "torch":
            model.zero_grad()
            keras.ops.sum(model(x, training=False) ** 2).backward()
            return [v.value.grad.numpy().copy() for v in model.trainable_variables]
        import jax

        def loss_of(trainable: Any) -> Any:
            output, _ = model.stateless_call(trainable, [v.value for v in model.non_trainable_variables], x)
            return keras.ops.sum(output**2)

        return [np.asarray(g) for g in jax.grad(loss_of)([v.value for v in model.trainable_variables])]

    expected = gradients()
    with nv.recording(model) as captured:
        np.testing.assert_equal(gradients(), expected)
    status = captured.coverage["conv1"].status
    assert status == ("not_observed" if ENGINE == "jax" else "captured")


def test_eager_training_steps() -> None:
    model, x = dropping(), array(4, 6)
    model.compile("sgd", "mse", run_eagerly=True)
    with nv.recording(model) as captured:
        model.train_on_batch(x, array(4, 1))
        model.train_on_batch(x, array(4, 1))
    if ENGINE == "jax":  # which computes gradients with tracers, eager or not
        assert captured.coverage["d"].reason == TRACED
        assert len(captured) == 0
    else:
        assert (captured["drop:1"].values == 0).any()
        assert np.abs(captured["o:0"].values - captured["o:1"].values).max() > 0


def test_compiled_training_gives_reasons_not_symbols() -> None:
    model, x = dropping(), array(4, 6)
    model.compile("sgd", "mse", run_eagerly=False)
    with nv.recording(model) as captured:
        model.fit(x, array(4, 1), verbose=0)
        model.predict(x, verbose=0)
    if ENGINE == "torch":  # which compiles only when told to
        assert captured["d:1"].shape == (4, 6)
    else:
        assert list(captured) == []
        assert {captured.coverage[path].reason for path in ("d", "drop", "o")} == {TRACED}
    for key in captured:
        assert isinstance(captured[key].values, np.ndarray)


def test_a_function_compiled_before_runs_unheard() -> None:
    model, x = dropping(), array(4, 6)
    model.compile("sgd", "mse")
    model.predict(x, verbose=0)
    with nv.recording(model) as captured:
        model.predict(x, verbose=0)
    if ENGINE != "torch":
        assert {entry.status for entry in captured.coverage.values()} == {"not_observed"}
        assert all("compiled before" in entry.reason for entry in captured.coverage.values())


def test_symbolic_calls_are_no_values() -> None:
    layer = L.Dense(3, name="d")
    inner = keras.Sequential([keras.Input((4,)), layer])
    with nv.recording(inner) as captured:
        keras.Sequential([keras.Input((4,)), inner])
        keras.Model(x := keras.Input((4,)), inner(x))
    assert len(captured) == 0
    with nv.recording(inner) as captured:
        inner(array(2, 4))
        inner.compute_output_spec(keras.KerasTensor((None, 4)))
    assert list(captured) == ["d", ""]


def test_what_runs_only_to_build_the_model_is_not_recorded() -> None:
    class Probing(L.Layer):
        """Looks at numbers, which makes Keras build the model around it with a run on real ones where it can."""

        def call(self, x: Any) -> Any:
            return x * (2.0 if ENGINE == "torch" and float(x.detach().sum()) > 0 else 1.0)

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.d, self.probing = L.Dense(3, name="d"), Probing(name="probing")

        def call(self, x: Any) -> Any:
            return self.probing(self.d(x))

    with nv.recording(model := Model()) as captured:
        model(array(2, 4))
    assert list(captured) == ["d", "probing", ""]


def test_layers_mapped_over_an_axis_are_traced() -> None:
    class Mapped(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.d = L.Dense(3, name="d")

        def call(self, x: Any) -> Any:
            return keras.ops.vectorized_map(lambda row: self.d(row[None])[0], x)

    model, x = Mapped(), array(2, 4)
    model.d.build((None, 4))
    captured = nv.capture(model, x)
    assert captured.coverage["d"] == nv.Coverage("not_observed", TRACED)
    np.testing.assert_allclose(captured[""].values, native(model.d(x)), rtol=1e-5)


def test_an_error_inside_ends_the_recording() -> None:
    model, original = dropping(), keras.Layer.__call__

    class Mine(Exception):
        pass

    recording = nv.recording(model)
    captured = recording.__enter__()
    model(array(2, 6))
    assert recording.__exit__(Mine, Mine(), None) is not True
    assert keras.Layer.__call__ is original
    model(array(2, 6))
    assert list(captured) == ["d", "drop", "o", ""]


def test_too_much_is_refused_at_the_layer_that_brings_it() -> None:
    model = dropping()
    with nv.recording(model, max_bytes=150) as captured:
        model(array(2, 6))
        with pytest.raises(nv.CaptureTooLargeError, match="layer 'd'"):
            model(array(2, 6))
    assert list(captured) == ["d", "drop", "o", ""]


def test_recordings_need_not_be_nested():
    first, second = (keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")]) for _ in range(2))
    x = np.ones((2, 4), np.float32)
    outer, inner = nv.recording(first), nv.recording(second)
    heard_first, heard_second = outer.__enter__(), inner.__enter__()
    outer.__exit__(None, None, None)
    first(x)
    second(x)
    inner.__exit__(None, None, None)
    second(x)
    assert (len(heard_first), list(heard_second)) == (0, ["d", ""])


def test_losses_of_the_users_last_call_stay():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activity_regularizer="l2")])
    x = np.ones((2, 4), np.float32)
    model(x)
    before = [float(keras.ops.convert_to_numpy(loss)) for loss in model.losses]
    nv.capture(model, 2 * x)
    assert [float(keras.ops.convert_to_numpy(loss)) for loss in model.losses] == before
    assert len(before) == 1


def test_a_key_does_not_depend_on_how_a_layer_was_looked_at():
    image = keras.Input((4,))
    (only,) = keras.ops.split(L.Dense(2, name="fc")(image), 1, axis=1)
    model = keras.Model(image, L.ReLU(name="act")(only))
    x = array(2, 4)
    captured = nv.capture(model, x)
    with nv.recording(model) as recorded:
        model(x)
    assert {key for key in captured if key} == {key for key in recorded if key}


def test_the_advice_in_a_traced_pass_helps_on_the_engine_at_hand():
    assert ("run_eagerly=True" in TRACED) == (ENGINE != "jax")
