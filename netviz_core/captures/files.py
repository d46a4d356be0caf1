"""Captures in files: safetensors, which others can read and which never runs code.

Each value is a tensor under its key; what netviz knows of it besides stands as JSON in the
header's ``netviz`` entry.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.ready_layer import ReadyLayer
from ..models.weights import Layout, Weight, Weights
from ..words.errors import FileFormatError
from ..words.observations import Coverage, Observation
from ..words.whole_files import as_path, replace_file
from .keys import keyed
from .recorder import Slot

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
"""Counts up when a file of today could not be read any more."""


@dataclass(frozen=True)
class Contents:
    """What a file holds of a capture.

    Parameters
    ----------
    backend : str
    versions : mapping
    returned, given : sequence of Slot
        What layers returned, and what they were given; read from a file, values that are not yet in memory.
    layers : mapping from path to ReadyLayer
    coverage : mapping from path to Coverage
    """

    backend: str
    versions: Mapping[str, str]
    returned: Sequence[Slot]
    given: Sequence[Slot]
    layers: Mapping[str, ReadyLayer]
    coverage: Mapping[str, Coverage]


def write(contents: Contents, path: str | Path) -> None:
    """Write a capture to exactly `path`; see `netviz_core.Capture.save`."""
    from safetensors.numpy import save_file  # here, as it is of use to those alone who have files

    tensors = _Tensors()
    header = {
        "format": FORMAT,
        "backend": contents.backend,
        "versions": contents.versions,
        "activations": [_entry(tensors, key, slot) for key, slot in keyed(contents.returned).items()],
        "given": [_entry(tensors, f"given {number}", slot) for number, slot in enumerate(contents.given)],
        "layers": [_layer_entry(tensors, layer) for layer in contents.layers.values()],
        "coverage": {layer: asdict(entry) for layer, entry in contents.coverage.items()},
    }
    metadata = {"netviz": json.dumps(header, default=str)}
    replace_file(path, lambda unfinished: save_file(tensors.by_key, unfinished, metadata=metadata))


def read(path: str | Path) -> Contents:
    """Read what `write` wrote.

    Raises
    ------
    FileFormatError
        If the file is truncated, or is no capture.
    OSError
        If it cannot be read.
    """
    from safetensors import SafetensorError, safe_open  # here, as in write

    with open(as_path(path), "rb"):
        pass  # an OSError that names the file, where safetensors' own would not
    try:
        opened: Any = safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise FileFormatError(
            f"{str(path)!r} is not a whole safetensors file ({error}); was it written by capture.save?"
        ) from error
    header = _header(str(path), (opened.metadata() or {}).get("netviz"))
    try:
        return _contents(header, opened)
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise FileFormatError(
            f"{str(path)!r} is a damaged capture: {error}; capture and save it again"
        ) from error


def is_capture(path: str | Path) -> bool:
    """Whether a file is a capture that was saved."""
    from safetensors import SafetensorError, safe_open  # here, as in write

    try:
        with safe_open(path, framework="numpy") as opened:
            return "netviz" in (opened.metadata() or {})
    except (SafetensorError, OSError):
        return False


class _Tensors:
    """The tensors of a file; an array that comes again is written once."""

    def __init__(self) -> None:
        self.by_key: dict[str, np.ndarray[Any, Any]] = {}
        self._keys: dict[Hashable, tuple[str, np.ndarray[Any, Any]]] = {}

    def add(self, key: str, values: np.ndarray[Any, Any]) -> str:
        """The key under which the file will hold these values."""
        memory = (values.__array_interface__["data"][0], values.shape, values.strides, values.dtype.str)
        if memory in self._keys:
            return self._keys[memory][0]
        while key in self.by_key or key == "__metadata__":  # which safetensors keeps for itself
            key = repr(key)
        # safetensors writes an array's memory as it lies there, whatever its strides say.
        self.by_key[key] = np.asarray(_storable(values), order="C")
        self._keys[memory] = (key, values)  # held, so that no other array can come to stand there
        return key


def _entry(tensors: _Tensors, key: str, slot: Slot) -> dict[str, Any]:
    activation = slot.get()
    return {
        "key": tensors.add(key, activation.values),
        "path": activation.path,
        "call": activation.call,
        "leaf": activation.leaf,
        "axes": activation.axes,
        "order": slot.axes,
        "dtype": activation.dtype,
        "values": str(activation.values.dtype),
    }


def _layer_entry(tensors: _Tensors, layer: ReadyLayer) -> dict[str, Any]:
    weights = []
    for name, weight in layer.weights.items():
        values = weight.peek()
        weights.append(
            {
                "key": tensors.add(f"weight {name} of {layer.path}", values),
                "name": weight.name,
                "native_name": weight.native_name,
                "axes": weight.axes,
                "dtype": weight.dtype,
                "trainable": weight.trainable,
                "values": str(values.dtype),
            }
        )
    own = {name: getattr(layer, name) for name in ("path", "kind", "type_name", "trainable", "config")}
    return {**own, "weights": weights}


@dataclass(frozen=True)
class _InFile:
    """A value that is read from its file when it is asked for."""

    file: Any
    key: str
    dtype: np.dtype[Any]
    order: tuple[int, ...] = ()
    """Of its axes, in the framework's own tensor; empty if they are to stay as they are in the file."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.numpy().shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        values: np.ndarray[Any, Any] = self.file.get_tensor(self.key)
        values = values if values.dtype == self.dtype else values.view(self.dtype)[..., 0]
        return values.transpose(self.order) if self.order else values


