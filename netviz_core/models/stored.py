"""The layers of a model with the values that a file of its own weights has for them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, cast

from ..words.protocols import Layer, WeightTensor
from .checkpoint import Checkpoint, StoredTensor
from .network import Network
from .ready_layer import ReadyLayer
from .weights import Weight


def as_written(source: Network, target: Network) -> list[Layer] | None:
    """What the layers of `target` are in `source`, if that is a file which such a model wrote.

    So each tensor goes where the framework itself would load it, whatever netviz knows of its kind.

    Returns
    -------
    list of Layer, or None
        None if `source` is no checkpoint, or its names or shapes are not those of `target`.
    """
    checkpoint, names = source.native, getattr(target.adapter, "names_in_files", None)
    if names is None or not isinstance(checkpoint, Checkpoint):
        return None
    for tensors in names(target.native):
        stored = _stored(tensors, checkpoint.tensors)
        if stored is not None:
            return [_in_file(layer, stored) for layer in target.layers.values()]
    return None


def _stored(
    tensors: Mapping[str, Any], file: Mapping[str, StoredTensor]
) -> dict[Hashable, StoredTensor] | None:
    """What the file has for each tensor of a model, by its id; None if one of the two has more, or other shapes.

    All names in a file may begin with the same, and of the names of a tied tensor one is enough.
    """
    for prefix in _prefixes(tensors, file):
        named = {name: file.get(f"{prefix}{name}") for name in tensors}
        stored = {id(tensors[name]): found for name, found in named.items() if found is not None}
        known = {f"{prefix}{name}" for name in tensors}
        if file.keys() <= known and all(
            id(tensor) in stored and tuple(tensor.shape) == tuple(stored[id(tensor)].shape)
            for tensor in tensors.values()
        ):
            return cast("dict[Hashable, StoredTensor]", stored)
    return None


def _prefixes(tensors: Mapping[str, Any], file: Mapping[str, StoredTensor]) -> list[str]:
    first = next(iter(tensors), "")
    return [name.removesuffix(first) for name in file if name.endswith(first)] if first else []


def _in_file(layer: Layer, stored: Mapping[Hashable, StoredTensor]) -> ReadyLayer:
    weights = {name: _read_from(weight, stored) for name, weight in layer.weights.items()}
    kept = {name: weight for name, weight in weights.items() if weight is not None}
    return ReadyLayer(
        layer.path, layer.kind, layer.type_name, layer.native, layer.trainable, kept, layer.config
    )


def _read_from(weight: WeightTensor, stored: Mapping[Hashable, StoredTensor]) -> WeightTensor | None:
    """The weight with the value in the file; one that is computed from several stays, one that is not stored goes."""
    if not isinstance(weight, Weight) or weight.write is None:
        return weight
    identity = weight.identity
    tensor = stored.get(identity[0]) if isinstance(identity, tuple) else None
    return None if tensor is None else replace(weight, read=tensor.read, write=None)
