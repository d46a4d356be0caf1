"""What a file or a folder is, told by what it holds; the end of its name counts where that says nothing."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..plugins import loaders
from ..words.decoding import damaged
from ..words.errors import FileFormatError
from .checkpoint import Checkpoint
from .checkpoint_files import load_npz, load_safetensors, load_shards
from .hdf5_files import holds_model, load_weights_h5

_TORCH = (".pt", ".pth", ".pkl")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_TORCH_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""The number with which PyTorch began its files before 1.6, and still does where it is told so."""

_OWN: dict[str, Callable[..., Any]] = {
    ".safetensors": load_safetensors,
    ".npz": load_npz,
    ".weights.h5": load_weights_h5,
    ".weights.json": load_weights_h5,
    ".index.json": load_shards,
}
"""The loaders of weights alone, which need no framework; those of frameworks are found through entry points."""

_TOLD = (*_OWN, ".keras", ".h5", ".pt2", *_TORCH)
"""The ends of names whose files are known by what they hold, too."""

_OPENED_ELSEWHERE = {
    b"GGUF": "a GGUF file of llama.cpp, whose weights are packed; give the safetensors that it was made from",
    b"\x1f\x8b": "compressed with gzip; unpack it",
    b"BZh": "compressed with bzip2; unpack it",
    b"\xfd7zXZ": "compressed with xz; unpack it",
    b"\x93NUMPY": "a single array, and not a model; give it as an input, or name it in an .npz file",
    b"version https://git-lfs": "not the file itself but a pointer to it, as Git LFS leaves; run git lfs pull",
    b"<!doctype html": "a web page, perhaps an error instead of the download; download the file again",
    b"<html": "a web page, perhaps an error instead of the download; download the file again",
    b"<?xml": "an XML text, perhaps an error instead of the download; download the file again",
}
"""By the first bytes: what it is, and what to do."""

_ENDS_ELSEWHERE = {
    ".onnx": "a model of ONNX, which netviz-onnx opens (pip install netviz-onnx[onnxruntime]); or give the model that "
    "it was exported from",
    ".tflite": "a model of TensorFlow Lite; give the Keras model that it was converted from",
    ".msgpack": "a file of Flax; restore it with flax.serialization.msgpack_restore, and give its parameters",
}

_FOLDERS_ELSEWHERE = {
    ".metadata": "a checkpoint of torch.distributed.checkpoint, whose index is a pickle that could run code; if you "
    "trust it, torch.distributed.checkpoint.format_utils.dcp_to_torch_save makes a .pt file of it",
    "model_index.json": "a pipeline of diffusers, which is several models; give the folder of one of them",
    "checkpoint": "a checkpoint of TensorFlow; tf.train.load_checkpoint reads it: give its arrays by their names",
    "_METADATA": "a checkpoint of Orbax; restore it, and give its arrays by their names",
}
"""By a file that a folder holds."""

_IN_FOLDERS = (
    "*.safetensors.index.json", "*.weights.json", "*.safetensors", "*.bin.index.json", "*model*.bin", "*.keras",
    "*.weights.h5", "*.h5", "*.pt2", "*.pt", "*.pth", "*.ckpt", "*.npz",
)  # fmt: skip
"""What is looked for in a folder, the first kind before the next."""


def load(path: Path, trust: bool) -> Any:
    """Open a file or a folder with the loader for what it is.

    Parameters
    ----------
    path : pathlib.Path
    trust : bool
        Allow it to run code while it is loaded.

    Raises
    ------
    FileFormatError
        If it is damaged, or nothing that netviz opens: with what it is, where that is known.
    OSError
        If it cannot be read.
    """
    if path.is_dir():
        return _load_folder(path, trust)
    if not path.exists():
        if _key_of(path):
            raise FileNotFoundError(2, "No such file", str(path))
        raise FileFormatError(
            f"there is no file {str(path)!r}, nor does its name end as one that is opened: {listed()}"
        )
    return _loader_for(path)(path, trust=trust)


def _key_of(path: Path) -> str:
    """The end of a name, as loaders are called by it; the longest."""
    return max((end for end in suffixes() if path.name.lower().endswith(end)), key=len, default="")


def suffixes() -> list[str]:
    """The ends of the names of files that can be opened."""
    return sorted({*loaders.names(), *_OWN})


def listed() -> str:
    """The ends of the names of files that models are known by, for messages; indices are known by their own."""
    return ", ".join(end for end in suffixes() if not end.endswith(".json"))


