"""Captures in files: safetensors, which others can read and which never runs code.

Each value is a tensor under its key; what netviz knows of it besides stands as JSON in the
header's ``netviz`` entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .capture import Capture
from .errors import FileFormatError
from .outputs import replace_file
from .recorder import Coverage, Observation, Slot

FORMAT = 1
"""Counts up when a file of today could not be read any more."""


def save_capture(capture: Capture, path: str | Path) -> None:
    """Write a capture; see `Capture.save`."""
    from safetensors.numpy import save_file

    tensors, entries = {}, []
    for key, slot in capture.slots().items():
        activation = slot.get()
        # safetensors writes an array's memory as it lies there, whatever its strides say.
        name = repr(key) if key == "__metadata__" else key  # which safetensors keeps for itself
        tensors[name] = np.asarray(_storable(activation.values), order="C")
        entries.append(
            {
                "key": name,
                "path": activation.path,
                "call": activation.call,
                "leaf": activation.leaf,
                "axes": activation.axes,
                "dtype": activation.dtype,
                "values": str(activation.values.dtype),
            }
        )
    header = {
        "format": FORMAT,
        "backend": capture.backend,
        "versions": capture.versions,
        "activations": entries,
        "coverage": {layer: asdict(entry) for layer, entry in capture.coverage.items()},
    }
    metadata = {"netviz": json.dumps(header)}
    replace_file(path, lambda unfinished: save_file(tensors, unfinished, metadata=metadata))


def load_capture(path: str | Path) -> Capture:
    """Open a capture that was saved; needs no framework and runs nothing.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Capture
        Its values are read from the file when they are asked for.

    Raises
    ------
    FileFormatError
        If the file is truncated, or is no capture.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import netviz_core as nv, numpy as np, os, tempfile
    >>> from netviz_core.testing import example_model
    >>> path = os.path.join(tempfile.mkdtemp(), "capture.safetensors")
    >>> nv.capture(example_model(), np.zeros((2, 1, 8, 8)), "conv1").save(path)
    >>> nv.load_capture(path)["conv1"].axes
    ('batch', 'channel', 'y', 'x')
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):
        pass  # an OSError that names the file, where safetensors' own would not
    try:
        opened: Any = safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise FileFormatError(
            f"{str(path)!r} is not a whole safetensors file ({error}); was it written by capture.save?"
        ) from error
    header = _header(str(path), (opened.metadata() or {}).get("netviz"))
    try:
        return Capture(header["backend"], _saved(header, opened), header["versions"])
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise FileFormatError(
            f"{str(path)!r} is a damaged capture: {error}; capture and save it again"
        ) from error


@dataclass(frozen=True)
class _Saved:
    """The `CaptureSource` of a file."""

    slots: Sequence[Slot]
    entries: Mapping[str, Coverage]

    def coverage(self) -> Mapping[str, Coverage]:
        return self.entries


@dataclass(frozen=True)
class _InFile:
    """A value that is read from its file when it is asked for."""

    file: Any
    key: str
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.numpy().shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        values: np.ndarray[Any, Any] = self.file.get_tensor(self.key)
        return values if values.dtype == self.dtype else values.view(self.dtype)[..., 0]


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


def _saved(header: Mapping[str, Any], opened: Any) -> _Saved:
    slots = []
    for entry in header["activations"]:
        dtype = np.dtype(entry["values"])
        shape = tuple(opened.get_slice(entry["key"]).get_shape())
        axes = tuple(str(axis) for axis in entry["axes"])
        if len(axes) != len(shape) - (dtype == np.complex128):
            raise ValueError(f"{entry['key']!r} has the shape {shape} and the axes {axes}")
        value = _InFile(opened, entry["key"], dtype)
        nbytes = int(np.prod(shape)) * dtype.itemsize
        observation = Observation(str(entry["leaf"]), value, axes, str(entry["dtype"]), nbytes)
        slots.append(Slot(str(entry["path"]), int(entry["call"]), observation, axes))
    coverage = {
        str(path): Coverage(str(entry["status"]), str(entry["reason"]))
        for path, entry in header["coverage"].items()
    }
    return _Saved(slots, coverage)


def _storable(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """safetensors knows no complex128; it is written as pairs of float64."""
    if values.dtype != np.complex128:
        return values
    return np.asarray(values, order="C")[..., np.newaxis].view(np.float64)
