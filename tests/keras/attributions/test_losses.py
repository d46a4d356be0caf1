"""Losses sample by sample, and the images among inputs."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L, array, native, small_cnn

BACKEND = nv.get_backend("keras")


def classifier() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), L.Dense(3, activation="softmax")])


def outputs(activation: str, units: int = 3) -> Any:
    return getattr(keras.ops, activation)(keras.ops.convert_to_tensor(array(5, units)))


SPARSE = np.array([0, 1, 2, 1, 0])
ONE_HOT = np.eye(3, dtype="float32")[SPARSE]
K = keras.losses


@pytest.mark.parametrize(
    ("loss", "targets", "reads"),
    [
        ("sparse_categorical_crossentropy", SPARSE, "probabilities"),
        ("crossentropy", SPARSE, "probabilities"),
        (K.SparseCategoricalCrossentropy(from_logits=True), SPARSE, "logits"),
        (functools.partial(K.sparse_categorical_crossentropy, from_logits=True), SPARSE, "logits"),
        (K.CategoricalCrossentropy(label_smoothing=0.1), ONE_HOT, "probabilities"),
        (K.CategoricalFocalCrossentropy(from_logits=True), ONE_HOT, "logits"),
        (K.categorical_crossentropy, ONE_HOT, "probabilities"),
        (K.KLDivergence(), ONE_HOT, "probabilities"),
        (K.BinaryCrossentropy(), ONE_HOT, "binary_probabilities"),
        (K.BinaryCrossentropy(from_logits=True, reduction="sum"), ONE_HOT, "binary_logits"),
        ("mse", ONE_HOT, "values"),
        (K.Huber(delta=0.3), ONE_HOT, "values"),
        (K.CosineSimilarity(), ONE_HOT, "values"),
    ],
)
def test_each_sample_is_as_keras_takes_it_alone(loss: Any, targets: np.ndarray, reads: str) -> None:
    output = keras.ops.convert_to_tensor(native(outputs("sigmoid" if "binary" in reads else "softmax")))
    reading = BACKEND.losses(classifier(), loss, output, targets)
    assert reading.reads == reads
    assert reading.values.shape == (5,)
    resolved = K.get("sparse_categorical_crossentropy" if loss == "crossentropy" else loss)
    alone = [
        np.mean(native(resolved(keras.ops.convert_to_tensor(targets[i : i + 1]), output[i : i + 1])))
        for i in range(5)
    ]
    np.testing.assert_allclose(reading.values, alone, rtol=1e-5, atol=1e-6)


def test_a_function_and_a_loss_of_the_users_own() -> None:
    class Mine(K.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.abs(y_true - y_pred)

    output = outputs("softmax")
    expected = np.abs(ONE_HOT - native(output)).mean(1)
    for loss in (Mine(), lambda y_true, y_pred: keras.ops.abs(y_true - y_pred)):
        reading = BACKEND.losses(classifier(), loss, output, ONE_HOT)
        np.testing.assert_allclose(reading.values, expected, rtol=1e-5)
        assert reading.reads == "values"


@pytest.mark.parametrize("targets", [array(5), array(5, 1)])
def test_single_columns(targets: np.ndarray) -> None:
    output = keras.ops.convert_to_tensor(array(5, 1) + 1)
    found = BACKEND.losses(classifier(), "mse", output, targets).values
    np.testing.assert_allclose(found, (targets.reshape(5) - array(5, 1)[:, 0] - 1) ** 2, rtol=1e-5)


def test_pixels_and_times_are_averaged() -> None:
    output, targets = outputs("softmax"), np.arange(12).reshape(2, 6) % 3
    maps = keras.ops.reshape(keras.ops.tile(output[:4], (3, 1)), (2, 6, 3))
    found = BACKEND.losses(classifier(), "sparse_categorical_crossentropy", maps, targets).values
    expected = -np.log(np.take_along_axis(native(maps), targets[..., None], -1)[..., 0]).mean(1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_masked_steps_count_nothing() -> None:
    tokens = np.array([[1, 2, 0, 0], [1, 2, 3, 4]])
    model = keras.Sequential([keras.Input((4,), dtype="int32"), L.Embedding(5, 3, mask_zero=True)])
    output = model(tokens)
    targets = array(2, 4, 3)
    found = BACKEND.losses(model, "mse", output, targets).values
    squares = ((native(output) - targets) ** 2).mean(-1)
    np.testing.assert_allclose(found, [squares[0, :2].mean(), squares[1].mean()], rtol=1e-5)


def test_the_loss_of_a_compiled_model() -> None:
    model, x = classifier(), array(5, 4)
    model.compile("sgd", loss=K.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    model.fit(x, SPARSE, verbose=0)
    output = model(x)
    reading = BACKEND.losses(model, None, output, SPARSE)
    np.testing.assert_allclose(reading.values.mean(), model.evaluate(x, SPARSE, verbose=0)[0], rtol=1e-5)
    model.compile("sgd", loss=["mse"])
    assert BACKEND.losses(model, None, output, ONE_HOT).reads == "values"


def test_metrics_and_loss_stay() -> None:
    model, x = classifier(), array(5, 4)
    loss = K.SparseCategoricalCrossentropy(reduction="sum")
    model.compile("sgd", loss=loss, metrics=["accuracy"])
    model.fit(x, SPARSE, verbose=0)
    state = dict(vars(loss))
    metrics = [native(variable.value).copy() for m in model.metrics for variable in m.variables]
    BACKEND.losses(model, None, model(x), SPARSE)
    assert dict(vars(loss)) == state
    after = [native(variable.value) for m in model.metrics for variable in m.variables]
    np.testing.assert_equal(after, metrics)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (None, "has not been compiled with a loss; give one, such as"),
        ("no such loss", "is no loss that Keras knows"),
        (3, "is no loss that Keras knows"),
        (lambda y_true, y_pred: keras.ops.mean(y_pred), r"gave values of shape \(\) for 5 samples"),
    ],
)
def test_what_is_no_loss(loss: Any, said: str) -> None:
    with pytest.raises(nv.InputError, match=said):
        BACKEND.losses(classifier(), loss, outputs("softmax"), SPARSE)


def test_several_outputs_and_losses() -> None:
    model, output = classifier(), outputs("softmax")
    with pytest.raises(nv.InputError, match="output with 2 parts were given"):
        BACKEND.losses(model, "mse", [output, output], ONE_HOT)
    x = keras.Input((4,))
    two = keras.Model(x, [L.Dense(3)(x), L.Dense(3)(x)])
    two.compile("sgd", loss=["mse", "mae"])
    with pytest.raises(nv.InputError, match="compiled with 2 losses"):
        BACKEND.losses(two, None, output, ONE_HOT)


@pytest.mark.parametrize("targets", [SPARSE, SPARSE.astype(str), np.eye(4)[SPARSE % 2]])
def test_targets_that_do_not_fit(targets: Any) -> None:
    with pytest.raises(nv.InputError, match=r"cannot be taken of an output \(5, 3\) and targets \(5"):
        BACKEND.losses(classifier(), "categorical_crossentropy", outputs("softmax"), targets)


class Foreign:
    """A tensor of a framework that Keras does not run on."""

    def __init__(self, values: np.ndarray) -> None:
        self.shape, self.dtype, self._values = values.shape, values.dtype, values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self._values

    def __getitem__(self, place: Any) -> Foreign:
        return Foreign(self._values[place])


def test_data_sets_of_another_framework() -> None:
    pixels, wanted = array(5, 8, 8, 1), np.array([0, 1, 2, 1, 0])
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")]
    )
    loss = "sparse_categorical_crossentropy"
    expected = nv.top_losses(model, 2, (pixels, wanted), loss)
    found = nv.top_losses(model, 2, [(Foreign(pixels), Foreign(wanted))], loss)
    assert found.rows == expected.rows
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.heat, expected.heat)


# Images


def test_images_are_copied_and_named() -> None:
    x = array(2, 8, 8, 1)
    image = BACKEND.images(small_cnn(), x)
    assert image.axes == ("batch", "y", "x", "channel")
    np.testing.assert_array_equal(image.values, x)
    assert not np.shares_memory(image.values, x)
    named = nv.images(x)
    assert BACKEND.images(small_cnn(), named) is named
    np.testing.assert_array_equal(BACKEND.images(small_cnn(), keras.ops.convert_to_tensor(x)).values, x)


def test_images_among_other_inputs() -> None:
    x = array(2, 8, 8, 3)
    for inputs in ((array(2, 4), x), {"z": array(2, 4), "a": x, "b": array(2, 8, 8, 1)}):
        np.testing.assert_array_equal(BACKEND.images(small_cnn(), inputs).values, x)
    for inputs in (array(2, 4), array(2, 8, 8, 7), "text"):
        assert BACKEND.images(small_cnn(), inputs) is None


def test_images_of_a_channels_first_model() -> None:
    model = keras.Sequential([keras.Input((2, 4, 4)), L.GlobalAveragePooling2D(data_format="channels_first")])
    assert BACKEND.images(model, array(2, 3, 4, 4)).axes == ("batch", "channel", "y", "x")
