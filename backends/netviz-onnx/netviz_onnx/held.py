"""What a model holds: its graph with functions resolved, and which of its tensors are constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

import numpy as np
import onnx
from onnx import (
    AttributeProto,
    ModelProto,
    NodeProto,
    TensorProto,
    defs,
    helper,
    inliner,
    numpy_helper,
    shape_inference,
)
from onnx.reference import ReferenceEvaluator

from netviz_core.backend_api import UnsupportedError

from .light import SMALL, light, size_of

T = TypeVar("T")
P = ParamSpec("P")

_LARGEST = 2**32
"""So many bytes of a constant are computed at most."""
_MOST_NODES = 10**6
"""So many nodes are made of functions at most."""
_UNLIKE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_DRAWING = frozenset(
    ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial")
)
_WITH_BODIES = frozenset(("If", "Loop", "Scan", "SequenceMap"))
_FLOATS = frozenset((TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16))


class Node:
    """One node, with what its attributes and constant inputs say."""

    def __init__(self, held: Held, proto: NodeProto, index: int) -> None:
        self.held, self.proto, self.index = held, proto, index
        self.inputs, self.outputs = tuple(proto.input), tuple(proto.output)

    @property
    def op(self) -> str:
        """The operator; of another domain than ONNX' own, which only names it, it is called alike."""
        return str(self.proto.op_type)

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes by name, texts decoded; those that are graphs left out."""
        return {
            a.name: _decoded(helper.get_attribute_value(a))
            for a in self.proto.attribute
            if a.type not in (AttributeProto.GRAPH, AttributeProto.GRAPHS)
        }

    @cached_property
    def bodies(self) -> Mapping[str, onnx.GraphProto]:
        """The graphs within, by the attribute's name."""
        return {a.name: a.g for a in self.proto.attribute if a.type == AttributeProto.GRAPH}

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """All tensors that it reads, those that the graphs within take from around them behind the others."""
        within = (name for body in self.bodies.values() for name in _free(body))
        return tuple(dict.fromkeys((*filter(None, self.inputs), *within)))

    def option(self, name: str, place: int = -1, default: Any = None) -> Any:
        """A setting that is an attribute, or, in later versions of the operator, a constant input."""
        if name in self.attributes:
            return self.attributes[name]
        given = self.constant(place) if 0 <= place < len(self.inputs) else None
        return default if given is None else given.tolist()

    def input(self, place: int) -> str:
        """The name of an input; empty where it is left out."""
        return self.inputs[place] if 0 <= place < len(self.inputs) else ""

    def is_constant(self, place: int) -> bool:
        """Whether an input is there, and the same in each pass."""
        return self.input(place) in self.held.constants

    def constant(self, place: int) -> np.ndarray | None:
        """The value of an input that is the same in each pass."""
        return self.held.value(self.input(place)) if self.is_constant(place) else None

    def form(self, place: int) -> tuple[int, ...]:
        """The shape of a constant input."""
        return self.held.constants[self.input(place)][0]

    def holds_weight(self, place: int) -> bool:
        """Whether an input is an array of floating constants, more than one number."""
        return self.held.is_weight(self.input(place))


