"""Opens the files that hold weights alone; none of them can run code, and none is read before it must be."""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..plugins import loaders, tensor_to_numpy
from ..words.decoding import decoding
from ..words.errors import FileFormatError, UnsupportedError
from .checkpoint import Checkpoint, StoredTensor
from .states import from_mapping

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
    return Checkpoint(dict(sorted(_in_safetensors(path).items(), key=natural)), ordered=False)


def _in_safetensors(path: Path) -> dict[str, StoredTensor]:
    from safetensors import safe_open

    with decoding(path, "safetensors file"):
        safe_open(path, framework="numpy")  # checks every length and offset
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
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
        return tensors


def load_shards(path: Path, trust: bool = False) -> Checkpoint:
    """Open several files of tensors as one, by their index, ``….index.json``; each is read as it would be alone.

    Raises
    ------
    FileFormatError
        If the index or one of the files is damaged, or not there.
    """
    shards: dict[str, list[str]] = {}
    for name, file in shard_map(path).items():
        shards.setdefault(str(file), []).append(name)
    tensors: dict[str, StoredTensor] = {}
    for file, names in shards.items():
        found = _tensors_of(shard_path(path, file), trust)
        missing = [name for name in names if name not in found]
        if missing:
            raise FileFormatError(
                f"{str(path)!r} says that {file} holds {missing[0]!r}, which it does not; "
                f"fetch all of these files again"
            )
        tensors |= {name: found[name] for name in names}
    return Checkpoint(dict(sorted(tensors.items(), key=natural)), ordered=False)


def _tensors_of(path: Path, trust: bool) -> Mapping[str, StoredTensor]:
    if path.suffix == ".safetensors":
        return _in_safetensors(path)
    state = loaders.get(".pt")(path, trust=trust)
    checkpoint = from_mapping(state, tensor_to_numpy) if isinstance(state, Mapping) else None
    return checkpoint.tensors if checkpoint else {}


def shard_map(path: Path) -> Mapping[str, Any]:
    """What an index of shards says: from the name of a tensor, or group of them, to its file, or several."""
    with decoding(path, "index of shards"):
        shards = json.loads(path.read_bytes())["weight_map"]
        if not isinstance(shards, Mapping) or not shards:
            raise ValueError("its weight_map names no file")
        return shards


def shard_path(index: Path, file: str) -> Path:
    """The path of a shard, which stands beside its index.

    Raises
    ------
    FileFormatError
        If it would stand elsewhere, or is not there.
    """
    path = index.parent / file
    if path.name != file:
        raise FileFormatError(f"{str(index)!r} names {file!r}, which is no file beside it; fetch it again")
    if not path.exists():
        raise FileFormatError(
            f"{str(index)!r} tells of several files, of which {file!r} is not beside it; "
            f"fetch that, too (with Git LFS or from a hub, it is downloaded by itself)"
        )
    return path


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
    with decoding(path, ".npz file"), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                shape, dtype = _npy_header(file)
                size = member.file_size - file.tell()
            if dtype.hasobject:
                raise FileFormatError(
                    f"{str(path)!r}: {member.filename!r} holds Python objects, which would be unpickled"
                )
            if math.prod(shape) * dtype.itemsize != size:
                raise ValueError(f"{member.filename} has {size} bytes for the shape {shape} of {dtype}")
            name = member.filename.removesuffix(".npy")
            tensors[name] = StoredTensor(shape, dtype.name, partial(_from_npz, path, name))
    return Checkpoint(tensors)


def _npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _from_npz(path: Path, name: str) -> np.ndarray[Any, Any]:
    with decoding(path, ".npz file"), np.load(path, allow_pickle=False) as arrays:
        values: np.ndarray[Any, Any] = arrays[name]
    return values


def natural(entry: tuple[str, StoredTensor]) -> list[tuple[int, str]]:
    """Sorts ``conv2`` before ``conv10``; such files list their tensors by the alphabet."""
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", entry[0])]
