"""Sees the layers of a flat functional or sequential graph through one model with an output for each of them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

from netviz_core.backend_api import AxisBook, RecorderLike, leaves

from .axes import axes_after
from .compiled import Runner
from .engines import ENGINE
from .graph import graph_of, nodes_in_order
from .kinds import is_of_keras, keras_class
from .layers import KerasLayer
from .listening import report
from .tensors import is_tensor, nbytes


@dataclass(frozen=True)
class SubModel:
    """A model of the same layers as `graph` that returns its output and that of each of `nodes`."""

    graph: weakref.ref[Functional]
    wanted: frozenset[str]
    nodes: Sequence[tuple[str, Any]]
    runner: Runner

    def run(self, inputs: Any, recorder: RecorderLike, book: AxisBook) -> Any:
        """Make the pass, report it, and return the original model's own output."""
        graph = self.graph()
        assert graph is not None, "the model that is run holds it"
        flat = graph._standardize_inputs(inputs)
        for declared, tensor in zip(graph.inputs, flat, strict=True):
            book.note(declared, book.get(tensor))
        output, values = self.runner(flat)
        if isinstance(output, (list, tuple)) and len(output) == 1:
            output = output[0]
        names = {
            id(node): axes_after(book, node.operation, node.input_tensors, node.outputs[0])
            for node in nodes_in_order(graph)
        }
        for (path, node), value in zip(self.nodes, values, strict=True):
            report(recorder, path, [("", value, names[id(node)])])
        if "" in recorder.paths:
            parts = zip(leaves(output, is_tensor), graph.outputs, strict=True)
            report(
                recorder,
                "",
                [(leaf, tensor, axes_after(book, graph, (), symbol)) for (leaf, tensor), symbol in parts],
            )
        return output


_cache: weakref.WeakKeyDictionary[Any, SubModel] = weakref.WeakKeyDictionary()


def sub_model(
    model: Any, layers: Sequence[KerasLayer], recorder: RecorderLike, inputs: Any
) -> SubModel | None:
    """The sub-model for the layers that `recorder` wants; None where it would not be right.

    It is for flat graphs only, whose layers Keras itself calls, and engines
    whose tensors are not written to before the pass is over. What layers are given it does not tell.
    """
    graph = graph_of(model)
    if (
        graph is None
        or recorder.given is not None
        or not ENGINE.keeps_tensors
        or _calls_its_own_way(model)
        or not _is_flat(graph)
    ):
        return None
    wanted = {id(layer.native): layer.path for layer in layers if layer.path in recorder.paths}
    nodes = [
        (wanted[id(node.operation)], node) for node in nodes_in_order(graph) if id(node.operation) in wanted
    ]
    if not _has_one_output_each(nodes) or not _can_be_held_at_once(nodes, recorder, inputs):
        return None
    cached = _cache.get(model)
    if cached is None or cached.graph() is not graph or cached.wanted != recorder.paths:
        if not all(_returns_a_tensor(node) for _, node in nodes):
            return None
        outputs = [graph.output, [node.outputs[0] for _, node in nodes]]
        both = keras.Model(graph.inputs, outputs, name=model.name)
        cached = _cache[model] = SubModel(weakref.ref(graph), recorder.paths, nodes, Runner(both))
    return cached


def _is_flat(graph: Functional) -> bool:
    """Whether no layer calls others, but for the cells of recurrent ones, which cannot be seen.

    A layer that Keras does not define, and a function within a ``Lambda``, may call anything.
    """
    return all(
        is_of_keras(op)
        and not keras_class(op, ("Lambda",))
        and (keras_class(op, ("RNN",)) or not getattr(op, "_layers", ()))
        for op in graph.operations
    )


def _has_one_output_each(nodes: Sequence[tuple[str, Any]]) -> bool:
    """Whether each layer is called once; the graph does not keep the names of several outputs of a call."""
    return len({path for path, _ in nodes}) == len(nodes) and all(len(node.outputs) == 1 for _, node in nodes)


def _returns_a_tensor(node: Any) -> bool:
    """Whether a call returned a tensor by itself rather than in a structure, whose names the graph does not keep.

    A layer that says which shape it returns is taken to return a tensor; others are asked.
    """
    operation = node.operation
    says_shape = getattr(type(operation), "compute_output_shape", None) not in (
        None,
        keras.Layer.compute_output_shape,
    )
    if node.is_input or says_shape:
        return True
    returned = operation.compute_output_spec(*node.arguments.args, **node.arguments.kwargs)
    return isinstance(returned, keras.KerasTensor)


def _can_be_held_at_once(nodes: Sequence[tuple[str, Any]], recorder: RecorderLike, inputs: Any) -> bool:
    """Whether it is sure that the recorder has room for all that the sub-model will return."""
    sizes = (_expected_bytes(node.outputs[0], inputs) for _, node in nodes)
    return not any(recorder.reduces(path) for path, _ in nodes) and sum(sizes) <= recorder.room


def _calls_its_own_way(model: Any) -> bool:
    standard = (
        type(model).call in (Functional.call, keras.Sequential.call),
        type(model).__call__ is keras.Layer.__call__,
    )
    return not all(standard) or "call" in vars(model)


def _expected_bytes(symbol: Any, inputs: Any) -> float:
    """The size of what a symbolic tensor stands for; infinite if only the pass itself will tell."""
    batch = next((x.shape[0] for x in keras.tree.flatten(inputs) if is_tensor(x) and len(x.shape)), None)
    shape = (batch if symbol.shape[0] is None else symbol.shape[0], *symbol.shape[1:]) if symbol.shape else ()
    return math.inf if None in shape else nbytes(keras.KerasTensor(shape, symbol.dtype))