def _loader_for(path: Path) -> Callable[..., Any]:
    key = _key_of(path)
    with path.open("rb") as file:
        start = file.read(512)
    fitting = tuple(_fitting(path, start))
    if not key and not fitting:
        elsewhere = _ENDS_ELSEWHERE.get(path.suffix.lower())
        if elsewhere:
            raise FileFormatError(f"{str(path)!r} is {elsewhere}")
        raise FileFormatError(
            f"cannot tell from its suffix how to load {str(path)!r}; known suffixes: {listed()}; "
            f"nor does it begin like a file of these"
        )
    if fitting and key not in fitting and key in (*_TOLD, ""):
        key = fitting[0]
    load: Callable[..., Any] = _OWN[key] if key in _OWN else loaders.get(key)
    return load


def _fitting(path: Path, start: bytes) -> Iterator[str]:
    """The loaders that open what begins like this, the likeliest first; none where it is not known."""
    if not start and not _key_of(path):
        raise FileFormatError(
            f"{str(path)!r} is empty; save it again, or, if it was downloaded, fetch it again"
        )
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        yield ".safetensors"  # first, as the length that it begins with may look like anything
        return
    text = start.lstrip().lower()
    for beginning, what in _OPENED_ELSEWHERE.items():
        if start.startswith(beginning) or text.startswith(beginning):
            raise FileFormatError(f"{str(path)!r} is {what}")
    if start.startswith(_HDF5):
        yield from _of_hdf5(path)
    elif start.startswith(b"PK\x03\x04"):
        yield from _of_archive(path)
    elif start.startswith(b"\x80") and (_TORCH_MAGIC in start or not _key_of(path)):
        yield from _TORCH
    elif start.startswith(b"{") and b"weight_map" in path.read_bytes():
        yield ".weights.json" if b".weights.h5" in path.read_bytes() else ".index.json"


def _of_hdf5(path: Path) -> Iterator[str]:
    try:
        yield ".h5" if holds_model(path) else ".weights.h5"
    except FileFormatError:
        if not _key_of(path):
            raise  # else the loader says in its own words that it is damaged


def _of_archive(path: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except Exception as error:  # zipfile raises more than its own errors of a damaged one
        if _key_of(path):
            return  # whose loader says it in its own words
        raise FileFormatError(damaged(path, "zip archive", error)) from error
    names = {member.rpartition("/")[2] for member in members}
    if {"config.json", "metadata.json"} <= set(members):
        yield ".keras"
    elif "archive_format" in names or "serialized_exported_program.json" in names:
        yield ".pt2"
    elif "data.pkl" in names:
        yield from _TORCH
    elif members and all(name.endswith(".npy") for name in names):
        yield ".npz"


def _load_folder(path: Path, trust: bool) -> Any:
    if (path / "saved_model.pb").exists() or {"config.json", "metadata.json"} <= _names(path):
        return loaders.get(".keras")(path, trust=trust)
    for name, what in _FOLDERS_ELSEWHERE.items():
        if (path / name).exists():
            parts = f": {_parts(path)}" if name == "model_index.json" else ""
            raise FileFormatError(f"{str(path)!r} is {what}{parts}")
    file = _candidate(path)
    loaded = _loader_for(file)(file, trust=trust)
    if isinstance(loaded, Checkpoint) and loaded.type_name == "state dict":
        loaded.type_name = _architecture(path) or loaded.type_name
    return loaded


def _names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def _parts(path: Path) -> str:
    return ", ".join(sorted(entry.name for entry in path.iterdir() if entry.is_dir()))


def _candidate(path: Path) -> Path:
    """The one file in a folder that holds a model or its weights.

    Raises
    ------
    FileFormatError
        If there is none, or several of one kind without an index that makes one of them.
    """
    for pattern in _IN_FOLDERS:
        found = sorted(path.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:4]) + (", …" if len(found) > 4 else "")
            raise FileFormatError(
                f"{str(path)!r} is a folder with {len(found)} files of weights and no index that tells how they belong "
                f"together: {names}; give one of them, or fetch the index, too"
            )
    below = _parts(path)
    raise FileFormatError(
        f"{str(path)!r} is a folder in which there is no saved model and no index"
        + (f"; it holds the folders {below}, of which one may be what is meant" if below else "; give a file")
    )


def _architecture(path: Path) -> str:
    """The class that the configuration beside the weights names, as transformers and diffusers write it."""
    try:
        config = json.loads((path / "config.json").read_bytes())
        return str((config.get("architectures") or [config.get("_class_name") or ""])[0])
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        return ""  # weights open without it
