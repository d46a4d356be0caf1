"""Saved models: opened if they are whole and harmless, refused with a sentence if not."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
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

        def cube(x: Any) -> Any:
            return x**3

        for name, layer in {"Unknown": Unknown(), "cube": L.Dense(2, activation=cube)}.items():
            path = self.save(keras.Sequential([keras.Input((4,)), layer]), tmp_path / f"m{suffix}")
            with pytest.raises(nv.FileFormatError, match=f"needs {name},.*register_keras_serializable"):
                nv.wrap(path)

    def test_one_under_another_name(self, suffix: str, tmp_path: Path) -> None:
        path = self.save(small_cnn(), tmp_path / f"m{suffix}")
        for name in ("m", "m.hdf5", "m.weights.h5"):
            path = path.rename(tmp_path / name)
            assert nv.wrap(path).backend == "keras"

    def test_a_missing_one(self, suffix: str, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            nv.wrap(tmp_path / f"none{suffix}")


def _transposed(path: Path) -> Any:
    model = keras.Sequential([keras.Input((4, 4, 2)), L.Conv2DTranspose(3, 2, name="up")])
    model.save(path)
    return model


def _as_of_keras_2(path: Path) -> None:
    """Let a file say what one of Keras 2 says: its version, an argument that is gone, and a module of its own."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs["keras_version"] = "2.15.0"
            file.attrs["model_config"] = file.attrs["model_config"].replace(
                '"filters"', '"gone": 1, "filters"'
            )
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = b'{"keras_version": "2.15.0"}'
    members["config.json"] = members["config.json"].replace(b'"keras"', b'"keras.src.engine.sequential"', 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_of_keras_2_there_are_at_least_the_weights(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"old{suffix}"
    saved = _transposed(path)
    _as_of_keras_2(path)
    network, model = nv.wrap(path), _transposed(tmp_path / "new.keras")
    assert network[""].type_name == "weights of Keras 2.15.0"
    with pytest.raises(nv.UnsupportedError, match=r"Keras 2.15.0 wrote it.*tf_keras.*copy_weights") as raised:
        nv.capture(network, array(1, 4, 4, 2))
    assert ("gone" if suffix == ".h5" else "Sequential") in str(raised.value)
    assert not nv.copy_weights(path, model).skipped
    for want, got in zip(saved.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_saved_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    for trust in (False, True):
        with pytest.raises(nv.FileFormatError, match=r"keras.layers.TFSMLayer\(.*tf.train.load_checkpoint"):
            nv.wrap(tmp_path, trust=trust)
