"""Opens the files that hold weights alone; none of them can run code, and none is read before it must be."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..words.errors import FileFormatError, UnsupportedError
from .checkpoint import Checkpoint, StoredTensor

_SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
    "C64": "complex64",
}  # fmt: skip


def load_safetensors(path: Path, trust: bool = False) -> Checkpoint:
    """Open a ``.safetensors`` file; only its header is read.

    Raises
    ------
    FileFormatError
        If it is truncated or of another kind.
    """
    from safetensors import SafetensorError, safe_open  # here, as in all of these: each for one format

    try:
        safe_open(path, framework="numpy")  # checks every length and offset
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
    except (SafetensorError, ValueError, struct.error) as error:
        raise FileFormatError(
            f"{str(path)!r} is not a whole safetensors file: {error}; save it again"
        ) from error
    if "netviz" in (header.pop("__metadata__", None) or {}):
        raise FileFormatError(
            f"{str(path)!r} is a capture, and no file of weights; open it with netviz_core.load_capture"
        )
    tensors = {}
    for name, entry in header.items():
        dtype = _SAFETENSORS_DTYPES.get(entry["dtype"], entry["dtype"].lower())
        start = 8 + length + entry["data_offsets"][0]
        shape = tuple(entry["shape"])
        tensors[name] = StoredTensor(shape, dtype, partial(_mapped, path, dtype, start, shape))
    return Checkpoint(dict(sorted(tensors.items(), key=_natural)), ordered=False)


def _mapped(path: Path, dtype: str, start: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if dtype == "bfloat16":
        # A bfloat16 is the upper half of a float32.
        halves = _mapped(path, "uint16", start, shape)
        return (halves.astype(np.uint32) << 16).view(np.float32)
    try:
        numpy_dtype = np.dtype(dtype).newbyteorder("<")
    except TypeError as error:
        raise UnsupportedError(f"{str(path)!r} holds {dtype} values, which NumPy does not know") from error
    if 0 in shape:
        return np.zeros(shape, numpy_dtype)
    return np.memmap(path, numpy_dtype, "r", start, shape)


def load_npz(path: Path, trust: bool = False) -> Checkpoint:
    """Open an ``.npz`` file of arrays; only their headers are read. Arrays of objects are refused.

    Raises
    ------
    FileFormatError
        If it is truncated or of another kind.
    """
    tensors = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    shape, dtype = _npy_header(file)
                if dtype.hasobject:
                    raise FileFormatError(
                        f"{str(path)!r}: {member!r} holds Python objects, which would be unpickled"
                    )
                name = member.removesuffix(".npy")
                tensors[name] = StoredTensor(shape, dtype.name, partial(_from_npz, path, name))
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{str(path)!r} is not a whole .npz file: {error}; save it again") from error
    return Checkpoint(tensors)


def _npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _from_npz(path: Path, name: str) -> np.ndarray[Any, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        values: np.ndarray[Any, Any] = arrays[name]
    return values


def load_weights_h5(path: Path, trust: bool = False) -> Checkpoint:
    """Open Keras' ``.weights.h5``; only the tree of names is read. Links to other files are not followed.

    Raises
    ------
    FileFormatError
        If it is truncated or of another kind.
    UnsupportedError
        If h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UnsupportedError(
            f"reading {str(path)!r} needs h5py; to install it: pip install h5py"
        ) from error
    tensors: dict[str, StoredTensor] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            tensors[name] = StoredTensor(node.shape, str(node.dtype), partial(_from_h5, path, name))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except OSError as error:
        if not path.is_file():
            raise
        raise FileFormatError(f"{str(path)!r} is not a whole HDF5 file: {error}; save it again") from error
    return Checkpoint(dict(sorted(tensors.items(), key=_natural)), ordered=False)


def _from_h5(path: Path, name: str) -> np.ndarray[Any, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        values: np.ndarray[Any, Any] = file[name][()]
    return values


def _natural(entry: tuple[str, StoredTensor]) -> list[tuple[int, str]]:
    """Sorts ``conv2`` before ``conv10``; such files list their tensors by the alphabet."""
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", entry[0])]
