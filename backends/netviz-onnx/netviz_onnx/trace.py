"""Tells the data flow between layers, which an ONNX graph holds without being run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from netviz_core.backend_api import OUTPUT, TensorForm, TracedCall

from .examples import example_of
from .held import Held
from .kinds import MOVES_ONLY, word_of
from .layers import layers
from .passes import Pass, in_order
from .running import run


def trace(held: Held, inputs: Any) -> list[TracedCall]:
    """See `netviz_core.backend_api.SupportsGraph`."""
    return list(_Tracer(held, Pass(held, example_of(held, None) if inputs is None else inputs)).calls())


class _Tracer:
    def __init__(self, held: Held, plain: Pass) -> None:
        self._held, self._pass = held, plain
        self._told = [layer for layer in layers(held) if layer.kind != "container" and layer.calls]
        self._passed_on: dict[str, str] = {}
        names = {n for layer in self._told for call in layer.calls for n in (*call.given, *call.returned)}
        unknown = sorted(name for name in names if name not in plain.forms or plain.forms[name].shape is None)
        made = run(held, [*unknown, *held.outputs], plain.given)
        self._shapes = {name: value.shape for name, value in made.items() if isinstance(value, np.ndarray)}

    def calls(self) -> Iterable[TracedCall]:
        """What ran, in order."""
        containers = {layer.path for layer in layers(self._held) if layer.kind == "container"}
        for layer, call in in_order(self._told):
            if layer.operation in MOVES_ONLY:
                self._passed_on[call.returned[0]] = self._name(call.given[0])
                continue
            forms = self._forms(call.given), self._forms(call.returned)
            if not layer.operation:
                yield TracedCall(layer.path, "", *forms)
            else:
                yield TracedCall(_around(layer.path, containers), word_of(call.nodes[-1]), *forms, layer.path)
        yield TracedCall("", OUTPUT, self._forms(self._held.outputs), ())

    def _name(self, name: str) -> str:
        return self._passed_on.get(name, name)

    def _forms(self, names: Iterable[str]) -> tuple[TensorForm, ...]:
        return tuple(self._form(name) for name in dict.fromkeys(names))

    def _form(self, name: str) -> TensorForm:
        form = self._pass.forms.get(name)
        shape = form.shape if form is not None and form.shape is not None else self._shapes.get(name, ())
        return TensorForm(self._name(name), self._pass.follower.axes(name, len(shape)), shape)


def _around(path: str, containers: set[str]) -> str:
    """The innermost scope in which a layer stands."""
    ends = (end for end in range(len(path) - 1, 0, -1) if path[end] in "./")
    return next((path[:end] for end in ends if path[:end] in containers), "")
