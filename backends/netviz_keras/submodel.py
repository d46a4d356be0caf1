"""Sees the layers of a flat functional or sequential graph through one model with an output for each of them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

from netviz_core.capture import Recorder
from netviz_core.structure import leaves

from .axes import AxisBook
from .inputs import graph_of
from .kinds import keras_class
from .layers import KerasLayer
from .listening import report
from .tensors import is_tensor, nbytes


@dataclass(frozen=True)
class SubModel:
    """A model of the same layers as `graph` that returns its output and that of each of `nodes`."""

    graph: weakref.ref[Functional]
    wanted: frozenset[str]
    nodes: Sequence[tuple[str, Any]]
    model: keras.Model

    def run(self, inputs: Any, recorder: Recorder, book: AxisBook) -> Any:
        """Make the pass, report it, and return the original model's own output."""
        graph = self.graph()
        flat = graph._standardize_inputs(inputs)
        for declared, tensor in zip(graph.inputs, flat, strict=True):
            axes = book.get(tensor)
            if axes is not None:
                book.note(declared, axes)
        output, values = self.model(flat, training=False)
        if isinstance(output, (list, tuple)) and len(output) == 1:
            output = output[0]
        names = {
            id(node): book.after(node.operation, node.input_tensors, node.outputs[0])
            for node in _in_order(graph)
        }
        for (path, node), value in zip(self.nodes, values, strict=True):
            report(recorder, path, [("", value, names[id(node)])])
        if "" in recorder.paths:
            parts = zip(leaves(output, is_tensor), graph.outputs, strict=True)
            report(
                recorder,
                "",
                [(leaf, tensor, book.after(graph, (), symbol)) for (leaf, tensor), symbol in parts],
            )
        return output


_cache: weakref.WeakKeyDictionary[Any, SubModel] = weakref.WeakKeyDictionary()


def sub_model(model: Any, layers: Sequence[KerasLayer], recorder: Recorder, inputs: Any) -> SubModel | None:
    """The sub-model for the layers that `recorder` wants; None where it would not be right.

    It is not for a ``call`` of the user's own, for layers within layers, and for outputs of several
    tensors, whose names the graph does not keep. torch's tensors can be written to before the
    pass is over. What may not fit into `recorder` must not be computed all at once.
    """
    graph = graph_of(model)
    if graph is None or keras.backend.backend() == "torch" or _calls_its_own_way(model):
        return None
    wanted = {id(layer.native): layer.path for layer in layers if _is_wanted(layer, recorder)}
    nodes = [(wanted[id(node.operation)], node) for node in _in_order(graph) if id(node.operation) in wanted]
    if set(wanted.values()) != {path for path, _ in nodes} or any(
        len(node.outputs) != 1 for _, node in nodes
    ):
        return None
    sizes = [_expected_bytes(node.outputs[0], inputs) for _, node in nodes]
    if not math.isfinite(sum(sizes)) or sum(sizes) > recorder.room:
        return None
    cached = _cache.get(model)
    if cached is None or cached.graph() is not graph or cached.wanted != recorder.paths:
        outputs = [graph.output, [node.outputs[0] for _, node in nodes]]
        cached = SubModel(
            weakref.ref(graph), recorder.paths, nodes, keras.Model(graph.inputs, outputs, name=model.name)
        )
        _cache[model] = cached
    return cached


def _calls_its_own_way(model: Any) -> bool:
    standard = (
        type(model).call in (Functional.call, keras.Sequential.call),
        type(model).__call__ is keras.Layer.__call__,
    )
    return not all(standard) or "call" in vars(model)


def _is_wanted(layer: KerasLayer, recorder: Recorder) -> bool:
    """Whether a layer is to be seen; the model itself is anyway, the cells of recurrent layers cannot be."""
    asked_for = bool(layer.path) and layer.path in recorder.paths
    return asked_for and not any(keras_class(above.native, ("RNN",)) for above in layer.ancestors)


def _in_order(graph: Functional) -> Iterator[Any]:
    """The nodes of a graph in the order in which Keras runs them, its inputs first."""
    nodes = [
        node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]
    ]
    yield from sorted(nodes, key=lambda node: not node.is_input)


def _expected_bytes(symbol: Any, inputs: Any) -> float:
    """The size of what a symbolic tensor stands for; infinite if only the pass itself will tell."""
    batch = next((len(x) for x in keras.tree.flatten(inputs) if is_tensor(x)), None)
    shape = (batch if symbol.shape[0] is None else symbol.shape[0], *symbol.shape[1:]) if symbol.shape else ()
    return math.inf if None in shape else nbytes(keras.KerasTensor(shape, symbol.dtype))
