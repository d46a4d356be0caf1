"""Scores are known however a softmax or sigmoid behind them is spelt, and one score speaks of two classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.backend_api import Recorder, Scores

from ..conftest import L, native

ops = keras.ops
RANDOM = np.random.default_rng(0)
X = RANDOM.random((4, 8, 8, 3)).astype("float32")
KERNEL, HEAD = (
    RANDOM.normal(size=(1, 1, 3, 6)).astype("float32"),
    RANDOM.normal(size=(6, 4)).astype("float32") * 9,
)
TARGET = 2


def by_hand(scores: Any) -> Any:
    powers = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
    return powers / ops.sum(powers, axis=-1, keepdims=True)


SOFTMAXES = {
    "its name": "softmax",
    "keras.activations": keras.activations.softmax,
    "keras.ops": ops.softmax,
    "a function": lambda scores: ops.softmax(scores, axis=-1),
    "by hand": by_hand,
    "of a logarithm": lambda scores: ops.exp(ops.log_softmax(scores)),
    "a logarithm": ops.log_softmax,
}
SIGMOIDS = {
    "its name": "sigmoid",
    "keras.ops": ops.sigmoid,
    "by hand": lambda scores: 1 / (1 + ops.exp(-scores)),
    "of one axis": lambda scores: ops.squeeze(ops.sigmoid(scores), -1),
}


class Called(keras.Model):
    """Ends in a function within its ``call``."""

    def __init__(self, units: int, last: Callable[[Any], Any]) -> None:
        super().__init__()
        self.conv = L.Conv2D(6, 1, activation="relu", use_bias=False, name="conv")
        self.head, self.last = L.Dense(units, use_bias=False), last

    def call(self, x: Any) -> Any:
        return self.last(self.head(ops.mean(self.conv(x), (1, 2))))


class Deciding(L.Layer):
    """Looks at values before it applies a function."""

    def __init__(self, last: Callable[[Any], Any]) -> None:
        super().__init__()
        self.last = last

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def call(self, scores: Any) -> Any:
        return self.last(scores) if ops.max(scores) > -1000 else scores


def model_of(head: np.ndarray, activation: Any, is_layer: bool) -> keras.Model:
    units = head.shape[1]
    if is_layer:
        dense = L.Dense(units, activation=activation, use_bias=False)
        conv = L.Conv2D(6, 1, activation="relu", use_bias=False, name="conv")
        model = keras.Sequential([keras.Input((8, 8, 3)), conv, L.GlobalAveragePooling2D(), dense])
    else:
        model = Called(units, keras.activations.get(activation))
        model(X)
    model.set_weights([KERNEL, head])
    return model


def evidence(weights: np.ndarray) -> np.ndarray:
    """Grad-CAM of a score, by hand."""
    return np.maximum(np.maximum(X @ KERNEL[0, 0], 0) @ weights / 64, 0)


@pytest.mark.parametrize("is_layer", [True, False], ids=["as activation", "in call"])
@pytest.mark.parametrize("spelling", SOFTMAXES)
def test_a_map_is_that_of_the_score_however_the_softmax_is_spelt(spelling, is_layer):
    found = nv.cam(model_of(HEAD, SOFTMAXES[spelling], is_layer), X, "conv", TARGET)
    np.testing.assert_allclose(found.maps, evidence(HEAD[:, TARGET]), atol=1e-4)


@pytest.mark.parametrize("spelling", SOFTMAXES)
def test_scores_are_seen_within_a_layer_that_looks_at_values(spelling):
    last = Deciding(keras.activations.get(SOFTMAXES[spelling]))
    found = nv.cam(model_of(HEAD, last, False), X, "conv", TARGET)
    np.testing.assert_allclose(found.maps, evidence(HEAD[:, TARGET]), atol=1e-4)


@pytest.mark.parametrize("spelling", SIGMOIDS)
def test_one_score_speaks_of_two_classes(spelling):
    is_layer = spelling != "of one axis"
    model = model_of(HEAD[:, :1], SIGMOIDS[spelling], is_layer)
    predicted = (native(model(X)).reshape(-1) > 0.5).astype(int)
    for target, sign in ((1, 1), (0, -1)):
        found = nv.cam(model, X, "conv", target)
        np.testing.assert_allclose(found.maps, evidence(sign * HEAD[:, 0]), atol=1e-4)
        shares = native(model(X)).reshape(-1) if target else 1 - native(model(X)).reshape(-1)
        np.testing.assert_allclose(found.shares, shares, atol=1e-4)
        assert found.captions == (str(target),) * 4
        assert found.labels == tuple(f"{target} / {share:.2f}" for share in found.shares)
    assert nv.cam(model, X, "conv").target == tuple(predicted)


@pytest.mark.parametrize(
    ("loss", "last", "boundary"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), "linear", 0),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), "linear", 0),
        ("binary_crossentropy", "hard_sigmoid", 0.5),
    ],
    ids=["scores", "focal", "shares that no sigmoid made"],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_the_loss_of_a_compiled_model_tells_that_one_score_speaks_of_two_classes(
    loss, last, boundary, as_list
):
    model = model_of(HEAD[:, :1] / 99, last, True)
    model.compile(loss=[loss] if as_list else loss)
    for target, sign in ((1, 1), (0, -1)):
        found = nv.cam(model, X, "conv", target)
        share = 1 if boundary == 0 else 1 / 6
        np.testing.assert_allclose(found.maps, evidence(sign * share * HEAD[:, 0] / 99), atol=1e-4)
        given = native(model(X)).reshape(-1)
        chances = 1 / (1 + np.exp(-given)) if boundary == 0 else given
        np.testing.assert_allclose(found.shares, chances if target else 1 - chances, atol=1e-4)
        assert found.captions == (str(target),) * 4
    predicted = native(model(X)).reshape(-1) > boundary
    assert nv.cam(model, X, "conv").target == tuple(predicted.astype(int))


def test_the_loss_of_another_output_tells_nothing():
    shown = keras.Input((8, 8, 3))
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(6, 1, name="conv", kernel_initializer="ones")(shown))
    no = keras.initializers.Constant(-1.0)
    heads = [L.Dense(1, name="yes", kernel_initializer=no)(pooled), L.Dense(1, name="size")(pooled)]
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    for outputs, losses in (
        (heads, [binary, "mse"]),
        (heads, {"yes": binary, "size": "mse"}),
        ({"yes": heads[0], "size": heads[1]}, {"yes": binary, "size": "mse"}),
    ):
        model = keras.Model(shown, outputs)
        model.compile(loss=losses)
        found = nv.cam(model, X, "conv", 0, output="yes")
        assert found.captions == ("0",) * 4
        with pytest.raises(nv.InputError, match="a single number"):
            nv.cam(model, X, "conv", 0, output="size")


@pytest.mark.parametrize("method", ["cam", "eigen-cam"])
def test_methods_without_gradients_know_the_two_classes_too(method):
    model = model_of(HEAD[:, :1], "sigmoid", True)
    predicted = native(model(X)).reshape(-1) > 0.5
    assert nv.cam(model, X, "conv", method=method).target == tuple(predicted.astype(int))
    assert nv.cam(model, X, "conv", 0, method=method).captions == ("0",) * 4


def test_a_number_is_no_class():
    model = model_of(HEAD[:, :1], "linear", True)
    found = nv.cam(model, X, "conv")
    np.testing.assert_allclose(found.maps, evidence(HEAD[:, 0]), atol=1e-4)
    assert found.captions == ("output",) * 4
    with pytest.raises(
        nv.InputError, match="a single number, of which is not known that it scores two classes"
    ):
        nv.cam(model, X, "conv", 1)


@pytest.mark.parametrize(
    "last",
    [
        lambda scores: (ops.softmax(scores) + ops.softmax(scores * 2.0)) / 2,
        lambda scores: 1 - ops.softmax(scores),
        lambda scores: ops.relu(scores) * 1e-3,
    ],
    ids=["an average", "the rest", "small numbers"],
)
def test_what_only_looks_like_probabilities_is_left_as_it_is(last):
    model, told = model_of(HEAD / 9, last, False), []
    chosen = nv.wrap(model).select("conv")

    def seed(parts: Any) -> dict[str, np.ndarray]:
        told.extend(parts.values())
        return {"": np.ones(parts[""].shape, "float32")}

    nv.get_backend("keras").gradients(model, X, seed, Recorder(chosen), Recorder(chosen))
    assert not isinstance(told[0], Scores)
    np.testing.assert_allclose(told[0].values, native(model(X)), atol=1e-6)
