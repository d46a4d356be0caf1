"""Input files: arrays as they stand, images as floats, nothing unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from netviz_core import AxisArray, AxisError, FileFormatError, InputError
from netviz_core.cli.inputs import read_input


def test_an_array_goes_in_as_it_is(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.int16).reshape(2, 3)
    np.save(tmp_path / "x.npy", values)
    read = read_input(tmp_path / "x.npy")
    assert type(read) is np.ndarray
    assert read.dtype == np.int16
    np.testing.assert_array_equal(read, values)


def test_one_array_of_an_npz_comes_alone_and_several_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", only=np.ones(3))
    np.savez_compressed(tmp_path / "two.npz", left=np.ones(3), right=np.zeros(2))
    np.testing.assert_array_equal(read_input(tmp_path / "one.npz"), np.ones(3))
    two = read_input(tmp_path / "two.npz")
    assert list(two) == ["left", "right"]
    assert two["right"].shape == (2,)


def test_axes_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 8, 9, 3)))
    read = read_input(tmp_path / "x.npy", "batch, y, x, channel")
    assert isinstance(read, AxisArray)
    assert read.sizes == {"batch": 2, "y": 8, "x": 9, "channel": 3}
    np.savez(tmp_path / "two.npz", a=np.ones((2, 3)), b=np.ones((4, 5)))
    assert read_input(tmp_path / "two.npz", "batch,channel")["b"].sizes == {"batch": 4, "channel": 5}
    with pytest.raises(AxisError):
        read_input(tmp_path / "x.npy", "batch,channel")


class Trap:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a file ran code')",)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trapped = np.empty(1, object)
    trapped[0] = Trap()
    np.save(tmp_path / "x.npy", trapped, allow_pickle=True)
    np.savez(tmp_path / "x.npz", a=np.ones(1), b=trapped)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Trap()))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(FileFormatError, match="never unpickled"):
            read_input(tmp_path / name)
    with pytest.raises(FileFormatError, match="is no NumPy file"):
        read_input(tmp_path / "bare.npy")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_damaged_and_empty_arrays(tmp_path: Path, name: str) -> None:
    whole = tmp_path / ("whole" + name)
    (np.save if name == "x.npy" else np.savez)(whole, np.ones((40, 40)))
    for content in (b"", b"nonsense", whole.read_bytes()[:-700]):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match="is no NumPy file"):
            read_input(tmp_path / name)
    np.savez(tmp_path / "none.npz")
    with pytest.raises(FileFormatError, match="holds no array"):
        read_input(tmp_path / "none.npz")


GREY = np.array([[0, 51, 255], [102, 153, 204]], np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_images_are_floats_from_0_to_1_with_named_axes(tmp_path: Path, mode: str) -> None:
    grey = mode in ("L", "LA")
    source = Image.fromarray(GREY if grey else COLOUR)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    source.convert(mode).save(path)
    read = read_input(path)
    assert read.axes == ("batch", "y", "x", "channel")
    assert read.values.dtype == np.float32
    expected = (GREY[..., None] if grey else COLOUR)[None] / 255
    np.testing.assert_allclose(read.values, expected, atol=0.01 if mode in ("P", "CMYK") else 1e-6)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    values = np.zeros((1, 2, 4), np.uint8)
    values[0, 0, 3] = 255
    Image.fromarray(values).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_input(tmp_path / "x.png").values[0, 0], [[0, 0, 0], [1, 1, 1]])


def test_grey_of_16_bits_and_of_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 65535, 13107]], np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_allclose(read_input(tmp_path / "deep.png").values[0, 0, :, 0], [0, 1, 0.2], atol=1e-6)
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "flat.png")
    np.testing.assert_array_equal(read_input(tmp_path / "flat.png").values[0, 0, :, 0], [0, 1])


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(FileFormatError, match="no image that Pillow can read"):
        read_input(tmp_path / "x.txt")
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    with pytest.raises(FileFormatError, match=r"half\.png is a damaged image"):
        read_input(tmp_path / "half.png")
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(FileFormatError, match="floats of unknown range"):
        read_input(tmp_path / "float.tif")
    with pytest.raises(InputError, match="those of an image are known"):
        read_input(tmp_path / "whole.png", "batch,y,x,channel")
    with pytest.raises(FileNotFoundError):
        read_input(tmp_path / "absent.png")
