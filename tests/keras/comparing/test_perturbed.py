"""A model that draws random numbers is told from one that does not."""

from __future__ import annotations

import keras
import numpy as np

import netviz_core as nv


class AlwaysDrops(keras.layers.Dropout):
    def call(self, x, training=None):
        return super().call(x, training=True)


def model(dropout: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), dropout, keras.layers.Dense(3)])


def test_dropout_that_is_on_is_not_deterministic():
    right, wrong = model(keras.layers.Dropout(0.5, name="drop")), model(AlwaysDrops(0.5, name="drop"))
    wrong.set_weights(right.get_weights())
    before = [keras.ops.convert_to_numpy(state).copy() for state in wrong.variables]
    found = nv.compare(right, wrong, np.random.default_rng(0).normal(size=(16, 8)).astype("float32"))
    assert found.first_divergence.path_b == "drop"
    assert {cause.name for cause in found.causes if cause.confirmed} == {"not deterministic", "dropout"}
    for state, value in zip(wrong.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(state), value)
