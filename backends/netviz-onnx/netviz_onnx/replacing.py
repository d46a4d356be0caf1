"""A pass in which other values stand in the place of what layers are given and return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import helper

from netviz_core.backend_api import RecorderLike, Replacement, StandIn

from .held import Held, Node
from .layers import OnnxLayer, Unit, layers
from .passes import Pass, in_order
from .running import run


class _Exchange(NamedTuple):
    """Another value for a tensor: within a unit that is given it, or behind a unit that returned it."""

    within: frozenset[int]
    name: str


def run_replaced(
    held: Held,
    inputs: Any,
    recorder: RecorderLike,
    replacement: Replacement,
    instead: Mapping[str, Sequence[StandIn]],
) -> Any:
    """See `netviz_core.backend_api.SupportsReplacement`.

    Which node reads which value is settled before anything runs: shapes are those of a pass without replacement.
    """
    known = {layer.path: layer for layer in layers(held)}
    told = [layer for layer in known.values() if layer.path in recorder.paths]
    replaced = _Replaced(Pass(held, inputs))
    for path, stand_ins in instead.items():
        for call, stand_in in zip(known[path].calls, stand_ins, strict=False):
            replaced.hand_on(call, call.returned[0], stand_in.values)
    replaced.measure(told)
    for layer, number, call, is_given in _events(told):
        names = call.given if is_given else call.returned
        for place, name in enumerate(names):
            leaf = str(place) if is_given or len(names) > 1 else ""
            shape = replaced.shape(name)
            values = replacement(layer.path, number, leaf, is_given, shape) if shape is not None else None
            if values is not None and is_given:
                replaced.give(call, name, values)
            elif values is not None:
                replaced.hand_on(call, name, values)
    return replaced.run(told, recorder)


def _events(told: Iterable[OnnxLayer]) -> list[tuple[OnnxLayer, int, Unit, bool]]:
    """The beginnings and ends of calls, in the order in which they come."""
    events = []
    for layer in told:
        for number, call in enumerate(layer.calls):
            start, depth = min((node.index for node in call.nodes), default=-1), len(layer.path)
            events.append(((start, 0, depth), (layer, number, call, True)))
            events.append(((call.end, 1, -depth), (layer, number, call, False)))
    return [event for _, event in sorted(events, key=lambda pair: pair[0])]


class _Replaced:
    """A graph in which nodes read other values than before."""

    def __init__(self, plain: Pass) -> None:
        self._pass, self._held = plain, plain.held
        self._given: dict[str, list[_Exchange]] = {}
        self._returned: dict[str, list[_Exchange]] = {}
        self._values: dict[str, Any] = dict(plain.given)
        self._measured: dict[str, np.ndarray] = {}

    def measure(self, told: Sequence[OnnxLayer]) -> None:
        """Make a plain pass where not all shapes are known without one."""
        names = {name for layer in told for call in layer.calls for name in (*call.given, *call.returned)}
        unknown = sorted(name for name in names if self._form(name) is None)
        self._measured = run(self._held, unknown, self._pass.given) if unknown else {}

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor; None for what is no array."""
        form = self._form(name)
        return None if form is None else form[0]

    def give(self, call: Unit, name: str, values: np.ndarray) -> None:
        """Let the nodes of a call read other values of a tensor."""
        self._given.setdefault(name, []).append(_Exchange(_indices(call), self._added(name, values)))

    def hand_on(self, call: Unit, name: str, values: np.ndarray) -> None:
        """Let all but the nodes of a call read other values of a tensor that it returned."""
        self._returned.setdefault(name, []).append(_Exchange(_indices(call), self._added(name, values)))

    def run(self, told: Sequence[OnnxLayer], recorder: RecorderLike) -> Any:
        """Make the pass, and tell of what layers were about to be given, and returned, before it was exchanged."""
        seen = {
            (layer.path, number): (
                {name: self._outside(name, _indices(call)) for name in call.given},
                {name: self._inside(name, _indices(call)) for name in call.returned},
            )
            for layer in told
            for number, call in enumerate(layer.calls)
        }
        outputs = {name: self._outside(name, frozenset()) for name in self._held.outputs}
        wanted = {name for pair in seen.values() for names in pair for name in names.values()}
        values = run(self._held, [*outputs.values(), *sorted(wanted)], self._values, self._places())
        numbers: dict[str, int] = {}
        for layer, call in in_order(told):
            number = numbers.get(layer.path, 0)
            numbers[layer.path] = number + 1
            given, returned = (
                {name: values[read] for name, read in names.items()} for names in seen[layer.path, number]
            )
            self._pass.tell(layer, call, returned, recorder, given)
        return self._pass.output({name: values[read] for name, read in outputs.items()})

    def _places(self) -> dict[tuple[int, str], str]:
        found = {}
        touched = self._given.keys() | self._returned.keys()
        for node in self._held.nodes:
            for name in touched & {*node.reads}:
                read = self._read(name, node)
                if read != name:
                    found[node.index, name] = read
        return found

    def _read(self, name: str, node: Node) -> str:
        """What a node reads in the place of a tensor: the innermost exchange that it stands in tells."""
        return self._outside(name, frozenset((node.index,)), is_within=True)

    def _outside(self, name: str, nodes: frozenset[int], is_within: bool = False) -> str:
        """The name of a tensor as it comes to nodes: the last that was put in its place before them."""
        behind = [e.name for e in self._returned.get(name, ()) if not nodes or not nodes <= e.within]
        around = [
            exchange
            for exchange in self._given.get(name, ())
            if nodes and (nodes <= exchange.within if is_within else nodes < exchange.within)
        ]
        if around:
            return min(around, key=lambda exchange: len(exchange.within)).name
        return behind[-1] if behind else name

    def _inside(self, name: str, nodes: frozenset[int]) -> str:
        """The name of a tensor as a unit returned it: what a unit within it put in its place."""
        within = [e.name for e in self._returned.get(name, ()) if e.within < nodes]
        return within[-1] if within else name

    def _form(self, name: str) -> tuple[tuple[int, ...], Any] | None:
        known = self._measured.get(name, self._pass.given.get(name))
        if isinstance(known, np.ndarray):
            return known.shape, known.dtype
        form = self._pass.forms.get(name)
        if form is None or form.shape is None or not form.dtype:
            return None
        return form.shape, helper.tensor_dtype_to_np_dtype(form.dtype)

    def _added(self, name: str, values: np.ndarray) -> str:
        form = self._form(name)
        new = f"netviz {len(self._values)} in place of {name}"
        self._values[new] = np.ascontiguousarray(values, form[1] if form is not None else None)
        return new


def _indices(call: Unit) -> frozenset[int]:
    return frozenset(node.index for node in call.nodes)