class Held:
    """A model's graph.

    Parameters
    ----------
    model : onnx.ModelProto
        Not changed. Weights are read from it each time that they are asked for.
    """

    def __init__(self, model: ModelProto) -> None:
        self.native = model
        self.model = _without_functions(model) if len(model.functions) else model
        graph = self.model.graph
        self.opsets = {opset.domain or "": opset.version for opset in self.model.opset_import}
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = [value for value in graph.input if value.name not in self.stored]
        self.outputs = [value.name for value in graph.output]
        self.nodes = [Node(self, proto, index) for index, proto in enumerate(graph.node) if any(proto.output)]
        self.maker = {name: node for node in self.nodes for name in node.outputs if name}
        self.readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.reads:
                self.readers.setdefault(name, []).append(node)
        self.constants: dict[str, tuple[tuple[int, ...], int]] = {
            name: (tuple(tensor.dims), tensor.data_type) for name, tensor in self.stored.items()
        }
        self.of_shapes: set[str] = set()
        """Tensors that depend on the lengths of inputs alone, not on what stands in them."""
        self._values: dict[str, np.ndarray] = {}
        self._kept: dict[Hashable, Any] = {}
        for node in self.nodes:
            self._sort(node)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is made of the graph alone, made once."""
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def value(self, name: str) -> np.ndarray:
        """The value of a constant as it is now: stored, or computed from what is stored."""
        if name in self._values:
            return self._values[name]
        if name in self.stored:
            return array_of(self.stored[name])
        node = self.maker[name]
        size = 4 * math.prod(self.constants.get(name, ((), 0))[0])
        if size > _LARGEST:
            raise UnsupportedError(
                f"{name!r} is computed from constants and takes {size:,} bytes, which is not done"
            )
        values = self._evaluated(node)
        for output, value in zip(node.outputs, values, strict=False):
            if isinstance(value, np.ndarray) and value.nbytes <= SMALL:
                self._values[output] = value
        return np.asarray(values[node.outputs.index(name)])

    def computing(self) -> Iterator[Node]:
        """The nodes that compute something from what stands in the inputs, or from weights alone for all inputs."""
        for node in self.nodes:
            if not all(name in self.constants or name in self.of_shapes for name in node.outputs if name):
                yield node

    def varies(self, name: str) -> bool:
        """Whether what stands in a tensor is another one for another input."""
        return bool(name) and name not in self.constants and name not in self.of_shapes

    def is_weight(self, name: str) -> bool:
        """Whether a tensor is an array of floating constants, more than one number."""
        shape, dtype = self.constants.get(name, ((), 0))
        return dtype in _FLOATS and int(np.prod(shape)) > 1

    def spread_weight(self, name: str) -> str:
        """The weight that a tensor is, or that is repeated in it as often as the shape of an input says; else empty."""
        while name in self.of_shapes and name in self.maker and self.maker[name].op in ("Expand", "Tile"):
            name = self.maker[name].inputs[0]
        return name if self.is_weight(name) else ""

    def _sort(self, node: Node) -> None:
        """Say of what a node returns whether it is a constant, or one of the lengths of inputs."""
        if node.op == "Constant":
            self._note_constant(node)
        elif _is_lookup(node) or node.bodies or node.op in _DRAWING:
            return
        elif node.reads and all(name in self.constants for name in node.reads):
            self._note_constant(node)
        elif node.op in ("Shape", "Size") or not any(map(self.varies, node.reads)):
            self.of_shapes.update(node.outputs)

    def _note_constant(self, node: Node) -> None:
        """Small ones are computed at once; of others the form is told by the operator, where it can be."""
        try:
            forms = self._inferred(node)
            if forms and all(4 * math.prod(shape) > SMALL for shape, _ in forms.values()):
                self.constants.update(forms)
                return
            values = self._evaluated(node)
        except Exception:  # what the reference does not compute, such as another domain's operators
            return
        for name, value in zip(node.outputs, values, strict=False):
            if name and isinstance(value, np.ndarray):
                self.constants[name] = value.shape, _type_of(value)
                if value.nbytes <= SMALL:
                    self._values[name] = value

    def _inferred(self, node: Node) -> dict[str, tuple[tuple[int, ...], int]]:
        """The forms of what a node makes of constants; empty where they cannot be told without making it."""
        proto = node.proto
        if node.op == "Constant" or not defs.has(node.op, proto.domain):
            return {}
        reads = [name for name in node.inputs if name]
        small = [name for name in reads if 4 * math.prod(self.constants[name][0]) <= SMALL]
        types = {name: helper.make_tensor_type_proto(*reversed(self.constants[name])) for name in reads}
        made = shape_inference.infer_node_outputs(
            defs.get_schema(node.op, self.opsets.get(proto.domain, 1), proto.domain),
            proto,
            types,
            {name: numpy_helper.from_array(self.value(name)) for name in small},
            opset_imports=list(self.model.opset_import),
        )
        tensors = {name: made[name].tensor_type for name in node.outputs if name in made}
        dims = {name: [dim.dim_value for dim in tensor.shape.dim] for name, tensor in tensors.items()}
        if tensors.keys() != {*filter(None, node.outputs)} or not all(map(all, dims.values())):
            return {}
        return {name: (tuple(dims[name]), tensor.elem_type) for name, tensor in tensors.items()}

    def _evaluated(self, node: Node) -> list[Any]:
        if node.op == "Constant" and "value" in node.attributes:
            return [array_of(node.attributes["value"])]
        evaluator = ReferenceEvaluator(node.proto, opsets=self.opsets)
        return list(evaluator.run(None, {name: self.value(name) for name in node.inputs if name}))


def read_or_none(read: Callable[P, T], *given: P.args, **more: P.kwargs) -> T | None:
    """What is read of a node; None of one that is not as its operator has it, which running it tells."""
    try:
        return read(*given, **more)
    except _UNLIKE:
        return None


def _without_functions(model: ModelProto) -> ModelProto:
    """The graph with its functions resolved, without the values of weights.

    Raises
    ------
    UnsupportedError
        If a function calls itself, or they unfold to more than any machine holds.
    """
    bodies = {(f.domain, f.name): list(_all_nodes(f.node)) for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Iterable[NodeProto]) -> int:
        return sum(sizes.get((node.domain, node.op_type), 1) for node in nodes)

    while len(sizes) < len(bodies):
        waiting = bodies.keys() - sizes.keys()
        ready = [key for key in waiting if not waiting & {(n.domain, n.op_type) for n in bodies[key]}]
        if not ready:
            raise UnsupportedError("functions of the model call themselves, which no graph can be made of")
        sizes.update({key: size(bodies[key]) for key in ready})
    count = size(_all_nodes(model.graph.node))
    if count > _MOST_NODES:
        raise UnsupportedError(
            f"the functions of the model unfold to {count:,} nodes; {_MOST_NODES:,} are looked at"
        )
    return inliner.inline_local_functions(light(model))


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Nodes, and those in the graphs within them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from _all_nodes(attribute.g.node)


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return float(str(np.float32(value)))  # attributes are float32: 1e-5 as it was meant
    if isinstance(value, (list, tuple)) or hasattr(value, "append"):
        return [_decoded(part) for part in value]
    return value


def _free(graph: onnx.GraphProto) -> Iterator[str]:
    """The tensors that a graph within a node reads and does not have itself."""
    own = {value.name for value in (*graph.input, *graph.initializer)}
    for node in graph.node:
        bodies = (a.g for a in node.attribute if a.type == AttributeProto.GRAPH)
        for name in (*node.input, *(name for body in bodies for name in _free(body))):
            if name and name not in own:
                yield name
        own.update(node.output)


def _is_lookup(node: Node) -> bool:
    """Whether a node looks rows up in a table of weights, which is something computed even for constant places."""
    return (
        node.op == "Gather"
        and node.holds_weight(0)
        and len(node.form(0)) == 2
        and node.option("axis", default=0) == 0
    )


def _type_of(value: np.ndarray) -> int:
    try:
        return int(helper.np_dtype_to_tensor_dtype(value.dtype))
    except (KeyError, ValueError):
        return 0


def array_of(tensor: TensorProto) -> np.ndarray:
    """A stored tensor as an array.

    Raises
    ------
    UnsupportedError
        If its values lie in a file that was not read, or are others than its shape and dtype say.
    """
    if tensor.data_location == TensorProto.EXTERNAL:
        where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        raise UnsupportedError(
            f"the values of {tensor.name!r} lie in another file ({where!r}), which was not read; load the model "
            f"with onnx.load, or give the path of its file"
        )
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except _UNLIKE as error:
        raise UnsupportedError(
            f"the values of {tensor.name!r} do not fill its shape {tuple(tensor.dims)}, or are of an unknown dtype "
            f"({error}); the file is damaged: export the model again"
        ) from error


_MOST_KEPT = 8
_MOST_MODELS = 2
_known: list[tuple[int, Held]] = []


def held(model: ModelProto) -> Held:
    """What a model holds, looked at once as long as it stays what it is; of the last two models that were asked for."""
    digest = _structure(model)
    for known, found in _known:
        if found.native is model and known == digest:
            return found
    _known[:] = [(known, found) for known, found in _known if found.native is not model][1 - _MOST_MODELS :]
    _known.append((digest, Held(model)))
    return _known[-1][1]


def _structure(model: ModelProto) -> int:
    """A number that is another one for another graph, with the values of small constants, not those of weights."""
    graph = model.graph
    parts: list[Any] = [proto.SerializeToString() for proto in (*graph.node, *graph.input, *graph.output)]
    parts += [function.SerializeToString() for function in model.functions]
    parts += [opset.SerializeToString() for opset in model.opset_import]
    for tensor in graph.initializer:
        parts.append((tensor.name, tuple(tensor.dims), tensor.data_type, tensor.data_location))
        if size_of(tensor) <= SMALL:
            parts.append(tensor.SerializeToString())
    return hash(tuple(parts))
