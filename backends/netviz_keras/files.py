"""Opens saved Keras models, without running code from the file unless it is trusted."""

from __future__ import annotations

from pathlib import Path

import keras

from netviz_core.backend_api import FileFormatError


def load_model(path: Path, trust: bool = False) -> keras.Model:
    """Load a ``.keras`` or ``.h5`` file.

    Parameters
    ----------
    path : Path
    trust : bool
        Allow code in the file, such as the body of a ``Lambda`` layer, to run.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    FileFormatError
        If the file is damaged, is something else, holds code and is not trusted, or needs classes
        that are not there.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        raise FileFormatError(_explained(path, str(error))) from error


def _explained(path: Path, message: str) -> str:
    if "safe_mode" in message or "unsafe" in message.lower():
        return (
            f"{str(path)!r} holds code, such as a Lambda layer, that would run while it is loaded; if you made the "
            "file yourself, load it with trust=True (on the command line, --trust)"
        )
    if "Could not locate" in message or "Unknown layer" in message:
        return (
            f"{str(path)!r} needs a class that is not known here; import the module that defines it, with "
            f"keras.saving.register_keras_serializable, before loading: {message.splitlines()[0]}"
        )
    reason = message.splitlines()[0] if message else "no reason given"
    if reason.startswith("File not found"):  # what Keras says of a file that is no archive
        reason = "it is no archive"
    return f"{str(path)!r} is not a whole Keras model saved as {path.suffix}: {reason}"
