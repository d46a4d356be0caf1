"""The history that a callback keeps: numbers of the model as it is, and a training that it does not change."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.measures.layer_statistics import LayerStatistics
from netviz_core.measures.training import load_history
from netviz_keras import NetvizCallback

from ..conftest import ENGINE, L, array, native

X, Y = array(12, 6, 6, 1), np.arange(12) % 3


def convolutional() -> keras.Model:
    """With everything that a pass in training mode could change: running statistics, random numbers, losses."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(3, 3, activation="relu", kernel_regularizer="l2", name="conv"),
            L.BatchNormalization(name="norm"),
            L.Dropout(0.5, name="drop"),
            L.Flatten(),
            L.GaussianNoise(0.1, seed=4),
            L.Dense(3, activity_regularizer="l2", name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def fit(model: keras.Model, *callbacks: Any, epochs: int = 2) -> dict[str, list[float]]:
    return model.fit(X, Y, batch_size=3, epochs=epochs, verbose=0, callbacks=list(callbacks)).history


def test_training_ends_in_the_very_same_weights() -> None:
    plain = convolutional()
    history = fit(plain)
    watched = convolutional()
    watching = NetvizCallback(X[:4], Y[:4], every=2)
    assert fit(watched, watching) == history
    assert watching.history.steps == [0, 2, 4, 6]
    for one, other in zip(plain.variables, watched.variables, strict=True):
        np.testing.assert_array_equal(native(one.value), native(other.value))
    for one, other in zip(plain.optimizer.variables, watched.optimizer.variables, strict=True):
        np.testing.assert_array_equal(native(one.value), native(other.value))


def linear() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), L.Dense(2, name="dense")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_the_numbers_are_those_before_each_step() -> None:
    model, x, y = linear(), array(6, 4), array(6, 2)
    before = [native(variable.value).copy() for variable in model.layers[0].weights]
    watching = NetvizCallback(x, y, every=1)
    model.fit(x, y, batch_size=6, epochs=2, verbose=0, callbacks=[watching])
    history = watching.history
    assert history.steps == [0, 1]
    assert history.layers == ("dense",)
    kernel, bias = before
    error = x @ kernel + bias - y
    gradient = 2 / error.size * x.T @ error
    for quantity, values in (("weight", kernel), ("gradient", gradient), ("activation", x @ kernel + bias)):
        expected, found = LayerStatistics.of(values), history.moments(quantity, "dense")[0]
        for name in ("mean", "std", "minimum", "maximum"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        history.moments("weight", "dense")[1].mean, (kernel - 0.1 * gradient).mean(), rtol=1e-4
    )
    np.testing.assert_allclose(
        history.moments("gradient", "dense", "bias")[0].mean, 2 / error.size * error.sum(0).mean(), rtol=1e-4
    )


def canonical_gradients(model: keras.Model, x: Any, y: Any, **kwargs: Any) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    watching = NetvizCallback(x, y, **kwargs)
    watching.set_model(model)
    watching.on_train_begin()
    watching._watch.add = lambda step, seen, gradients, **missing: found.update(
        {(path, name): gradient for path, name, gradient in gradients}
    )
    watching.on_train_batch_begin(0)
    return found


def test_gradients_are_in_canonical_layout() -> None:
    model = convolutional()
    found = canonical_gradients(model, X[:4], Y[:4])
    layers = nv.wrap(model).layers
    assert {key for key in found if key[1] == "kernel"} == {("conv", "kernel"), ("head", "kernel")}
    assert ("norm", "scale") in found
    assert ("norm", "running_mean") not in found
    for (path, name), gradient in found.items():
        assert gradient.shape == layers[path].weights[name].shape


def test_gradients_of_gates_are_ordered() -> None:
    model = keras.Sequential([keras.Input((3, 2)), L.GRU(2, reset_after=True, name="gru")])
    model.compile("sgd", "mse")
    x, y = array(4, 3, 2), array(4, 2)
    found = canonical_gradients(model, x, y)
    weight = nv.wrap(model)["gru"].weights["input_kernel"]
    step = 1e-2
    for gate in range(3):
        slope = []
        for sign in (1, -1):
            values = weight.numpy()
            values[gate, 0, 1] += sign * step
            kept = weight.numpy()
            weight.assign(values)
            slope.append(float(np.mean((native(model(x)) - y) ** 2)))
            weight.assign(kept)
        np.testing.assert_allclose(
            found["gru", "input_kernel"][gate, 0, 1], (slope[0] - slope[1]) / (2 * step), rtol=2e-2, atol=1e-4
        )


def test_sample_weights_and_frozen_layers() -> None:
    model, x, y = linear(), array(6, 4), array(6, 2)
    weights = np.array([1, 0, 0, 0, 0, 0], "float32")
    found = canonical_gradients(model, x, y, sample_weight=weights)["dense", "kernel"]
    error = native(model(x)) - y
    expected = 2 / error.size * (x * weights[:, None]).T @ error
    np.testing.assert_allclose(found, expected.T, rtol=1e-4, atol=1e-6)
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    assert canonical_gradients(model, x, y) == {}


