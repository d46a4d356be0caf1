"""The weights with which attention looks from query to key: what descends from a softmax and multiplies the values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netviz_core.backend_api import Observation, Ready, RecorderLike, widened

from .held import Held, Node
from .layers import OnnxLayer, layers
from .passes import Pass
from .running import run

_AXES = ("head", "query", "key")
_BETWEEN = frozenset("Identity Cast Dropout Where Mul Div Add Sub Max Min Clip IsNaN Tanh Sqrt".split())
"""What may stand between products of queries and keys, a softmax over them, and the product with values."""
_FAR = 8
_FUSED = frozenset(("Attention", "MultiHeadAttention", "GroupQueryAttention"))


def record_attention(held: Held, inputs: Any, recorder: RecorderLike) -> None:
    """See `netviz_core.backend_api.SupportsAttention`."""
    plain = Pass(held, inputs)
    by_node = {node.index: layer for layer in layers(held) for node in _nodes_of(layer)}
    found = [(by_node[maker.index], name) for maker, name in _attending(held) if maker.index in by_node]
    values = run(held, [*held.outputs, *(name for _, name in found)], plain.given)
    for layer, name in found:
        if layer.path not in recorder.paths:
            continue
        weights = values[name]
        if weights.ndim != 4:
            recorder.miss(
                layer.path,
                f"its weights have {weights.ndim} axes, of which it is not known which are samples and which heads",
                "unsupported",
            )
            continue
        names = plain.follower.names(name)
        first = "batch" if names is not None and names[0] == "batch" else "axis0"
        array = widened(weights)
        observed = Observation("", Ready(array), (first, *_AXES), str(weights.dtype), array.nbytes)
        recorder.add(layer.path, [observed])
    for layer in layers(held):
        if layer.path in recorder.paths and any(node.op in _FUSED for node in _nodes_of(layer)):
            recorder.miss(layer.path, "it is one operator, which does not return its weights", "unsupported")


def _nodes_of(layer: OnnxLayer) -> Iterator[Node]:
    if layer.kind != "container":
        for call in layer.calls:
            yield from call.nodes


def _attending(held: Held) -> Iterator[tuple[Node, str]]:
    """The softmaxes over products whose result multiplies something, each with the name of that factor."""
    for node in held.nodes:
        if node.op == "MatMul" and all(map(held.varies, node.inputs)):
            softmax = _before(node, node.inputs[0], "Softmax")
            if softmax is not None and _before(softmax, softmax.inputs[0], "MatMul") is not None:
                yield softmax, node.inputs[0]


def _before(node: Node, name: str, op: str) -> Node | None:
    """The nearest node of an operator from which a tensor descends, through what leaves its axes as they are."""
    held, waiting = node.held, [name]
    for _ in range(_FAR):
        makers = [held.maker[one] for one in waiting if one in held.maker and held.varies(one)]
        for maker in makers:
            if maker.op == op and (op != "MatMul" or all(map(held.varies, maker.inputs))):
                return maker
        waiting = [one for maker in makers if maker.op in _BETWEEN for one in maker.inputs]
    return None
