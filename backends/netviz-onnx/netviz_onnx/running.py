"""Runs a model, or a part of it, so that the tensors asked for come out.

What runs is never the model given: it is a copy whose outputs are these tensors, with nodes that nobody needs left
out, and weights beside it, so that it does not matter how large they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto
from onnx.reference import ReferenceEvaluator

from netviz_core.backend_api import UnsupportedError

from .held import Held, array_of
from .light import SMALL, is_apart, light, size_of

T = TypeVar("T")

_MOST_SESSIONS = 4


class Executor(Protocol):
    """Computes tensors of one graph."""

    name: str

    def run(self, names: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        """The values of tensors that the graph returns, from those of its inputs."""


def run(
    held: Held,
    names: Iterable[str],
    given: Mapping[str, Any],
    instead: Mapping[tuple[int, str], str] | None = None,
) -> dict[str, Any]:
    """The values of tensors by name, from those of the inputs.

    Parameters
    ----------
    held : Held
    names : iterable of str
        Constants and inputs are among them as they are.
    given : mapping
        The inputs, and what stands in the place of other tensors.
    instead : mapping from node and name to name, optional
        Which of the values given a node reads in the place of a tensor of the graph.
    """
    wanted = list(dict.fromkeys(names))
    found = {name: given[name] for name in wanted if name in given}
    found.update({name: held.value(name) for name in wanted if name in held.constants and name not in found})
    made = [name for name in wanted if name not in found]
    if made:
        executor, inputs = _executor(held, made, given, dict(instead or {}))
        values = _asked(executor.name, lambda: executor.run(made, {name: given[name] for name in inputs}))
        found.update(zip(made, values, strict=True))
    return found


def _executor(
    held: Held, names: Sequence[str], given: Mapping[str, Any], instead: Mapping[tuple[int, str], str]
) -> tuple[Executor, list[str]]:
    """What computes these tensors, and which of the values given it takes; kept for as long as weights stay."""
    forms = tuple(
        sorted((name, str(value.dtype)) for name, value in given.items() if hasattr(value, "dtype"))
    )
    key = (tuple(names), tuple(sorted(instead.items())), forms)
    digest = _digest(held)
    kept: dict[Any, tuple[int, tuple[Executor, list[str]]]] = held.once("executors", dict)
    if key not in kept or kept[key][0] != digest:
        while len(kept) >= _MOST_SESSIONS:
            del kept[next(iter(kept))]
        model = _part(held, names, given, instead)
        inputs = [value.name for value in model.graph.input if value.name not in held.stored]
        kept[key] = digest, (_made(held, model), inputs)
    return kept[key][1]


def _digest(held: Held) -> int:
    """Another number for other weights."""
    tensors = (tensor for tensor in held.stored.values() if size_of(tensor) > SMALL)
    return hash(tuple(hash(tensor.raw_data or tensor.SerializeToString()) for tensor in tensors))


def _part(
    held: Held, names: Sequence[str], given: Mapping[str, Any], instead: Mapping[tuple[int, str], str]
) -> ModelProto:
    """The part of a model that computes these tensors."""
    model = light(held.model)
    graph = model.graph
    needed = set(names)
    nodes: list[onnx.NodeProto] = []
    for node in reversed(held.nodes):
        if not needed & set(node.outputs) - set(given):
            continue
        read = {name: instead.get((node.index, name), name) for name in node.reads}
        nodes.append(
            _renamed(node.proto, read) if any(old != new for old, new in read.items()) else node.proto
        )
        needed.update(read.values())
    del graph.node[:]
    graph.node.extend(reversed(nodes))
    declared = {value.name: value for value in (*held.model.graph.input, *held.model.graph.output)}
    del graph.input[:], graph.output[:]
    graph.input.extend(_declared(name, value, declared) for name, value in given.items() if name in needed)
    graph.output.extend(declared.get(name, ValueInfoProto(name=name)) for name in names)
    stored = [tensor for tensor in graph.initializer if tensor.name in needed and tensor.name not in given]
    del graph.initializer[:]
    graph.initializer.extend(stored)
    return model


def _renamed(proto: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy of a node that reads tensors of other names, in the graphs within it, too."""
    copy = onnx.NodeProto()
    copy.CopyFrom(proto)
    copy.input[:] = [names.get(name, name) for name in proto.input]
    for attribute in copy.attribute:
        inner = [_renamed(node, names) for node in attribute.g.node]
        if inner:
            del attribute.g.node[:]
            attribute.g.node.extend(inner)
    return copy


def _declared(name: str, value: Any, declared: Mapping[str, ValueInfoProto]) -> ValueInfoProto:
    if name in declared:
        return declared[name]
    dtype = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, dtype, [None] * value.ndim)


def _made(held: Held, model: ModelProto) -> Executor:
    names = [tensor.name for tensor in model.graph.initializer if is_apart(held.stored[tensor.name])]
    arrays = {name: array_of(held.stored[name]) for name in names}
    make: type[_Session | _Reference] = _Session if find_spec("onnxruntime") is not None else _Reference
    return _asked(make.name, lambda: make(model, arrays))


_MOST_TOLD = 400
_SOURCE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+:\d+ .*?\)(?: const)?(?: \[with .*?\])?(?=\s)"
)
"""What stands before a message: a number, and where in the source of ONNX Runtime it was written."""


def _asked(name: str, ask: Callable[[], T]) -> T:
    """What an executor answers; of what it refuses its own words in a sentence."""
    try:
        return ask()
    except Exception as error:  # of classes that the executors do not share
        told = _SOURCE.sub("", " ".join(str(error).split())).strip(" .")
        raise UnsupportedError(
            f"{name} cannot run this model: {told[:_MOST_TOLD]}; what it holds can be looked at without running it"
        ) from error


class _Session:
    """One session of ONNX Runtime, with the optimisations off that would merge what is asked for away."""

    name = "ONNX Runtime"

    def __init__(self, model: ModelProto, arrays: Mapping[str, np.ndarray]) -> None:
        import onnxruntime  # here, as another executor does where it is not installed

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(a)) for a in arrays.values()]
        options.add_external_initializers(list(arrays), values)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, names: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        """See `Executor`."""
        return list(self._session.run(list(names), dict(given)))


class _Reference:
    """The reference that ONNX itself ships: slow, and everywhere."""

    name = "ONNX' reference evaluator"

    def __init__(self, model: ModelProto, arrays: Mapping[str, np.ndarray]) -> None:
        for tensor in model.graph.initializer:
            if tensor.name in arrays:
                tensor.CopyFrom(onnx.numpy_helper.from_array(arrays[tensor.name], tensor.name))
        self._evaluator = ReferenceEvaluator(model)

    def run(self, names: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        """See `Executor`."""
        return list(self._evaluator.run(list(names), dict(given)))