def _header(path: str, text: str | None) -> dict[str, Any]:
    if text is None:
        raise FileFormatError(
            f"{path!r} is a safetensors file, but no capture; netviz writes those with capture.save"
        )
    try:
        header = json.loads(text)
        version = int(header["format"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileFormatError(
            f"{path!r} is a damaged capture: its header cannot be read; save it again"
        ) from error
    if version > FORMAT:
        raise FileFormatError(
            f"{path!r} has format {version}, and this netviz reads up to {FORMAT}; upgrade netviz-core to open it"
        )
    return dict(header)


def _contents(header: Mapping[str, Any], opened: Any) -> Contents:
    coverage = {
        str(path): Coverage(str(entry["status"]), str(entry["reason"]))
        for path, entry in header["coverage"].items()
    }
    layers = {str(entry["path"]): _layer(entry, opened) for entry in header.get("layers", ())}
    returned = _slots(header["activations"], opened)
    given = _slots(header.get("given", ()), opened)
    nowhere = {slot.path for slot in (*returned, *given)} - layers.keys()
    if layers and nowhere:
        raise ValueError(f"it has values of {min(nowhere)!r}, and no such layer")
    return Contents(header["backend"], dict(header["versions"]), returned, given, layers, coverage)


def _slots(entries: Sequence[Mapping[str, Any]], opened: Any) -> list[Slot]:
    slots = []
    for entry in entries:
        value, shape, axes = _stored(entry, opened)
        nbytes = int(np.prod(shape)) * value.dtype.itemsize
        order = tuple(str(axis) for axis in entry.get("order", axes))
        if sorted(order) != sorted(axes):
            raise ValueError(f"{entry['key']!r} has the axes {axes} in the order {order}")
        value = replace(value, order=tuple(axes.index(axis) for axis in order))
        observation = Observation(str(entry["leaf"]), value, order, str(entry["dtype"]), nbytes)
        slots.append(Slot(str(entry["path"]), int(entry["call"]), observation, order))
    return slots


def _stored(entry: Mapping[str, Any], opened: Any) -> tuple[_InFile, tuple[int, ...], tuple[str, ...]]:
    """An array that lies in the file, its shape and its axes."""
    dtype = np.dtype(entry["values"])
    stored = opened.get_slice(entry["key"])
    shape = tuple(stored.get_shape())
    if dtype == np.complex128:
        shape = shape[:-1]
    if stored.get_dtype() != _name_in_file(dtype):
        raise ValueError(f"{entry['key']!r} is {stored.get_dtype()} in the file, and {dtype} by its header")
    axes = tuple(str(axis) for axis in entry["axes"])
    if len(axes) != len(shape):
        raise ValueError(f"{entry['key']!r} has the shape {shape} and the axes {axes}")
    return _InFile(opened, entry["key"], dtype), shape, axes


def _layer(entry: Mapping[str, Any], opened: Any) -> ReadyLayer:
    weights = Weights({str(weight["name"]): _weight(weight, opened) for weight in entry["weights"]})
    return ReadyLayer(
        str(entry["path"]),
        str(entry["kind"]),
        str(entry["type_name"]),
        None,
        bool(entry["trainable"]),
        weights,
        {str(name): _tuples(value) for name, value in entry["config"].items()},
    )


def _weight(entry: Mapping[str, Any], opened: Any) -> Weight:
    value, shape, axes = _stored(entry, opened)
    return Weight(
        str(entry["name"]),
        str(entry["native_name"]),
        Layout(axes),
        shape,
        str(entry["dtype"]),
        bool(entry["trainable"]),
        value.numpy,
        identity=str(entry["key"]),
    )


def _tuples(value: Any) -> Any:
    """JSON has lists alone; what layers say of themselves are tuples."""
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _name_in_file(dtype: np.dtype[Any]) -> str:
    if dtype == np.complex128:
        return "F64"
    return "BOOL" if dtype == np.bool_ else f"{dtype.kind.upper()}{8 * dtype.itemsize}"


def _storable(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """safetensors knows no complex128; it is written as pairs of float64."""
    if values.dtype != np.complex128:
        return values
    return np.asarray(values, order="C")[..., np.newaxis].view(np.float64)
