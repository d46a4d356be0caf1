"""The data flow of a model as it ran: layers, the operations between them, and what goes where."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Any

from ..models.network import Network, layer_at_fault, wrap
from ..views.base import of_source
from ..words.errors import UnsupportedError, require_known
from ..words.operations import OPERATIONS, word_for
from ..words.protocols import Layer
from ..words.supports_flow import TensorForm, TracedCall
from .parts import RANKDIRS, GraphEdge, GraphGroup, GraphNode
from .view import Graph

__all__ = ["OPERATIONS", "graph"]


def graph(model: Any, x: Any = None, *, rankdir: str = "TB") -> Graph:
    """Trace the data flow of a model: its layers, the operations between them, and what goes where.

    Parameters
    ----------
    model : native model, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The model's input, a batch. Not needed where the model comes with data of its own, or knows its
        graph without any (a functional Keras model).
    rankdir : {"TB", "LR"}
        Whether it is drawn, and written out, from top to bottom or from left to right.

    Returns
    -------
    Graph
        Its nodes are the layers without layers within, and what the model does between them. A layer with
        weights that runs several times is one node; one without is a node for each time, as an
        operation is. What only moves a tensor about, or changes nothing, is left out.

    Raises
    ------
    UnsupportedError
        If the backend does not see the data flow.
    InputError
        If an input is needed and none is given, it is not what the model takes, or `rankdir` is neither of the two.
    Exception
        Whatever the model itself raises, unchanged.

    Notes
    -----
    Costs one pass in evaluation mode; what depends on the input shows as it ran with this one. An activation
    that a layer applies itself (``Dense(8, activation="relu")``) is a node of its own, so that a
    model has the same graph however it is written.
    """
    require_known(rankdir, RANKDIRS, "rankdir")
    network = wrap(model)
    found, error = graph_as_far(network, x)
    if error is not None:
        raise error
    return of_source(network.backend, replace(found, rankdir=rankdir))


def graph_as_far(network: Network, x: Any) -> tuple[Graph, Exception | None]:
    """The graph of what ran, and what a pass raised that did not come to its end.

    Where one did not, the last node is the layer in which it failed, as far as that is known.

    Raises
    ------
    UnsupportedError
        If the backend does not see the data flow.
    InputError
        If an input is needed and none is given.
    """
    if not hasattr(network.adapter, "trace"):
        raise UnsupportedError(f"the {network.backend} backend does not see the data flow of its models")
    if x is None and hasattr(network.adapter, "example"):
        x = network.input_or_example(None)
    calls: list[TracedCall] = []
    try:
        calls.extend(network.adapter.trace(network.native, x))
    except Exception as error:
        found = graph_of((call for call in calls if call.operation != "output"), network)
        return _with_failed(found, layer_at_fault([network], error), network), error
    return graph_of(calls, network), None


def _with_failed(found: Graph, path: str, network: Network) -> Graph:
    """The same with the layer that failed, which returned nothing: a container is one node for what failed in it."""
    if not path or any(node.id == path for node in found.nodes):
        return found
    layer, group = network.layers[path], network.parents.get(path, "")
    failed = _formed(
        path, path, _layer_kind(layer), _layer_label(layer), group, (), layer.type_name, layer.config
    )
    if any(group.path == path for group in found.groups):
        failed = replace(failed, id=f"{path}/failed", group=path)
    return replace(found, nodes=(*found.nodes, failed))


def graph_of(calls: Iterable[TracedCall], network: Network) -> Graph:
    """Make a graph of what a backend traced, see `netviz_core.backend_api.SupportsGraph`."""
    builder = _Builder(network.layers, network.parents)
    for call in calls:
        builder.add(call)
    return builder.graph(network.layers[""].type_name)


class _Builder:
    """Makes nodes and edges of calls, in the order in which they come."""

    def __init__(self, layers: Mapping[str, Layer], parents: Mapping[str, str]) -> None:
        self._layers = layers
        self._parents = parents
        self._inputs: dict[str, GraphNode] = {}
        self._nodes: dict[str, GraphNode] = {}
        self._edges: dict[tuple[str, str, int], GraphEdge] = {}
        self._tensors: dict[Hashable, tuple[str, int]] = {}
        """The node that made a tensor and the tensor's number, by its identity."""
        self._numbers = count()

    def add(self, call: TracedCall) -> None:
        """Add one call: a new node, or one more call of a layer that is known."""
        if call.operation:
            self._add_operation(call)
        else:
            self._add_layer(call)

    def graph(self, name: str) -> Graph:
        nodes = (*self._inputs.values(), *self._nodes.values())
        return Graph(f"{name} · graph", nodes, tuple(self._edges.values()), tuple(self._groups(nodes)))

    def _add_operation(self, call: TracedCall) -> None:
        word = _reshape_word(call) if OPERATIONS.get(call.operation) == "reshape" else call.operation
        if not word:
            self._tensors[call.outputs[0].identity] = self._source(call.inputs[0])
            return
        kind = OPERATIONS.get(word, "other")
        if kind == "merge" and len(call.inputs) < 2:
            kind = "other"
        wanted = call.key or f"{call.path}/{word}".lstrip("/")
        id = call.key if call.key and call.key not in self._nodes else self._free_id(wanted)
        self._connect(_formed(id, call.key or call.path, kind, word, call.path, call.outputs), call)

    def _add_layer(self, call: TracedCall) -> None:
        layer = self._layers[call.path]
        id = call.path or layer.type_name
        if id in self._nodes and layer.weights:
            node = replace(self._nodes[id], calls=self._nodes[id].calls + 1)
        else:
            node = _formed(
                id if id not in self._nodes else self._free_id(id),
                call.path,
                _layer_kind(layer),
                _layer_label(layer),
                self._parents.get(call.path, ""),
                call.outputs,
                layer.type_name,
                layer.config,
            )
        self._connect(node, call)
        applied = _applied_activation(layer)
        if applied is not None:
            self._add_applied(applied, node, call)

    def _add_applied(self, word: str, after: GraphNode, call: TracedCall) -> None:
        """Let the activation that a layer applies itself be a node behind it."""
        id = f"{after.id}/{word}"
        node = _formed(id, after.path, OPERATIONS.get(word, "activation"), word, after.group, call.outputs)
        self._connect(replace(node, calls=after.calls), call._replace(inputs=call.outputs))

    def _connect(self, node: GraphNode, call: TracedCall) -> None:
        self._nodes[node.id] = node
        for form in call.inputs:
            source, number = self._source(form)
            edge = GraphEdge(source, node.id, form.shape, form.axes, number)
            self._edges.setdefault((source, node.id, number), edge)
        for form in call.outputs:
            self._tensors[form.identity] = node.id, next(self._numbers)

    def _source(self, form: TensorForm) -> tuple[str, int]:
        """The node that made a tensor, and the tensor's number; what nothing made is an input of the model."""
        if form.identity not in self._tensors:
            node = _formed(self._free_id("input"), "", "input", "input", "", (form,))
            self._inputs[node.id] = node
            self._tensors[form.identity] = node.id, next(self._numbers)
        return self._tensors[form.identity]

    def _free_id(self, wanted: str) -> str:
        candidate, number = wanted, 0
        while candidate in self._nodes or candidate in self._inputs or candidate in self._layers:
            number += 1
            candidate = f"{wanted}:{number}"
        return candidate

    def _groups(self, nodes: Iterable[GraphNode]) -> list[GraphGroup]:
        found: dict[str, GraphGroup] = {}

        def add(path: str) -> None:
            if path and path not in found:
                around = self._parents.get(path, "")
                add(around)
                found[path] = GraphGroup(path, self._layers[path].type_name, around)

        for node in nodes:
            add(node.group)
        return list(found.values())


