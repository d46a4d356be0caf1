"""What a pass changes that is no variable of Keras' is put back."""

import copy
import types

import keras
import numpy as np
import pytest

import netviz_core as nv


class Entry:
    def __init__(self):
        self.values = None


class Counting(keras.layers.Layer):
    total = 0

    def __init__(self):
        super().__init__()
        self.number = 0
        self.held = types.SimpleNamespace(seen=[])
        self.array = np.zeros(1, "float32")
        self.random = np.random.default_rng(0)
        self.seeds = keras.random.SeedGenerator(0)
        self.cache = Entry()
        self.order = iter([1.0, 2.0, 3.0, 4.0, 5.0])
        self.scale = keras.layers.Dense(2, kernel_initializer="ones")

    def build(self, shape):
        self.scale.build(shape)  # else Keras runs the layer without values

    def call(self, x):
        self.number += 1
        Counting.total += 1
        self.held.seen.append(1)
        self.array += 1
        self.cache.values = x if self.cache.values is None else keras.ops.concatenate([self.cache.values, x])
        added = self.number + Counting.total + len(self.held.seen) + float(self.array[0]) + next(self.order)
        noise = float(self.random.random()) + keras.random.uniform((), seed=self.seeds)
        return self.scale(x) + added + noise + len(self.cache.values)


@pytest.fixture
def model():
    layer = Counting()
    layer(keras.ops.ones((1, 2)))
    return layer


@pytest.mark.parametrize("ask", ["capture", "cam"])
def test_equal_calls_give_equal_answers(model, ask):
    x = np.ones((1, 2), "float32")
    order, following = model.order, next(copy.copy(model.order))
    before = model.number, Counting.total, len(model.held.seen), model.array.copy(), len(model.cache.values)
    if ask == "capture":
        found = [nv.capture(model, x)[""].values for _ in range(3)]
        np.testing.assert_array_equal(found[0], found[2])
    else:
        nv.compare(model, model, x, loss="mean_squared_error", targets=np.zeros((1, 2), "float32"))
        nv.graph(model, x)
    assert model.order is order
    assert next(order) == following
    after = model.number, Counting.total, len(model.held.seen), model.array, len(model.cache.values)
    assert before == after


def test_building_changes_no_objects():
    layer = Counting()
    nv.capture(layer, np.ones((1, 2), "float32"))
    assert layer.held.seen == []
    assert layer.array == 0
    assert layer.cache.values is None


class OwnVariable(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.own = tf.Variable(0.0)
        elif keras.backend.backend() == "torch":
            import torch

            self.own = torch.zeros(())
        else:
            self.own = np.zeros(())

    def call(self, x):
        if hasattr(self.own, "assign_add"):
            self.own.assign_add(1.0)
        else:
            self.own += 1
        return x + self.own


def test_a_variable_of_the_engine_is_put_back():
    layer = OwnVariable()
    x = np.zeros((1, 2), "float32")
    assert nv.capture(layer, x)[""].values[0, 0] == nv.capture(layer, x)[""].values[0, 0] == 1
    assert float(layer.own) == 0
