"""Saved models: opened if they are whole and harmless, refused with a sentence if not."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from .conftest import L, array, small_cnn


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
class TestFile:
    def save(self, model: Any, path: Path) -> Path:
        model.save(path)
        return path

    def test_a_whole_one(self, suffix: str, tmp_path: Path) -> None:
        model, x = small_cnn(), array(2, 8, 8, 1)
        network = nv.wrap(self.save(model, tmp_path / f"m{suffix}"))
        assert network.backend == "keras"
        np.testing.assert_allclose(
            nv.capture(network, x, "dense1")["dense1"].values, nv.capture(model, x)["dense1"].values
        )

    def test_code_runs_only_if_trusted(self, suffix: str, tmp_path: Path) -> None:
        model = keras.Sequential([keras.Input((4,)), L.Lambda(lambda x: x * 2, name="code")])
        path = self.save(model, tmp_path / f"m{suffix}")
        with pytest.raises(nv.FileFormatError, match=r"holds code.*trust=True.*--trust"):
            nv.wrap(path)
        captured = nv.capture(nv.wrap(path, trust=True), np.ones((1, 4), "float32"))
        assert (captured["code"].values == 2).all()

    @pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "zip"])
    def test_a_damaged_one(self, suffix: str, damage: str, tmp_path: Path) -> None:
        path = self.save(small_cnn(), tmp_path / f"m{suffix}")
        whole = path.read_bytes()
        if damage == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("readme.txt", "not a model")
        else:
            path.write_bytes(
                {"truncated": whole[: len(whole) // 2], "empty": b"", "foreign": b"\x80\x04pickle"}[damage]
            )
        with pytest.raises(nv.FileFormatError, match="is not a whole Keras model"):
            nv.wrap(path)

    def test_a_class_that_is_not_known(self, suffix: str, tmp_path: Path) -> None:
        class Unknown(L.Layer):
            def call(self, x: Any) -> Any:
                return x

        path = self.save(keras.Sequential([keras.Input((4,)), Unknown()]), tmp_path / f"m{suffix}")
        with pytest.raises(nv.FileFormatError, match="register_keras_serializable"):
            nv.wrap(path)

    def test_a_missing_one(self, suffix: str, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            nv.wrap(tmp_path / f"none{suffix}")
