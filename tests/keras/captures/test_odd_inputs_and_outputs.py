"""What is no input is refused, and outputs of any class are looked into, as with PyTorch."""

import types

import keras
import numpy as np
import pytest
from PIL import Image

import netviz_core as nv

PICTURE = Image.new("RGB", (8, 8))


class Data(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, number):
        return np.ones((1, 8, 8, 3), "float32")


GIVEN = {
    "picture": (PICTURE, "np.asarray"),
    "pictures": ([PICTURE, PICTURE], "np.asarray"),
    "data set": (Data(), "one batch"),
    "generator": ((row for row in np.ones((1, 8, 8, 3))), "only once"),
    "path": ("picture.png", "an array or a tensor"),
    "sample": (np.ones((8, 8, 3), "float32"), "x[None]"),
    "batch with labels": ([np.ones((1, 8, 8, 3)), np.ones(1)], "the model takes"),
}


@pytest.mark.parametrize("ask", [nv.capture, nv.summary, nv.graph, nv.cam, lambda m, x: nv.compare(m, m, x)])
@pytest.mark.parametrize("form", GIVEN)
def test_refused(form, ask):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    given, words = GIVEN[form]
    with pytest.raises(nv.InputError) as caught:
        ask(model, given)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


class Wrapping(keras.layers.Layer):
    def __init__(self, factor, wrap):
        super().__init__()
        self.factor, self.wrap = factor, wrap

    def call(self, x):
        return self.wrap(x * self.factor)


@pytest.mark.parametrize(
    "wrap", [lambda y: types.SimpleNamespace(y=y), lambda y: {"a": [types.SimpleNamespace(y=y)]}]
)
def test_objects_are_looked_into(wrap):
    x = np.ones((2, 3), "float32")
    assert not nv.compare(Wrapping(1.0, wrap), Wrapping(2.0, wrap), x).agrees
    assert nv.compare(Wrapping(1.0, wrap), Wrapping(1.0, wrap), x).agrees


def test_what_is_hidden_is_not_said_to_agree():
    x = np.ones((2, 3), "float32")
    found = nv.compare(
        Wrapping(1.0, lambda y: (0 * y, iter([y]))), Wrapping(2.0, lambda y: (0 * y, iter([y]))), x
    )
    assert not found.agrees
    assert "list_iterator" in found.not_compared[0]


def test_a_layer_within_one_that_did_not_run_was_not_called():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.attend, self.fc = keras.layers.MultiHeadAttention(2, 2), keras.layers.Dense(2)
            self.attend(*[np.ones((1, 3, 4), "float32")] * 2)

        def call(self, x):
            return self.fc(x)

    model = Idle()
    model(np.ones((1, 3), "float32"))
    found = nv.capture(model, np.ones((1, 3), "float32")).coverage
    within = [path for path in found if "attention/" in path]
    assert within
    assert all("it was not called" in found[path].reason for path in within)


def test_a_batch_of_none_is_refused():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 3)])
    for ask in (nv.capture, nv.health, nv.summary, nv.cam):
        with pytest.raises(nv.InputError, match="holds no sample"):
            ask(model, np.zeros((0, 8, 8, 3), "float32"))
