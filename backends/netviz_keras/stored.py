"""The files of weights that Keras writes, and the names that a model's variables have in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
from keras.src.saving import saving_lib

from netviz_core.backend_api import UnsupportedError

from .layers import walk
from .weights import own_variables


def save_weights(model: Any, path: Path, suffix: str) -> None:
    """Write the weights to `path`, or with the suffix ``.keras`` the whole model."""
    if not isinstance(model, keras.Model):
        raise UnsupportedError(
            f"Keras writes files of models, not of a single {type(model).__name__}; put it into a keras.Sequential"
        )
    named = path.with_name(f"{path.name}{suffix}")  # since Keras tells by the suffix what to write
    try:
        if suffix == ".keras":
            model.save(named)
        else:
            model.save_weights(named)
        named.replace(path)
    finally:
        named.unlink(missing_ok=True)


def names_in_files(model: Any) -> Iterator[dict[str, Any]]:
    """See `netviz_core.backend_api.SupportsWeightFiles`: as Keras 3 names them, and as Keras 2 did."""
    yield _names_of_keras_3(model)
    yield {
        f"{layer.path}/{variable.name}": variable
        for layer in walk(model)
        for variable in own_variables(layer.native)
    }


class _Names(saving_lib.H5IOStore):
    """What Keras would write to a file, by the names in it; nothing is written."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: Any = None) -> dict[str, Any]:
        return self.groups.setdefault(f"{path}/vars" if path else "vars", {})


def _names_of_keras_3(model: Any) -> dict[str, Any]:
    store = _Names()
    optimizer = getattr(model, "optimizer", None)
    saving_lib._save_state(model, store, None, "", {id(optimizer)})
    own = {id(variable) for layer in walk(model) for variable in own_variables(layer.native)}
    return {
        f"{group}/{number}": variable
        for group, variables in store.groups.items()
        for number, variable in variables.items()
        # With LoRA, the file has a kernel that is computed for it, and is no variable.
        if id(variable) in own or not isinstance(variable, keras.Variable)
    }
