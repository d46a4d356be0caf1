"""The highest losses of models with outputs and data of every form that ``fit`` takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L, native

RANDOM = np.random.default_rng(0)
A, B = RANDOM.random((6, 4)).astype("float32"), RANDOM.random((6, 3)).astype("float32")
CLASSES, BOXES = RANDOM.integers(0, 2, 6), RANDOM.random((6, 2)).astype("float32")
PICTURES = RANDOM.random((4, 16, 16, 3)).astype("float32")


def of_two_inputs() -> keras.Model:
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], L.Dense(2, activation="softmax", name="head")(L.Concatenate()([a, b])))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def highest(probabilities: np.ndarray) -> np.ndarray:
    return np.sort(-np.log(probabilities[np.arange(6), CLASSES]))[::-1]


@pytest.mark.parametrize("x", [{"a": A, "b": B}, [A, B], (A, B)], ids=["dict", "list", "tuple"])
def test_inputs_are_taken_as_fit_takes_them(x):
    model = of_two_inputs()
    probabilities = native(model([A, B]))
    worst = nv.top_losses(model, 6, (x, CLASSES), progress=False)
    np.testing.assert_allclose([row.loss for row in worst.rows], highest(probabilities), rtol=1e-4)
    assert nv.statistics(model, (x, CLASSES), progress=False)["head"].count == 12
    assert nv.health(model, data=(x, CLASSES), progress=False).sample_count == 6


@pytest.mark.parametrize("form", ["dict", "list"])
@pytest.mark.parametrize("compiled", [True, False])
def test_targets_and_losses_of_an_output_belong_to_it(form, compiled):
    image = keras.Input((4,))
    kind, box = L.Dense(2, activation="softmax", name="kind")(image), L.Dense(2, name="box")(image)
    model = keras.Model(image, {"kind": kind, "box": box} if form == "dict" else [kind, box])
    losses = {"kind": "sparse_categorical_crossentropy", "box": "mse"}
    if compiled:
        model.compile("sgd", losses if form == "dict" else list(losses.values()))
    output = model(A)
    probabilities = native(output["kind"] if form == "dict" else output[0])
    targets: Any = {"kind": CLASSES, "box": BOXES}
    worst = nv.top_losses(
        model, 6, (A, targets), None if compiled else losses["kind"], output="kind", progress=False
    )
    np.testing.assert_allclose([row.loss for row in worst.rows], highest(probabilities), rtol=1e-4)


def with_last(*last: Any) -> keras.Model:
    return keras.Sequential(
        [keras.Input((16, 16, 3)), L.Conv2D(8, 3, padding="same", activation="relu", name="first"), *last]
    )


@pytest.mark.parametrize(
    ("last", "targets", "loss", "told"),
    [
        (lambda: [L.Conv2D(2, 1, activation="softmax")], (16, 16), "sparse_categorical_crossentropy", "loss"),
        (lambda: [L.Conv2D(1, 1, activation="sigmoid")], (16, 16, 1), "binary_crossentropy", "loss"),
        (
            lambda: [L.GlobalAveragePooling2D(), L.Dense(4, activation="sigmoid")],
            (4,),
            "binary_crossentropy",
            "prediction / actual / loss",
        ),
        (
            lambda: [L.GlobalAveragePooling2D(), L.Dense(1, kernel_initializer="ones")],
            (1,),
            "mse",
            "prediction / actual / loss",
        ),
        (
            lambda: [L.GlobalAveragePooling2D(), L.Dense(1, activation="sigmoid")],
            (1,),
            "binary_crossentropy",
            "prediction / actual / loss / probability",
        ),
    ],
    ids=["classes of pixels", "one class of pixels", "labels", "a number", "one score"],
)
def test_there_is_heat_for_every_output_and_the_title_is_true(last, targets, loss, told):
    y = np.random.default_rng(1).integers(0, 2, (4, *targets)).astype("float32")
    worst = nv.top_losses(with_last(*last()), 2, (PICTURES, y), loss, progress=False)
    assert worst.heat.shape == (2, 16, 16)
    assert worst.title == f"{told} · the 2 worst of 4"
    assert worst.value_label == ("Grad-CAM" if "probability" in told else "Grad-CAM of the highest output")
