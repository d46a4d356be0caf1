"""From an input file to what a model is run on."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..words.arrays import AxisArray, images
from ..words.errors import FileFormatError, InputError

_ARRAY_SUFFIXES = (".npy", ".npz")


def read_input(path: Path | None, axes: str | None = None) -> Any:
    """Read an array, several, or an image. Nothing is ever unpickled.

    Parameters
    ----------
    path : Path or None
        ``.npy``, ``.npz``, or an image.
    axes : str, optional
        The names of an array's axes, such as ``"batch,y,x,channel"``.

    Returns
    -------
    numpy.ndarray, AxisArray, dict of them, or None
        An array as it stands in the file; with `axes`, one whose axes have these names.
        Several arrays in a ``.npz`` come as a dict. An image is float32 in [0, 1] with a
        batch axis of one, and one channel if it is grey, else three. None where there is no
        file.

    Raises
    ------
    OSError
        If the file cannot be read.
    FileFormatError
        If it is neither an array nor an image, or holds Python objects.
    InputError, AxisError
        If `axes` does not fit.
    """
    if path is None:
        if axes is not None:
            raise InputError("--axes names the axes of an input; give one with --input")
        return None
    if path.suffix.lower() in _ARRAY_SUFFIXES:
        arrays = _read_arrays(path)
        named = {key: _named(array, axes) for key, array in arrays.items()}
        return named if len(named) > 1 else next(iter(named.values()))
    if axes is not None:
        raise InputError(
            "--axes names the axes of an array in a .npy or .npz file; those of an image are known"
        )
    return images(_read_image(path))


def _read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        if "Object arrays" in str(error):
            raise FileFormatError(
                f"{path} holds Python objects, which are never unpickled; save an array of numbers"
            ) from error
        raise FileFormatError(f"{path} is no NumPy file; write one with numpy.save or numpy.savez") from error
    if not arrays:
        raise FileFormatError(f"{path} holds no array")
    return arrays


def _named(array: np.ndarray[Any, Any], axes: str | None) -> np.ndarray[Any, Any] | AxisArray:
    return array if axes is None else images(array, [name.strip() for name in axes.split(",")])


def _read_image(path: Path) -> np.ndarray[Any, Any]:
    """The image's values, ``(y, x, channel)``, float32 in [0, 1]; what is transparent becomes white."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode == "F":
                raise FileFormatError(f"{path} holds floats of unknown range; give them in a .npy file")
            if image.mode.startswith("I"):  # grey of 16 bits
                return np.asarray(image, np.float32)[..., np.newaxis] / np.float32(65535)
            mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
            opaque = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            values = np.asarray(opaque.convert(mode), np.float32) / np.float32(255)
    except UnidentifiedImageError as error:
        raise FileFormatError(
            f"{path} is no image that Pillow can read; an array goes in as {' or '.join(_ARRAY_SUFFIXES)}"
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, FileFormatError) or getattr(error, "errno", None) is not None:
            raise
        raise FileFormatError(f"{path} is a damaged image: {error}") from error
    return values.reshape(*values.shape[:2], -1)
