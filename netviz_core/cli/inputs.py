"""From an input file to what a model is run on."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..attributions.following import declared_range
from ..captures.batches import DEFAULT_BATCH_SIZE, part
from ..captures.capture import Capture
from ..models.network import Network
from ..words.arrays import AxisArray, images
from ..words.errors import FileFormatError, InputError
from .saying import note

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


def as_expected(model: Network | Capture, x: Any, path: Path | None) -> Any:
    """An image in the range that the model takes, where it says which; anything else as it is.

    A Keras model that begins with ``Rescaling(1 / 255)`` is given 0 … 255.
    """
    is_image = path is not None and path.suffix.lower() not in _ARRAY_SUFFIXES
    if not (is_image and isinstance(x, AxisArray) and isinstance(model, Network)):
        return x
    low, high = declared_range(model, x) or (0.0, 1.0)
    if (low, high) == (0.0, 1.0):
        return x
    note(f"the image is given as {low:g} … {high:g}, which the model brings to its own scale", err=True)
    return AxisArray(x.values * np.float32(high - low) + np.float32(low), x.axes)


def read_targets(path: Path | None) -> np.ndarray[Any, Any] | None:
    """Read what a model should have said: one array; None where there is no file.

    Raises
    ------
    OSError
        If the file cannot be read.
    FileFormatError
        If it is no file of NumPy with one array.
    """
    if path is None:
        return None
    arrays = _read_arrays(path)
    if len(arrays) > 1:
        raise FileFormatError(
            f"{path} holds {len(arrays)} arrays ({', '.join(arrays)}); targets are one, in a .npy file"
        )
    return next(iter(arrays.values()))


def batched(x: Any) -> Any:
    """An input as batches, as it is cut for `netviz_core.statistics`; of several arrays all at once."""
    if not isinstance(x, dict):
        return x
    sizes = {len(array.values if isinstance(array, AxisArray) else array) for array in x.values()}
    starts = range(0, max(sizes), DEFAULT_BATCH_SIZE)
    return [
        {name: part(array, start, start + DEFAULT_BATCH_SIZE) for name, array in x.items()}
        for start in starts
    ]


def class_names(text: str | None) -> list[str] | None:
    """The names of classes: in a text file with one on each line, or with commas between them."""
    if text is None:
        return None
    path = Path(text)
    if path.suffix.lower() in (".txt", ".csv", ".names") or path.is_file():
        return path.read_text("utf-8").splitlines()
    return [name.strip() for name in text.split(",")]


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
    for array in arrays.values():
        if array.dtype.kind in "USV":
            what = "records" if array.dtype.kind == "V" else "text"
            raise FileFormatError(f"{path} holds {what}; save an array of numbers")
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
