"""One pass through a model, and telling of what its layers were given and returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from netviz_core.backend_api import Observation, Ready, RecorderLike, blank, leaves, others, widened

from .axes import Follower
from .forms import Form, Shape, forms
from .held import Held
from .inputs import feeds, input_names
from .layers import OnnxLayer, Unit, layers
from .running import run


class Pass:
    """One pass with given inputs.

    Parameters
    ----------
    held : Held
    inputs
        As for `Backend.run`.
    """

    def __init__(self, held: Held, inputs: Any) -> None:
        self.held = held
        self.given = feeds(held, inputs)
        shapes = {name: value.shape for name, value in self.given.items() if isinstance(value, np.ndarray)}
        names = {value.name: input_names(held, value) for value in held.inputs if value.name in shapes}
        self.forms = held.once(("forms", tuple(sorted(shapes.items()))), lambda: self._inferred(shapes))
        self.follower = Follower(held, self.forms, names)

    def _inferred(self, shapes: Mapping[str, Shape]) -> Mapping[str, Form]:
        """The forms of all tensors; where the model computes lengths on the way, with those of one pass."""
        found = forms(self.held, shapes, {})
        computed = [n for node in self.held.computing() for n in node.reads if n in self.held.of_shapes]
        if not computed or all(form.shape is not None for form in found.values()):
            return found
        values = run(self.held, computed, self.given)
        return forms(self.held, shapes, {name: np.asarray(value) for name, value in values.items()})

    def run(self, recorders: Sequence[RecorderLike]) -> Any:
        """Make the pass, tell recorders of what the layers that they want did, and return what the model returns."""
        told = [layer for layer in layers(self.held) if any(layer.path in r.paths for r in recorders)]
        for recorder in recorders:
            self.require_room(told, recorder)
        wanted = {name for layer in told for call in layer.calls for name in call.returned}
        if any(recorder.given is not None for recorder in recorders):
            wanted |= {name for layer in told for call in layer.calls for name in call.given}
        values = run(self.held, (*self.held.outputs, *sorted(wanted)), self.given)
        for layer, call in in_order(told):
            for recorder in recorders:
                self.tell(layer, call, values, recorder)
        for recorder in recorders:
            miss_bodies(told, recorder)
        return self.output(values)

    def output(self, values: Mapping[str, Any]) -> Any:
        """What the model returns: one value, or a tuple of several."""
        found = tuple(values[name] for name in self.held.outputs)
        return found[0] if len(found) == 1 else found

    def require_room(self, told: Sequence[OnnxLayer], recorder: RecorderLike) -> None:
        """Refuse what would not fit before anything is made, as far as sizes are known by then."""
        for layer in told:
            if layer.path in recorder.paths and not recorder.reduces(layer.path):
                names = [name for call in layer.calls for name in call.returned]
                shapes = [self.forms[name].shape for name in names if name in self.forms]
                recorder.require_room(layer.path, sum(4 * int(np.prod(shape)) for shape in shapes if shape))

    def tell(
        self,
        layer: OnnxLayer,
        call: Unit,
        values: Mapping[str, Any],
        recorder: RecorderLike,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell a recorder of one call of a layer, if it wants to know: of what it was given, and returned."""
        if layer.path not in recorder.paths:
            return
        if recorder.given is not None:
            taken = {str(place): (given or values)[name] for place, name in enumerate(call.given)}
            names = dict(zip(taken, call.given, strict=True))
            recorder.given.add(layer.path, list(self._observations(taken, names, recorder.given)))
        parts = [values[name] for name in call.returned]
        output = parts[0] if len(parts) == 1 else tuple(parts)
        labels = [""] if len(parts) == 1 else list(map(str, range(len(parts))))
        names = dict(zip(labels, call.returned, strict=True))
        recorder.add(layer.path, list(self._observations(output, names, recorder)))
        if not isinstance(output, np.ndarray):
            recorder.add_others(layer.path, others(output, _is_numbers))

    def _observations(
        self, structure: Any, names: Mapping[str, str], recorder: RecorderLike
    ) -> Iterator[Observation]:
        for leaf, value in leaves(structure, _is_numbers):
            array = widened(value)
            shown = Ready(array) if recorder.keeps_values else blank(array.shape)
            axes = self.follower.axes(names.get(leaf, ""), array.ndim)
            yield Observation(leaf, shown, axes, str(value.dtype), array.nbytes)


def _is_numbers(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind not in "OSU"


def in_order(told: Sequence[OnnxLayer]) -> list[tuple[OnnxLayer, Unit]]:
    """All calls of layers, in the order in which they end; those of what stands within others first."""
    calls = [(layer, call) for layer in told for call in layer.calls]
    return sorted(calls, key=lambda pair: (pair[1].end, -len(pair[0].path)))


def miss_bodies(told: Sequence[OnnxLayer], recorder: RecorderLike) -> None:
    """Say why graphs within nodes are not seen into."""
    for layer in told:
        if layer.reason and layer.path in recorder.paths:
            recorder.miss(layer.path, layer.reason, "unsupported")
