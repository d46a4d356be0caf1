"""What the engines that Keras runs on do in their own way; `ENGINE` is the one of this process."""

from __future__ import annotations

import importlib

import keras

from .engine import Engine

KNOWN = ("tensorflow", "jax", "torch")
"""Those with a module of their own here; of any other nothing is taken for granted."""


def _of_this_process() -> Engine:
    name = keras.backend.backend()
    if name not in KNOWN:
        return Engine(name)
    engine: Engine = importlib.import_module(f".of_{name}", __name__).ENGINE
    return engine


ENGINE = _of_this_process()

__all__ = ["ENGINE", "KNOWN", "Engine"]
