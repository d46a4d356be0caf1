"""What is captured again with inputs of the same form is compiled, and never by what the model was before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import ENGINE, L, array, native, small_cnn

pytestmark = pytest.mark.skipif(
    ENGINE == "torch", reason="PyTorch's tensors are written to: no sub-model is made"
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kind of operation ran in Python."""
    counted: Counter[str] = Counter()
    for name in ("conv", "matmul"):
        original = getattr(keras.src.backend.numpy if name == "matmul" else keras.src.backend.nn, name)

        def told(*args: Any, name: str = name, original: Any = original, **options: Any) -> Any:
            counted[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(keras.src.backend.numpy if name == "matmul" else keras.src.backend.nn, name, told)
    return counted


def close(left: nv.Capture, right: nv.Capture) -> bool:
    """Whether two captures hold the same, but for rounding."""
    return list(left) == list(right) and all(
        np.abs(left[key].values - right[key].values).max() <= 1e-6 * np.abs(left[key].values).max()
        for key in left
    )


def test_from_the_third_pass_on_nothing_runs_in_python(calls):
    model, x = small_cnn(), array(2, 8, 8, 1)
    first, second = nv.capture(model, x), nv.capture(model, x)
    assert calls["conv"] > 0
    calls.clear()
    third = nv.capture(model, x)
    assert not calls
    assert close(first, second)
    assert close(first, third)


def test_many_models_bring_no_warnings_of_the_engine(caplog):
    for width in range(1, 8):
        model = keras.Sequential([keras.Input((4,)), L.Dense(width)])
        for _ in range(3):
            nv.capture(model, array(2, 4))
    assert caplog.records == []


def test_inputs_of_another_form_are_run_first_as_they_are(calls):
    model, x = small_cnn(), array(4, 8, 8, 1)
    for _ in range(2):
        nv.capture(model, x)
    calls.clear()
    fewer = nv.capture(model, x[:3])
    assert calls["conv"] > 0
    assert close(fewer, nv.capture(model, x[:3]))


def functional(**options: Any) -> keras.Model:
    x = keras.Input((8, 8, 2))
    y = L.Conv2D(3, 3, activation="elu", name="conv", **options)(x)
    y = L.LeakyReLU(negative_slope=0.5, name="leaky")(L.BatchNormalization(name="norm")(y))
    return keras.Model(x, L.Dense(2, name="dense")(L.Flatten()(y)))


def _no_slope(model: keras.Model) -> None:
    model.get_layer("leaky").negative_slope = 0.25


def _other_activation(model: keras.Model) -> None:
    model.get_layer("conv").activation = keras.activations.tanh


def _wider_epsilon(model: keras.Model) -> None:
    model.get_layer("norm").epsilon = 0.5


def _new_weights(model: keras.Model) -> None:
    model.get_layer("dense").kernel.assign(np.ones(model.get_layer("dense").kernel.shape))


def _moving_mean(model: keras.Model) -> None:
    model.get_layer("norm").moving_mean.assign(np.full(3, 2.0))


def _low_rank(model: keras.Model) -> None:
    layer = model.get_layer("dense")
    layer.enable_lora(1)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))


def _own_call(model: keras.Model) -> None:
    model.get_layer("leaky").call = lambda inputs: inputs * 3


@pytest.mark.parametrize(
    "change",
    [_no_slope, _other_activation, _wider_epsilon, _new_weights, _moving_mean, _low_rank, _own_call],
)
def test_a_model_that_was_changed_is_seen_as_it_is_now(change: Callable[[keras.Model], None]):
    model, x = functional(), array(2, 8, 8, 2)
    for _ in range(3):
        before = nv.capture(model, x)
    change(model)
    for _ in range(3):
        after = nv.capture(model, x)
        assert not close(before, after)
        np.testing.assert_allclose(after[""].values, native(model(x, training=False)), rtol=1e-5, atol=1e-6)


def test_a_policy_that_was_changed_is_followed():
    model, x = functional(), array(2, 8, 8, 2)
    for _ in range(3):
        nv.capture(model, x)
    model.get_layer("dense").dtype_policy = keras.DTypePolicy("mixed_float16")
    assert {nv.capture(model, x)["dense"].dtype for _ in range(3)} == {"float16"}


def test_functions_of_ones_own_always_run(capsys):
    def own(values: Any) -> Any:
        print("ran")  # whatever else it did would be undone
        return values

    model = functional()
    model.get_layer("conv").activation = own
    for _ in range(4):
        nv.capture(model, array(2, 8, 8, 2))
    assert capsys.readouterr().out == "ran\n" * 4


class Dense(L.Dense):
    """Of the name of one of Keras' own."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        print("ran")
        return super().call(inputs)


def test_a_layer_of_ones_own_by_the_name_of_keras_always_runs(capsys):
    x = keras.Input((4,))
    model = keras.Model(x, Dense(2)(x))
    capsys.readouterr()
    for _ in range(4):
        nv.capture(model, array(2, 4))
    assert capsys.readouterr().out == "ran\n" * 4


def test_states_and_losses_of_a_model_stay_as_they_were():
    x = keras.Input((5, 4), batch_size=2)
    y = L.LSTM(3, stateful=True, name="lstm")(x)
    model = keras.Model(x, L.ActivityRegularization(l2=0.1)(L.Dense(2, activity_regularizer="l1")(y)))
    model(array(2, 5, 4))
    states = [native(state).copy() for state in model.get_layer("lstm").states]
    losses = [float(loss) for loss in model.losses]
    captured = [nv.capture(model, array(2, 5, 4)) for _ in range(4)]
    assert all(close(captured[0], other) for other in captured)
    for before, now in zip(states, model.get_layer("lstm").states, strict=True):
        np.testing.assert_array_equal(before, native(now))
    assert [float(loss) for loss in model.losses] == losses


def test_what_cannot_be_compiled_runs_as_it_is(monkeypatch, calls):
    def refused(*_: Any) -> Any:
        raise NotImplementedError("no compiler")

    monkeypatch.setattr("netviz_keras.compiled.ENGINE.compiled", lambda model: refused)
    model, x = small_cnn(), array(2, 8, 8, 1)
    captured = [nv.capture(model, x) for _ in range(2)]
    calls.clear()
    captured.append(nv.capture(model, x))
    assert calls["conv"] > 0
    assert close(captured[0], captured[2])
