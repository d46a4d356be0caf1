"""The layers of a model: its nodes, grouped by the scopes that exporters leave in names and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netviz_core.backend_api import ShownLayer, Weight

from .held import Held, Node, read_or_none
from .kinds import LAYOUT, MOVES_ONLY
from .regions import Region, is_read_by, regions
from .scopes import Place, places
from .sources import Rule, weights
from .stacks import joined

_WITHOUT_WEIGHTS = frozenset(("activation", "pool", "dropout"))
"""Kinds of layers that may be called in several places though they have no weights."""


@dataclass(frozen=True)
class Unit:
    """One call of a layer, or a scope that was passed through: what it is given and what it returns, by names."""

    nodes: tuple[Node, ...]
    given: tuple[str, ...]
    returned: tuple[str, ...]

    @property
    def end(self) -> int:
        """The place of its last node; before all others where there is none."""
        return self.nodes[-1].index if self.nodes else -1


@dataclass(frozen=True, repr=False)
class OnnxLayer(ShownLayer):
    """A `Layer` of an ONNX model: nodes that compute one thing, or a scope in which others stand."""

    path: str
    kind: str
    type_name: str
    held: Held = field(repr=False, compare=False)
    calls: tuple[Unit, ...] = field(default=(), repr=False, compare=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rules: tuple[Rule, ...] = field(default=(), repr=False)
    reason: str = ""
    """Why it is not seen into."""
    operation: str = ""
    """The operator, where it is one that stands between layers elsewhere."""

    @property
    def weights(self) -> Mapping[str, Weight]:
        return weights(self.held, self.rules)

    @property
    def trainable(self) -> bool:
        return False  # there is nothing in ONNX that would train it

    @property
    def native(self) -> Any:
        protos = [node.proto for call in self.calls for node in call.nodes]
        return self.held.native if not self.path else protos[0] if len(protos) == 1 else protos


def layers(held: Held) -> list[OnnxLayer]:
    """Every layer once, the model first, each before what stands in it."""
    return held.once("layers", lambda: list(_Tree(held).layers()))


@dataclass(frozen=True)
class _Part:
    """A region and where it stands."""

    region: Region
    place: Place

    @property
    def end(self) -> int:
        return self.region.nodes[-1].index

    @property
    def signature(self) -> Any:
        """Equal for two calls of one layer."""
        read = self.region.described
        tensors = tuple((rule.name, rule.tensor, str(rule.part)) for rule in read.rules)
        return read.kind, self.region.type_name, tensors, str(read.config)


class _Tree:
    """Finds which scopes are layers, and what the others hold."""

    def __init__(self, held: Held) -> None:
        self._held = held
        where = places(held.nodes)
        found = regions(held)
        self._parts = [_Part(found[end], _common(found[end].nodes, where)) for end in sorted(found)]
        self._within: dict[str, list[_Part]] = {}
        for part in self._parts:
            for scope in part.place.scopes:
                self._within.setdefault(scope, []).append(part)
        self._classes = {
            scope: name
            for part in self._parts
            for scope, name in zip(part.place.scopes, part.place.classes, strict=False)
        }
        self._used: set[str] = {""}
        self._told: set[int] = set()

    def layers(self) -> Iterator[OnnxLayer]:
        given = tuple(value.name for value in self._held.inputs)
        whole = Unit(tuple(self._held.computing()), given, tuple(self._held.outputs))
        yield OnnxLayer("", "container", "ModelProto", self._held, (whole,))
        opened: set[str] = set()
        for part in self._parts:
            if part.end in self._told:
                continue
            for scope in part.place.scopes:
                if scope in opened:
                    continue
                opened.add(scope)
                one = self._as_one(scope)
                if one is not None:
                    yield one
                    yield from self._bodies(one)
                    break
                yield self._container(scope)
            if part.end not in self._told:
                alone = self._alone(part)
                yield alone
                yield from self._bodies(alone)

    def _as_one(self, scope: str) -> OnnxLayer | None:
        """A scope that is one layer: of one region, of several calls of one, or of one with what lays out for it."""
        parts = self._within[scope]
        innermost = all(part.place.scopes[-1] == scope for part in parts)
        first = parts[0].region.described
        is_called_again = len({part.signature for part in parts}) == 1 and (
            first.rules or first.kind in _WITHOUT_WEIGHTS
        )
        if len(parts) == 1 or (innermost and is_called_again):
            if not innermost:
                return None
            return self._layer(scope, parts, [part.region.nodes for part in parts])
        main = [part for part in parts if not {node.op for node in part.region.nodes} <= LAYOUT]
        nodes = sorted((n for part in parts for n in part.region.nodes), key=lambda node: node.index)
        stack = read_or_none(joined, [part.region for part in main], nodes)
        if stack is None:
            return None
        self._told.update(part.end for part in parts)
        described = stack.described
        unit = _unit(nodes, self._held)
        return OnnxLayer(
            self._free(scope),
            described.kind,
            stack.type_name,
            self._held,
            (unit,),
            described.config,
            described.rules,
        )

    def _alone(self, part: _Part) -> OnnxLayer:
        scope = part.place.scopes[-1] if part.place.scopes else ""
        path = self._free(_below(scope, part.place.name or part.region.type_name), is_scope=False)
        return self._layer(path, [part], [part.region.nodes], is_free=True)

    def _bodies(self, layer: OnnxLayer) -> Iterator[OnnxLayer]:
        """The graphs within a layer's nodes, with the reason for which they are not seen into."""
        for node in (node for call in layer.calls for node in call.nodes):
            for name, body in node.bodies.items():
                path = self._free(_below(layer.path, name), is_scope=False)
                reason = (
                    f"it stands within the {node.op} {layer.path!r}, which runs it as often as it decides"
                )
                yield OnnxLayer(path, "other", f"{len(body.node)} nodes", self._held, reason=reason)

    def _layer(
        self, path: str, parts: Sequence[_Part], calls: Iterable[Sequence[Node]], is_free: bool = False
    ) -> OnnxLayer:
        region = parts[0].region
        self._told.update(part.end for part in parts)
        read = region.described
        op = region.nodes[-1].op if len(region.nodes) == 1 and not read.rules else ""
        return OnnxLayer(
            path if is_free else self._free(path),
            read.kind,
            region.type_name,
            self._held,
            tuple(_unit(nodes, self._held) for nodes in calls),
            read.config,
            read.rules,
            operation=op if read.kind in ("merge", "reshape", "other") or op in MOVES_ONLY else "",
        )

    def _container(self, scope: str) -> OnnxLayer:
        nodes = [node for part in self._within[scope] for node in part.region.nodes]
        nodes.sort(key=lambda node: node.index)
        name = self._classes.get(scope, "").rpartition(".")[2] or "scope"
        return OnnxLayer(self._free(scope), "container", name, self._held, (_unit(nodes, self._held),))

    def _free(self, wanted: str, is_scope: bool = True) -> str:
        """A path that no other layer has; nodes leave those of scopes to them."""
        path, number = wanted, 0
        while path in self._used or (not is_scope and path in self._within):
            number += 1
            path = f"{wanted}_{number}"
        self._used.add(path)
        return path


