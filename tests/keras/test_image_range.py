"""A model that brings images to its own scale is shown and given them as it expects them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import netviz_core as nv
from netviz_core.cli import main

from .conftest import L

BACKEND = nv.get_backend("keras")


def model_of(*first: Any) -> keras.Model:
    return keras.Sequential(
        [keras.Input((8, 8, 3)), *first, L.Conv2D(2, 3, name="conv"), L.GlobalAveragePooling2D(), L.Dense(2)]
    )


class Called(keras.Model):
    """Has layers of another order than that in which they run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = L.Conv2D(2, 3), L.Rescaling(1 / 255)

    def call(self, x: Any) -> Any:
        return self.conv(self.scale(x))


@pytest.mark.parametrize(
    ("model", "limits"),
    [
        (lambda: model_of(L.Rescaling(1 / 255)), (0, 255)),
        (lambda: model_of(L.RandomFlip(), L.Rescaling(1 / 127.5, offset=-1)), (0, 255)),
        (lambda: model_of(keras.Sequential([L.Rescaling(1 / 16)])), (0, 16)),
        (lambda: model_of(L.Normalization(mean=[123.0] * 3, variance=[58.0**2] * 3)), (0, 255)),
        (lambda: model_of(L.Conv2D(3, 1), L.Rescaling(1 / 255)), None),
        (model_of, None),
        (Called, (0, 255)),
    ],
)
def test_the_range_is_told_from_what_the_model_does_to_its_input_first(model, limits):
    found = BACKEND.image_range(model(), np.zeros((1, 8, 8, 3), "float32"))
    assert found == (None if limits is None else pytest.approx(limits))


def test_dark_pictures_of_a_known_range_stay_dark():
    x = np.full((1, 8, 8, 3), 0.9, "float32")
    x[0, :4] = 0.1
    np.testing.assert_allclose(nv.cam(model_of(L.Rescaling(1 / 255)), x).images, x / 255, atol=1e-6)


def test_the_command_line_gives_an_image_as_the_model_takes_it(tmp_path, capfd):
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype("uint8")
    Image.fromarray(picture).save(tmp_path / "picture.png")
    model_of(L.Rescaling(1 / 255, name="scale")).save(tmp_path / "model.keras")
    drawn = tmp_path / "maps.png"
    arguments = ["--input", str(tmp_path / "picture.png"), "-o", str(drawn)]
    assert main(["feature-maps", str(tmp_path / "model.keras"), "scale", *arguments]) == 0
    assert "0 … 255" in capfd.readouterr().err