def _formed(
    id: str,
    path: str,
    kind: str,
    label: str,
    group: str,
    outputs: Sequence[TensorForm],
    type_name: str = "",
    config: Mapping[str, Any] = MappingProxyType({}),
) -> GraphNode:
    """A node that has the form of the first tensor that it returned."""
    shape, axes = (outputs[0].shape, outputs[0].axes) if outputs else ((), ())
    return GraphNode(id, path, kind, label, group, type_name, shape, axes, config=dict(config))


def _layer_kind(layer: Layer) -> str:
    """The kind of a layer; of one that does what an operation does, the operation's."""
    return OPERATIONS.get(word_for(layer.type_name) or "", "other") if layer.kind == "other" else layer.kind


def _layer_label(layer: Layer) -> str:
    """What a layer does: its kind and the size of its kernel, or the word for it."""
    activation = layer.config.get("activation")
    if layer.kind == "activation" and isinstance(activation, str):
        return word_for(activation) or activation
    if layer.kind in _NAMED_BY_WORD:
        return word_for(layer.type_name) or layer.type_name
    kernel = layer.config.get("kernel_size")
    return f"{layer.kind} {'×'.join(map(str, kernel))}" if isinstance(kernel, tuple) else layer.kind


_NAMED_BY_WORD = frozenset({"activation", "pool", "merge", "reshape", "other", "container"})


def _applied_activation(layer: Layer) -> str | None:
    """The activation that a layer applies to what it computes, if it does."""
    activation = layer.config.get("activation")
    if not layer.kind.startswith(_APPLYING) or not isinstance(activation, str) or activation == "linear":
        return None
    return word_for(activation) or activation


_APPLYING = ("conv", "depthwise_", "separable_", "dense", "einsum_dense")


def _reshape_word(call: TracedCall) -> str:
    """The word for what a reshape does, told from shapes; the empty one if it does nothing."""
    if call.operation not in _SHAPES_ALONE or len(call.inputs) != 1 or len(call.outputs) != 1:
        return call.operation
    before, after = call.inputs[0].shape, call.outputs[0].shape
    if before == after:
        return ""
    if _joins_axes(before, after):
        return "flatten"
    return "unflatten" if _joins_axes(after, before) else "reshape"


_SHAPES_ALONE = frozenset({"reshape", "flatten", "unflatten"})


def _joins_axes(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether neighbouring axes became one, and all others stayed."""
    joined = len(before) - len(after)
    return joined > 0 and any(
        before[:place] == after[:place] and before[place + joined + 1 :] == after[place + 1 :]
        for place in range(len(after))
    )
