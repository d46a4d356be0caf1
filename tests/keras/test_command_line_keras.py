"""The command line on Keras models: of a module, and of saved files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from PIL import Image

from netviz_core.cli import main

MODELS = """
import keras


def colour():
    return keras.Sequential([
        keras.Input((8, 8, 3)),
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


def faulty():
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), Faulty(name="faulty")])
"""


# TensorFlow's variables turn to NumPy in a way that NumPy 2 complains about, when Keras saves a model.
saves = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def netviz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    (tmp_path / "keras_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(command: str) -> Ran:
        status = main(command.split())
        return Ran(status, *capsys.readouterr())

    yield run
    sys.modules.pop("keras_models", None)


def small() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, name="conv1")])


def with_code() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, name="conv1"),
            keras.layers.Lambda(lambda x: x, output_shape=(6, 6, 4)),
        ]
    )


@pytest.mark.parametrize(
    "command",
    [
        "kernels keras_models:colour conv1",
        "kernels keras_models:colour conv1 --no-rgb",
        "histogram keras_models:colour fc",
        "heatmap keras_models:colour fc --weight bias",
        "feature-maps keras_models:colour conv1 --input last.npy",
        "feature-maps keras_models:colour conv1 --input first.npy --axes batch,channel,y,x --sample 1",
        "feature-maps keras_models:colour conv1 --input colour.png",
    ],
)
def test_every_figure(netviz: Callable[..., Ran], command: str) -> None:
    np.save("first.npy", np.ones((2, 3, 8, 8), np.float32))
    np.save("last.npy", np.ones((2, 8, 8, 3), np.float32))
    Image.new("RGB", (8, 8), "red").save("colour.png")
    assert netviz(f"{command} -o figure.png") == (0, "wrote figure.png\n", "")
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")


@saves
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_model(netviz: Callable[..., Ran], suffix: str) -> None:
    small().save(f"net{suffix}")
    ran = netviz(f"layers net{suffix}")
    assert ran.status == 0
    assert ran.err == ""
    assert "kernel (out=4, in=1, y=3, x=3)" in ran.out


@saves
def test_code_in_a_file_runs_only_with_trust(netviz: Callable[..., Ran]) -> None:
    with_code().save("net.keras")
    refused = netviz("layers net.keras")
    assert refused.status == 2
    assert refused.err.count("\n") == 1
    assert "--trust" in refused.err
    assert netviz("layers net.keras --trust").status == 0


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_no_model(netviz: Callable[..., Ran], suffix: str) -> None:
    Path(f"net{suffix}").write_bytes(b"nonsense")
    ran = netviz(f"layers net{suffix}")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert f"net{suffix}" in ran.err


def test_an_input_of_the_wrong_shape_is_one_line(netviz: Callable[..., Ran]) -> None:
    np.save("x.npy", np.ones((2, 8, 8, 5), np.float32))
    ran = netviz("feature-maps keras_models:colour conv1 -i x.npy -o figure.png")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "8, 8, 5" in ran.err
    assert "8, 8, 3" in ran.err


def test_what_the_users_own_layer_raises_is_one_line(netviz: Callable[..., Ran]) -> None:
    np.save("x.npy", np.ones((1, 8, 8, 3), np.float32))
    ran = netviz("feature-maps keras_models:faulty faulty -i x.npy -o figure.png")
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "the model failed in layer 'faulty': RuntimeError: " in ran.err
    assert "the fault is mine and there is more to say" in ran.err
