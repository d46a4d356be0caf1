"""The command line on Keras models: of a module, and of saved files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from ..command_line import FIRST, LAST, CommandLine
from .conftest import L


# TensorFlow's variables turn to NumPy in a way that NumPy 2 complains about, when Keras saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
class TestKeras(CommandLine):
    models = """
import keras


def net(channels):
    return keras.Sequential([
        keras.Input((8, 8, channels)),
        keras.layers.Conv2D(4, 3, name="conv1"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, name="fc"),
    ])


class Faulty(keras.layers.Layer):
    def call(self, x):
        return x

    def __call__(self, x, *rest, **named):
        if not isinstance(x, keras.KerasTensor):
            raise RuntimeError("the fault is mine\\nand there is more to say")
        return super().__call__(x, *rest, **named)


def colour():
    return net(3)


def grey():
    return net(1)


fixed = net(3)
tokens = keras.Input((5, 8))
attending = keras.Model(tokens, keras.layers.MultiHeadAttention(2, 4, name="attn")(tokens, tokens))


def faulty():
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), Faulty(name="faulty")])
"""
    layouts = LAST, FIRST
    wrong_shape = "8, 8, 5", "8, 8, 3"
    fault = r"Exception encountered when calling .*\. the fault is mine and there is more to say .*"
    suffixes = ".keras", ".h5"
    weights = ".weights.h5", ".keras"
    code = "holds code"

    @staticmethod
    def read(path: Path) -> Any:
        if path.name.endswith(".keras"):
            return keras.saving.load_model(path)
        from mine import colour  # type: ignore[import-not-found]

        model = colour()
        model.load_weights(path)
        return model

    @staticmethod
    def save_code(path: Path) -> None:
        keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                L.Conv2D(4, 3, name="conv1"),
                L.Lambda(lambda x: x, output_shape=(6, 6, 4)),
            ]
        ).save(path)

    @pytest.mark.parametrize("suffix", suffixes)
    def test_a_saved_model(self, netviz: Callable[..., Any], suffix: str) -> None:
        keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3, name="conv1")]).save(f"net{suffix}")
        ran = netviz("layers", f"net{suffix}")
        assert (ran.status, ran.err) == (0, "")
        assert "kernel (out=4, in=1, y=3, x=3)" in ran.out
