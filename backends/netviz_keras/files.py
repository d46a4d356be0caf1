"""Opens saved Keras models, without running code from the file unless it is trusted."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from netviz_core.backend_api import Checkpoint, FileFormatError, decoding, load_weights_h5, reason_of


def load_model(path: Path, trust: bool = False) -> keras.Model | keras.Layer | Checkpoint:
    """Load a ``.keras`` or ``.h5`` file, or a folder of Keras or a SavedModel.

    Parameters
    ----------
    path : Path
    trust : bool
        Allow code in the file, such as the body of a ``Lambda`` layer, to run.

    Returns
    -------
    keras.Model, or Checkpoint
        Not compiled. Of what Keras 2 wrote and Keras 3 cannot build the weights alone, which say so when
        they are asked to compute.

    Raises
    ------
    FileFormatError
        If the file is damaged, is something else, holds code and is not trusted, or needs classes
        that are not there.
    """
    if path.is_dir():
        return _load_folder(path, trust)
    try:
        with decoding(path, "Keras model"):
            return _loaded(path, trust)
    except FileFormatError as error:
        reason = error.__cause__ or error
        version = _version(path)
        if version.startswith("2."):
            return _weights_of_keras_2(path, version, reason)
        explained = _explained(path, str(reason))
        if explained:
            raise FileFormatError(explained) from reason
        raise


def _loaded(path: Path, trust: bool) -> Any:
    """Have Keras load a file, under the suffix by which it tells what that is."""
    with path.open("rb") as file:
        suffix = ".h5" if file.read(8) == b"\x89HDF\r\n\x1a\n" else ".keras"
    if suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError("it is neither a whole zip archive nor an HDF5 file")
    if path.name.endswith((suffix, ".hdf5") if suffix == ".h5" else suffix):
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder, f"model{suffix}")
        named.symlink_to(path.resolve())
        return keras.saving.load_model(named, compile=False, safe_mode=not trust)


def _load_folder(path: Path, trust: bool) -> Any:
    if not (path / "saved_model.pb").exists():
        with decoding(path / "config.json", "folder of a Keras model"):
            return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    raise FileFormatError(
        f"{str(path)!r} is a SavedModel of TensorFlow, a graph without layers that Keras 3 does not load as a model; "
        f"if you trust it, keras.layers.TFSMLayer({str(path)!r}, call_endpoint='serving_default') makes a layer of "
        f"it, which netviz shows (with Keras on TensorFlow; what model.export wrote has the endpoint 'serve', too); "
        f"for its weights alone, tf.train.load_checkpoint({str(path / 'variables' / 'variables')!r}) reads the arrays, "
        f"to be given by their names"
    )


def _version(path: Path) -> str:
    """The version of Keras that a file says it was written by; empty if it does not."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        import h5py

        with h5py.File(path, "r") as file:
            return str(file.attrs.get("keras_version", ""))
    except Exception:
        return ""  # a damaged file, of which the reason is told


def _weights_of_keras_2(path: Path, version: str, reason: BaseException) -> Checkpoint:
    weights = load_weights_h5(path)
    text = str(reason)
    found = re.findall(r"(?:Exception encountered: )(.+)", text) or re.findall(
        r"Could not locate [^.]+", text
    )
    weights.refusal = (
        f"of {str(path)!r} there are the weights alone: Keras {version} wrote it, and Keras {keras.__version__} cannot "
        f"build the model ({found[-1] if found else reason_of(reason)}); open it with tf_keras, which is Keras 2, by "
        f"tf_keras.models.load_model, or build the model anew and give it these weights with netviz_core.copy_weights"
    )
    weights.type_name = f"weights of Keras {version}"
    return weights


def _explained(path: Path, message: str) -> str:
    """What Keras means, where it says more than that the file is damaged; empty where it does not."""
    if "safe_mode" in message or "unsafe" in message.lower():
        return (
            f"{str(path)!r} holds code, such as a Lambda layer, that would run while it is loaded; if you made the "
            "file yourself, load it with trust=True (on the command line, --trust)"
        )
    unknown = re.findall(r"(?:Could not locate \w+|Unknown [a-z ]+:?) '?([\w>.]+)'?", message)
    if unknown:
        return (
            f"{str(path)!r} needs {' and '.join(dict.fromkeys(unknown))}, which is not known here; import the module "
            f"that defines it, with keras.saving.register_keras_serializable, before loading"
        )
    return ""
