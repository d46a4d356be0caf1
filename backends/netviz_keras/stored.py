"""Finds the variables of a model in a file of weights that the model, or one built like it, wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from keras.src.saving import saving_lib

from netviz_core.backend_api import StoredTensor, Weight

from .layers import KerasLayer, walk
from .weights import own_variables


@dataclass(frozen=True)
class LayerInFile:
    """A `Layer` of a model, with the values that a file has for it."""

    path: str
    kind: str
    type_name: str
    weights: Mapping[str, Weight]
    config: Mapping[str, Any]
    trainable: bool
    native: Any


def layers_in_file(model: Any, tensors: Mapping[str, StoredTensor]) -> list[LayerInFile] | None:
    """See `netviz_core.backend_api.SupportsWeightFiles`."""
    layers = list(walk(model))
    for names in (_names_of_keras_3(model), _names_of_keras_2(layers)):
        stored = {id(variable): tensors[name] for name, variable in names.items() if name in tensors}
        if _fit(names, tensors) and _written(layers) <= stored.keys():
            return [_in_file(layer, stored) for layer in layers]
    return None


def _fit(names: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> bool:
    """Whether a file has exactly these variables, in these shapes."""
    return names.keys() == tensors.keys() and all(
        tuple(variable.shape) == tuple(tensors[name].shape) for name, variable in names.items()
    )


def _written(layers: list[KerasLayer]) -> set[int]:
    """The variables that weights are written to, each by its id."""
    return {_variable(w) for layer in layers for w in layer.weights.values() if w.write is not None}


class _Names(saving_lib.H5IOStore):  # type: ignore[misc]
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
        if id(variable) in own
    }


def _names_of_keras_2(layers: list[KerasLayer]) -> dict[str, Any]:
    return {
        f"{layer.path}/{variable.name}": variable
        for layer in layers
        for variable in own_variables(layer.native)
    }


def _in_file(layer: KerasLayer, stored: Mapping[int, StoredTensor]) -> LayerInFile:
    weights = {
        name: weight
        if weight.write is None  # computed from several variables, so that no single one is its value
        else replace(weight, read=stored[_variable(weight)].read, write=None)
        for name, weight in layer.weights.items()
    }
    return LayerInFile(
        layer.path, layer.kind, layer.type_name, weights, layer.config, layer.trainable, layer.native
    )


def _variable(weight: Weight) -> int:
    return cast("tuple[int, str]", weight.identity)[0]
