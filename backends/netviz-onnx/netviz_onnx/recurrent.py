"""Recurrent layers, gate by gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netviz_core.backend_api import Layout

from .held import Node
from .sources import Rule

_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Where the gates stand in ONNX: LSTM input, output, forget, cell; GRU update, reset, new."""

_NAMES = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "HardSigmoid": "hard_sigmoid"}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def recurrent(node: Node, number: int = 0) -> tuple[str, Mapping[str, Any], tuple[Rule, ...]]:
    """Kind, config and rules for the weights of a recurrent node, the `number`-th of a stack."""
    kind = node.op.lower()
    if not (node.is_constant(1) and node.is_constant(2)):
        return kind, {}, ()
    ways = node.form(1)[0]
    rules = [rule for way in range(ways) for rule in _rules(node, way, number)]
    return kind, _config(node, ways), tuple(rules)


def _rules(node: Node, way: int, number: int) -> list[Rule]:
    """The weights of one direction."""
    order = _ORDER[node.op]
    gates, units = len(order), node.form(2)[-1]
    suffix = (f"_l{number}" if number else "") + ("_reverse" if way else "")
    kernel = Layout(("gate", "out", "in"), "(g o) i -> g o i", {"g": gates}, order)
    bias = Layout(("gate", "out"), "(g o) -> g o", {"g": gates}, order)
    found = [
        Rule(f"input_kernel{suffix}", node.inputs[1], kernel, (way,)),
        Rule(f"recurrent_kernel{suffix}", node.inputs[2], kernel, (way,)),
    ]
    if node.is_constant(3):
        ends = gates * units
        found.append(Rule(f"bias{suffix}", node.inputs[3], bias, (way, slice(ends))))
        found.append(Rule(f"recurrent_bias{suffix}", node.inputs[3], bias, (way, slice(ends, 2 * ends))))
    return found


def _config(node: Node, ways: int) -> dict[str, Any]:
    names = node.option("activations") or _DEFAULTS[node.op] * ways
    words = [_NAMES.get(name, name) for name in names[: len(_DEFAULTS[node.op])]]
    config: dict[str, Any] = {
        "units": node.form(2)[-1],
        "activation": words[-1],
        "bidirectional": ways == 2,
        "batch_first": bool(node.option("layout", default=0)),
    }
    if node.op != "RNN":
        config["recurrent_activation"] = words[0]
    if node.op == "GRU":
        config["reset_after"] = bool(node.option("linear_before_reset", default=0))
    if node.option("direction", default="forward") == "reverse":
        config["go_backwards"] = True
    return config
