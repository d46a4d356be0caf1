"""The layers of a Keras model under unique paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
from keras.src.models.functional import Functional

from netviz_core.backend_api import ShownLayer, Weight

from .config import config_of
from .flattening import orders
from .kinds import kind_of
from .weights import own_variables, weights_of


@dataclass(frozen=True, repr=False)
class KerasLayer(ShownLayer):
    """A `Layer` of a Keras model: a Keras layer, or an operation of its functional graph."""

    path: str
    native: Any
    parent: KerasLayer | None = None

    @cached_property
    def kind(self) -> str:
        return kind_of(self.native)

    @property
    def type_name(self) -> str:
        return type(self.native).__name__

    @property
    def weights(self) -> Mapping[str, Weight]:
        return weights_of(self.native)

    @property
    def config(self) -> Mapping[str, Any]:
        holders = [holder.native for holder in self.ancestors]
        return {**config_of(self.native, self.kind), **orders(self.native, self.kind, holders)}

    @property
    def trainable(self) -> bool:
        if self.kind == "container":
            return bool(self.native.trainable_weights)
        return any(variable.trainable for variable in own_variables(self.native))

    @property
    def ancestors(self) -> Iterator[KerasLayer]:
        """What it stands in, the nearest first."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent


def walk(model: Any) -> Iterator[KerasLayer]:
    """Yield every layer once, the model first, each before what stands in it."""
    seen: set[int] = set()
    waiting = [KerasLayer("", model)]
    while waiting:
        layer = waiting.pop()
        if id(layer.native) in seen:
            continue
        seen.add(id(layer.native))
        yield layer
        prefix = f"{layer.path}/" if layer.path else ""
        children = [
            KerasLayer(prefix + name, child, layer) for name, child in _named(_children(layer.native))
        ]
        waiting.extend(reversed(children))


def _children(layer: Any) -> Iterable[Any]:
    if isinstance(layer, keras.Sequential):
        return list(layer.layers)
    # A functional graph also holds operations that are no layers; a layer may be attached outside of the graph.
    operations = layer.operations if isinstance(layer, Functional) else ()
    return {id(child): child for child in (*operations, *getattr(layer, "_layers", ()))}.values()


def _named(children: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Pair children with their names, made unique by a number behind those that come again."""
    children = list(children)
    taken = {child.name for child in children}
    used: set[str] = set()
    counts: dict[str, int] = {}
    for child in children:
        name = child.name
        while name in used:
            counts[child.name] = counts.get(child.name, 0) + 1
            numbered = f"{child.name}_{counts[child.name]}"
            name = name if numbered in taken else numbered
        used.add(name)
        yield name, child