def _below(scope: str, name: str) -> str:
    return f"{scope}{'/' if '/' in scope else '.'}{name}" if scope else name


def _common(nodes: Sequence[Node], where: Mapping[int, Place]) -> Place:
    """Where a region stands: in the scopes that all its nodes share, those aside that stand in none."""
    last = where[nodes[-1].index]
    scoped = [where[node.index] for node in nodes if where[node.index].scopes]
    if not scoped:
        return last
    shared = [
        scopes[0]
        for scopes in zip(*(place.scopes for place in scoped), strict=False)
        if len(set(scopes)) == 1
    ]
    return Place(tuple(shared), last.name, scoped[-1].classes[: len(shared)])


def _unit(nodes: Sequence[Node], held: Held) -> Unit:
    """What nodes are given from outside, and what others read of what they return."""
    own = {node.index for node in nodes}
    made = {name for node in nodes for name in node.outputs if name}
    reads = dict.fromkeys(name for node in nodes for name in node.reads if name not in made)
    given = tuple(name for name in reads if held.varies(name)) or tuple(
        name for name in reads if name in held.of_shapes and any(n.op == "Gather" for n in nodes)
    )
    outside = [
        name
        for node in nodes
        for name in node.outputs
        if name and not is_read_by(name, own, held) and name not in held.constants
    ]
    returned = [name for name in outside if held.varies(name)]
    if not returned:
        returned = [name for name in nodes[-1].outputs if name][:1]  # which nobody reads
    return Unit(tuple(nodes), given, tuple(dict.fromkeys(returned)))
