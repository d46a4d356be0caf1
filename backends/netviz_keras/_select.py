"""Keras needs TensorFlow, JAX or torch; by default it takes the first even if only another is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

ENGINES = ("tensorflow", "jax", "torch")


def choose_engine() -> None:
    """Before Keras is imported, point it to an engine that is installed, if the one it would take is not.

    What the user has chosen with ``KERAS_BACKEND`` stands, installed or not.
    """
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ or _is_installed(_configured()):
        return
    if not _is_installed("keras"):
        return  # so that its import tells what is missing
    installed = [engine for engine in ENGINES if _is_installed(engine)]
    if not installed:
        raise ModuleNotFoundError(
            f"Keras needs one of {', '.join(ENGINES)}, and none of them is installed", name=ENGINES[0]
        )
    os.environ["KERAS_BACKEND"] = installed[0]


def _configured() -> str:
    """What Keras takes unless told otherwise: its own configuration file's choice."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text("utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return ENGINES[0]


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
