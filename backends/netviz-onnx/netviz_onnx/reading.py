"""Opens ONNX files; nothing in them runs code."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from netviz_core.backend_api import FileFormatError


def load(path: Path, trust: bool = False) -> ModelProto:
    """Read a model, with what of it lies in files beside it.

    Parameters
    ----------
    path : pathlib.Path
    trust : bool
        Not needed: a file holds a graph of known operators, and no code.

    Raises
    ------
    FileFormatError
        If it is damaged, or a file that belongs to it is missing.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise FileFormatError(
            f"{str(path)!r} is no ONNX file, or damaged ({error}); export the model again, or, if it was downloaded, "
            f"fetch it again"
        ) from error
    if not model.graph.node and not model.graph.initializer:
        raise FileFormatError(f"{str(path)!r} holds no graph; it is no ONNX model, or was cut off")
    _require_files(model, path)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # of several classes, by what is wrong
        raise FileFormatError(f"what belongs to {str(path)!r} cannot be read: {error}") from error
    return model


def _require_files(model: ModelProto, path: Path) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        told = {entry.key: entry.value for entry in tensor.external_data}
        name = told.get("location", "")
        file = path.parent / name
        if not file.is_file():
            raise FileFormatError(
                f"{str(path)!r} keeps {tensor.name!r} in a file of its own, {name!r}, which is not beside it; fetch or "
                f"copy that, too"
            )
        wrong = [f"{key} {told[key]!r}" for key in ("offset", "length") if not told.get(key, "0").isdecimal()]
        if wrong:
            raise FileFormatError(
                f"{str(path)!r} says that {tensor.name!r} lies at {' and '.join(wrong)} in {name!r}, where a number is "
                f"expected; export the model again"
            )
        end = int(told.get("offset", 0)) + int(told.get("length", 0))
        if file.stat().st_size < end:
            raise FileFormatError(
                f"{str(file)!r} has {file.stat().st_size:,} bytes and {tensor.name!r} lies up to byte {end:,}: it was "
                f"cut off, or belongs to another model; fetch it again"
            )
