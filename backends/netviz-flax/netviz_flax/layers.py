"""The modules of a model as netviz' layers: where each stands, and what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flax import nnx

from netviz_core.backend_api import ShownLayer, Weight

from .config import config_of
from .kinds import kind_of
from .weights import weights_of

Keys = tuple[Any, ...]


@dataclass(frozen=True, repr=False)
class FlaxLayer(ShownLayer):
    """A `Layer` of a Flax model."""

    keys: Keys
    native: nnx.Module

    @property
    def path(self) -> str:
        return ".".join(map(str, self.keys))

    @property
    def type_name(self) -> str:
        return type(self.native).__name__

    @cached_property
    def kind(self) -> str:
        return kind_of(self.native)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.native, self.kind)

    @cached_property
    def weights(self) -> Mapping[str, Weight]:
        return weights_of(self.native, self.kind)

    @property
    def trainable(self) -> bool:
        return any(
            weight.trainable for _, module in walk(self.native) for weight in weights_of(module).values()
        )


def layers(model: nnx.Module) -> Iterator[FlaxLayer]:
    """Every module once, where it is first found, in the order in which attributes were assigned."""
    return (FlaxLayer(keys, module) for keys, module in walk(model))


def walk(part: Any, keys: Keys = (), seen: set[int] | None = None) -> Iterator[tuple[Keys, nnx.Module]]:
    """The modules in a module or in a collection of them, outermost first, with the keys that lead to each."""
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, nnx.Module):
        yield keys, part
    for key, below in parts_of(part):
        yield from walk(below, (*keys, key), seen)


def parts_of(part: Any) -> Iterator[tuple[Any, Any]]:
    """What stands in a module or in a collection, by attribute, key or position."""
    if isinstance(part, nnx.Pytree):
        yield from ((name, below) for name, below in vars(part).items() if not name.startswith("_pytree__"))
    elif isinstance(part, dict):
        yield from part.items()
    elif isinstance(part, (list, tuple)):
        yield from enumerate(part)


def at(model: nnx.Module, keys: Keys) -> Any:
    """What the keys lead to."""
    found: Any = model
    for key in keys:
        found = dict(parts_of(found))[key]
    return found
