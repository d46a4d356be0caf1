"""Input of the wrong kind, and layers that are not built yet, get a sentence on every engine."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import netviz_core as nv


def model():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])


# TensorFlow alone has models that take strings, and judges for itself which do.
REFUSED = {"complex64": "dtype complex64", "M8[s]": "dates"}
if keras.backend.backend() != "tensorflow":
    REFUSED |= {"U3": "strings", "O": "Python objects"}


@pytest.mark.parametrize("dtype", REFUSED)
def test_values_that_are_no_real_numbers_are_refused(dtype):
    with pytest.raises(nv.InputError, match=f"an array of {REFUSED[dtype]} was given"):
        nv.capture(model(), np.zeros((2, 4)).astype(dtype))


def test_a_layer_that_is_not_built_says_so():
    unbuilt = keras.Sequential([keras.layers.Conv2D(4, 3, name="conv")])
    assert nv.wrap(unbuilt)["conv"].config["built"] is False
    with pytest.raises(nv.UnsupportedError, match="not built yet"):
        nv.kernels(unbuilt, "conv")
    assert "built" not in nv.wrap(model())["dense"].config


def test_a_file_that_is_no_archive_is_not_called_missing(tmp_path):
    (tmp_path / "corrupt.keras").write_bytes(b"nothing")
    with pytest.raises(nv.FileFormatError, match="neither a whole zip archive"):
        nv.wrap(tmp_path / "corrupt.keras")