def test_several_calls_of_fit_and_several_steps_at_once() -> None:
    model, watching = convolutional(), NetvizCallback(X[:3], Y[:3], every=3, layers="conv")
    fit(model, watching, epochs=1)
    fit(model, watching, epochs=2)
    assert watching.history.steps == [0, 3, 6, 9]
    if ENGINE != "torch":  # which takes one step at a time
        model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=2)
        again = NetvizCallback(X[:3], Y[:3], every=3, layers="conv")
        fit(model, again, epochs=2)
        assert again.history.steps == [0, 4, 6]


class Written(keras.Model):
    """Subclassed, built by the first batch, with a layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.d = L.Dense(4, name="d")
        self.head = L.Dense(2, name="head")

    def call(self, x: Any) -> Any:
        return {"a": self.head(self.d(self.d(x))), "b": self.head(x)}


def test_a_subclassed_model_with_two_losses() -> None:
    model, x = Written(), array(6, 4)
    y = {"a": array(6, 2), "b": array(6, 2)}
    model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": ["mae"]})
    watching = NetvizCallback(x, y, every=2)
    model.fit(x, y, batch_size=2, verbose=0, callbacks=[watching])
    assert watching.history.layers == ("d", "head")
    assert watching.history.moments("activation", "d")[0].count == 2 * 6 * 4
    assert watching.history.heatmap("gradient_to_weight").values.shape == (2, 2)


def test_an_untrained_history_and_a_wrong_pace() -> None:
    assert NetvizCallback(X, Y).history.steps == []
    with pytest.raises(nv.InputError, match="every=0 is no number of steps"):
        fit(convolutional(), NetvizCallback(X, Y, every=0))
    with pytest.raises(nv.LayerNotFoundError, match="did you mean 'conv'"):
        fit(convolutional(), NetvizCallback(X, Y, layers="conf"))


def test_the_models_own_error_passes() -> None:
    model = convolutional()
    original = keras.Layer.__call__
    with pytest.raises(nv.InputError, match="the model takes"):
        fit(model, NetvizCallback(array(2, 3), Y[:2]))
    assert keras.Layer.__call__ is original


class OwnStep(keras.Model):
    """Takes its loss within its own step, as an autoencoder or a network of two players does."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = L.Dense(4, name="encoder"), L.Dense(6, name="decoder")

    def call(self, x: Any) -> Any:
        return self.decoder(self.encoder(x))

    def train_step(self, *given: Any) -> Any:
        return {"loss": 0.0} if ENGINE != "jax" else ({"loss": 0.0}, given[0])


class TwoPlayers(OwnStep):
    """Has no call."""

    def call(self, x: Any) -> Any:
        raise NotImplementedError


def test_without_a_loss_all_but_gradients_are_noted():
    x = array(8, 6)
    model = OwnStep()
    model(x)
    model.compile("sgd")
    watching = NetvizCallback(x, every=1)
    watching.set_model(model)
    watching.on_train_begin()
    with pytest.warns(UserWarning, match="no gradient can be noted: the model takes its loss within its own"):
        watching.on_train_batch_begin(0)
    assert watching.history.series("activation", "encoder", measure="std") == pytest.approx(
        [native(model.encoder(x)).std()], rel=1e-4
    )
    with pytest.raises(nv.InputError, match="compiled without one"):
        watching.history.heatmap("gradient_to_weight")


def test_without_a_call_the_weights_are_noted(tmp_path):
    model = TwoPlayers()
    model.encoder.build((None, 6))
    model.compile("sgd")
    watching = NetvizCallback(array(8, 6), every=1)
    watching.set_model(model)
    watching.on_train_begin()
    with pytest.warns(UserWarning, match="the model has no call of its own"):
        watching.on_train_batch_begin(0)
    assert np.isfinite(watching.history.series("weight", "encoder")).all()
    watching.history.save(tmp_path / "history.npz")
    assert set(load_history(tmp_path / "history.npz").missing) == {"activation", "gradient"}


class Lazy(keras.Model):
    """Is built by ``fit``, and makes a layer only then."""

    def build(self, shape: Any) -> None:
        self.a, self.b = L.Dense(4, name="a"), L.Dense(1, name="b")
        self.a.build(shape)
        self.b.build((None, 4))

    def call(self, x: Any) -> Any:
        return self.b(self.a(x))


def test_the_first_look_at_a_model_that_fit_builds_sees_gradients_and_changes_nothing():
    x, y = array(8, 6), array(8, 1)
    trained = []
    watching = NetvizCallback(x, y, every=1)
    for callbacks in ([], [watching]):
        keras.utils.set_random_seed(1)
        model = Lazy()
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=callbacks)
        trained.append(model.get_weights())
    assert np.isfinite(watching.history.heatmap("gradient_to_weight").values).all()
    for with_, without in zip(*trained, strict=True):
        np.testing.assert_array_equal(with_, without)
