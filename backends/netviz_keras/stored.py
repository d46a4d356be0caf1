"""The names that a model's variables have in the files that Keras writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras.src.saving import saving_lib

from .layers import walk
from .weights import own_variables


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
