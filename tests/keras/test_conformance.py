"""The Keras backend passes the suite that third parties use, unmodified."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from netviz_core.testing import BackendConformance


class TestKeras(BackendConformance):
    @pytest.fixture
    def case(self):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(4, 3),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
                keras.layers.Dense(5),
            ]
        )
        return model, np.random.default_rng(0).random((2, 8, 8, 1), dtype=np.float32)


class TestNestedKeras(BackendConformance):
    @pytest.fixture
    def case(self):
        keras.utils.set_random_seed(0)
        shared = keras.layers.Dense(6, activation="relu")
        inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6), shared])
        inputs = keras.Input((6,))
        model = keras.Model(inputs, keras.layers.Add()([inner(shared(inputs)), inputs]))
        return model, np.random.default_rng(0).random((2, 6), dtype=np.float32)
