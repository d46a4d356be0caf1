"""Opens what Keras writes of weights alone: HDF5 files of Keras 3 and of Keras 2, whole or in shards, or in an archive.

Keras 3 names the groups of a file after classes and attributes, and numbers the variables of each; the name
of the layer stands beside them. Keras 2 names layers and variables, in the model's order.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..words.decoding import decoding
from ..words.errors import FileFormatError, UnsupportedError
from .checkpoint import Checkpoint, StoredTensor
from .checkpoint_files import natural, shard_map, shard_path

_IN_ARCHIVE = "model.weights.h5"
"""The member of a ``.keras`` archive that holds the weights."""


def load_weights_h5(path: Path, trust: bool = False) -> Checkpoint:
    """Open Keras' weights: ``.weights.h5``, the index of several such, or those in a whole model's file.

    Only the tree of names is read. Links to other files are not followed.

    Raises
    ------
    FileFormatError
        If it is truncated or of another kind.
    UnsupportedError
        If h5py is not installed.
    """
    if path.name.endswith(".json"):
        files = (file for files in shard_map(path).values() for file in np.atleast_1d(files))
        return _of_keras_3([_Tree(shard_path(path, str(file))) for file in dict.fromkeys(files)])
    tree = _Tree(path)
    if tree.layer_names is not None:
        return Checkpoint(tree.tensors, type_name=f"weights of Keras {tree.version}".rstrip())
    return _of_keras_3([tree])


def _of_keras_3(trees: list[_Tree]) -> Checkpoint:
    tensors = {name: tensor for tree in trees for name, tensor in tree.tensors.items()}
    tensors = dict(sorted(tensors.items(), key=natural))
    groups: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(name.rpartition("/")[0].removesuffix("/vars"), {})[name.rpartition("/")[2]] = tensor
    apart = {
        path: "an optimizer's state" for path, numbered in groups.items() if _is_optimizer(path, numbered)
    }
    if any(_stands_in(path, "metrics") for path in groups):  # a word that Keras keeps for itself in a model
        apart["metrics"] = "the state of metrics"
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if not any(_stands_in(name, other) for other in apart)
    }
    if apart and not kept:
        raise FileFormatError(
            f"{str(trees[0].path)!r} holds the state of an optimizer, without a model's weights"
        )
    paths = [path for path in groups if not any(_stands_in(path, other) for other in apart)]
    names = _unique({path: _named(path, trees) for path in paths})
    return Checkpoint(kept, ordered=False, names=names, apart=apart, type_name="weights of Keras")


def _is_optimizer(path: str, numbered: Mapping[str, StoredTensor]) -> bool:
    """Whether the first number of a group counts steps, as that of an optimizer does, and the next is a rate."""
    first, second = numbered.get("0"), numbered.get("1")
    if first is None or first.shape or "int" not in first.dtype:
        return False
    rate = second is not None and not second.shape and "float" in second.dtype
    return rate or path.rpartition("/")[2].endswith("optimizer")


def _stands_in(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/")


def _named(path: str, trees: list[_Tree]) -> str:
    """The names of the layers in which one stands, and its own; where any is missing, the path in the file."""
    known = {path: name for tree in reversed(trees) for path, name in tree.names.items()}
    parts = path.split("/")
    names = [known.get("/".join(parts[:end]), "") for end in range(1, len(parts) + 1)]
    return "/".join(filter(None, names)) if names[-1] else path


def _unique(names: dict[str, str]) -> dict[str, str]:
    """Without those of several layers, which are better told apart by their paths in the file."""
    found = list(names.values())
    return {path: name if found.count(name) == 1 else path for path, name in names.items()}


class _Tree:
    """The names, shapes and places of what an HDF5 file holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tensors: dict[str, StoredTensor] = {}
        self.names: dict[str, str] = {}
        with _hdf5(path) as file:
            root = file.get("model_weights", file)
            self.version = _text(root.attrs.get("keras_version", file.attrs.get("keras_version", "")))
            self.layer_names = root.attrs.get("layer_names")
            if self.layer_names is None:
                root.visititems(self._visit)
            else:
                for layer in map(_text, self.layer_names):
                    self._add_named(root, layer)

    def _visit(self, name: str, node: Any) -> None:
        if hasattr(node, "shape"):
            self._add(name, node)
        elif name.endswith("/vars") and "name" in node.attrs:
            self.names[name.removesuffix("/vars")] = _text(node.attrs["name"])

    def _add_named(self, root: Any, layer: str) -> None:
        """The variables of a layer in the form of Keras 2, which repeats the layer's name before theirs."""
        for native in map(_text, root[layer].attrs["weight_names"]):
            inner = native.removeprefix(f"{layer}/").partition(":")[0]
            self._add(f"{layer}/{inner}", root[layer][native])

    def _add(self, name: str, node: Any) -> None:
        dtype = _text(node.attrs.get("dtype", node.dtype))
        if node.is_virtual or node.external:
            raise FileFormatError(
                f"{str(self.path)!r}: {name!r} lies in another file, which is not opened; save the weights again"
            )
        read = partial(_read, self.path, node.name)
        self.tensors[name] = StoredTensor(node.shape, dtype, read)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    with decoding(path, "HDF5 file"):
        _require_signature(path)
    try:
        import h5py  # here, as few need it
    except ImportError as error:
        raise UnsupportedError(
            f"reading {str(path)!r} needs h5py; to install it: pip install h5py"
        ) from error
    with decoding(path, "HDF5 file"), ExitStack() as stack:
        opened: Any = path
        if zipfile.is_zipfile(path):
            opened = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(_IN_ARCHIVE))
        yield stack.enter_context(h5py.File(opened, "r"))


def _read(path: Path, name: str) -> np.ndarray[Any, Any]:
    with _hdf5(path) as file:
        values: np.ndarray[Any, Any] = file[name][()]
        stored = file[name].attrs.get("dtype")
    if stored is not None and _text(stored) == "bfloat16":
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return values


def holds_model(path: Path) -> bool:
    """Whether an HDF5 file tells how its model is built, and is not of weights alone."""
    with _hdf5(path) as file:
        return "model_config" in file.attrs


def _require_signature(path: Path) -> None:
    """Refuse what is no HDF5 file, and no archive that may hold one, before h5py is asked for."""
    with path.open("rb") as file:
        begins = file.read(len(_SIGNATURE))
    if begins != _SIGNATURE and not zipfile.is_zipfile(path):
        raise ValueError("file signature not found")


_SIGNATURE = b"\x89HDF\r\n\x1a\n"
