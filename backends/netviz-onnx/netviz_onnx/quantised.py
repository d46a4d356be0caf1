"""Operators on integers that stand for floats: what their weights are as they take effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netviz_core.backend_api import Layout

from .held import Node
from .sources import Quantised, Rule
from .windows import Read, convolution


class _Places(NamedTuple):
    """Where an operator has its inputs; -1 for what it has not."""

    kernel: int
    scale: int
    zero: int
    input_scale: int
    bias: int = -1


_CONVOLUTIONS = {"QLinearConv": _Places(3, 4, 5, 1, 8), "ConvInteger": _Places(1, -1, 3, -1)}
_PRODUCTS = {
    "QLinearMatMul": _Places(3, 4, 5, 1),
    "MatMulInteger": _Places(1, -1, 3, -1),
    "QGemm": _Places(3, 4, 5, 1, 6),
}
OPERATORS = frozenset((*_CONVOLUTIONS, *_PRODUCTS))


def quantised(node: Node) -> Read | None:
    """Kind, config and rules for the weights of an operator on integers; None where it has no weights."""
    if node.op in _CONVOLUTIONS:
        places = _CONVOLUTIONS[node.op]
        kind, config, rules = convolution(node, places.kernel, places.bias)
        return kind, config, _effective(node, places, rules, 0)
    places = _PRODUCTS[node.op]
    if not node.is_constant(places.kernel) or len(node.form(places.kernel)) != 2:
        return None
    is_of_rows = bool(node.option("transB", default=0))
    layout = Layout(("out", "in")) if is_of_rows else Layout(("out", "in"), "i o -> o i")
    tensor = node.input(places.kernel)
    rules = (Rule("kernel", tensor, layout, factor=node.option("alpha", default=1.0)),)
    if node.is_constant(places.bias):
        rules = (*rules, Rule("bias", node.input(places.bias), Layout(("out",))))
    units = node.form(places.kernel)[not is_of_rows]
    return "dense", {"units": units}, _effective(node, places, rules, int(not is_of_rows))


def _effective(node: Node, places: _Places, rules: Iterable[Rule], axis: int) -> tuple[Rule, ...]:
    """The rules with what makes floats of the integers; a bias has the scale of what it is added to."""
    scale, zero = (node.input(place) if node.is_constant(place) else "" for place in places[1:3])
    scale = scale or _scale_behind(node)
    known = {"kernel": Quantised((scale,) if scale else (), zero, axis)}
    if node.is_constant(places.input_scale):
        known["bias"] = Quantised((node.input(places.input_scale), scale))
    return tuple(rule._replace(stored=known[rule.name]) for rule in rules if rule.name in known)


def _scale_behind(node: Node) -> str:
    """The scale of the kernel where the product of integers is made a float of by nodes behind it."""
    for op in ("Cast", "Mul"):
        readers = node.held.readers.get(node.outputs[0], [])
        if len(readers) != 1 or readers[0].op != op:
            return ""
        read, node = node.outputs[0], readers[0]
    factor = next((name for name in node.inputs if name != read), "")
    maker = node.held.maker.get(factor)
    around = maker.inputs if maker is not None and maker.op == "Mul" else (factor,)
    return next((name for name in around if name in node.held.constants), "")
