"""What each operator is in netviz' words: its kind, its hyperparameters and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from netviz_core.backend_api import OPERATIONS, Layout

from .held import Node, read_or_none
from .quantised import OPERATORS as QUANTISED
from .quantised import quantised
from .recurrent import recurrent
from .sources import Rule, native_rule
from .windows import convolution, pool, transposed_convolution


class Described(NamedTuple):
    """What a node is.

    Parameters
    ----------
    kind : str
    config : mapping
    rules : tuple of Rule
        Its weights.
    """

    kind: str
    config: Mapping[str, Any]
    rules: tuple[Rule, ...] = ()


def described(node: Node) -> Described:
    """What a node is in netviz' words."""
    found = read_or_none(_READERS[node.op], node) if node.op in _READERS else None
    if found is None:
        found = Described(OPERATIONS.get(word_of(node), "other"), _axis(node))
    if found.kind == "merge" and sum(map(node.held.varies, node.inputs)) < 2:
        found = found._replace(kind="other")  # with a constant nothing is brought together
    if found.rules or node.op in _RECURRENT:
        return found
    spread = filter(None, map(node.held.spread_weight, node.inputs))
    return found._replace(rules=tuple(native_rule(node.held, name) for name in dict.fromkeys(spread)))


def word_of(node: Node) -> str:
    """The word for an operation, the same in every framework; the operator's own name where there is none."""
    return _WORDS.get(node.op, node.op)


def _axis(node: Node) -> dict[str, Any]:
    axis = node.option("axis")
    return {} if axis is None else {"axis": axis}


_ROWS = Layout(("out", "in"))
_COLUMNS = Layout(("out", "in"), "i o -> o i")
_OUT = Layout(("out",))
_CHANNEL = Layout(("channel",))


def _gemm(node: Node) -> Described | None:
    if not node.holds_weight(1) or node.attributes.get("transA"):
        return None
    layout = _ROWS if node.attributes.get("transB") else _COLUMNS
    rules = [Rule("kernel", node.inputs[1], layout, factor=node.option("alpha", default=1.0))]
    if node.is_constant(2):
        rules.append(Rule("bias", node.inputs[2], _OUT, factor=node.option("beta", default=1.0)))
    elif node.input(2):
        return None
    return Described("dense", {"units": rules[0].layout.shape(node.form(1))[0]}, tuple(rules))


def _matmul(node: Node) -> Described | None:
    if not node.holds_weight(1) or len(node.form(1)) != 2:
        return Described("merge", {})
    return Described("dense", {"units": node.form(1)[1]}, (Rule("kernel", node.inputs[1], _COLUMNS),))


def _quantised(node: Node) -> Described | None:
    read = quantised(node)
    return None if read is None else Described(*read)


def _gather(node: Node) -> Described | None:
    if not node.holds_weight(0) or len(node.form(0)) != 2 or node.option("axis", default=0):
        return None
    tokens, units = node.form(0)
    rule = Rule("kernel", node.inputs[0], Layout(("token", "out")))
    return Described("embedding", {"tokens": tokens, "units": units}, (rule,))


def _norm(kind: str, names: tuple[str, ...], settings: Mapping[str, Any]) -> Callable[[Node], Described]:
    """A norm whose weights stand behind its first input, in this order; settings by name with their defaults."""

    def read(node: Node) -> Described:
        config = {ours: node.option(theirs, default=default) for ours, (theirs, default) in settings.items()}
        rules = [
            Rule(name, node.input(place), _CHANNEL)
            for place, name in enumerate(names, 1)
            if node.is_constant(place)
        ]
        return Described(kind, config, tuple(rules))

    return read


def _layer_norm(node: Node) -> Described:
    """Over all axes from the one that it names on; its weights tell how many these are."""
    kind = "rms_norm" if node.op == "RMSNormalization" else "layer_norm"
    found = _norm(kind, ("scale", "bias"), {"epsilon": ("epsilon", 1e-5)})(node)
    axis = node.option("axis", default=-1)
    if axis != -1 and node.is_constant(1):
        axis = tuple(range(-len(node.form(1)), 0))
        axis = -1 if axis == (-1,) else axis
    return found._replace(config={"axis": axis, **found.config})


def _activation(name: str, **settings: tuple[str, Any]) -> Callable[[Node], Described]:
    def read(node: Node) -> Described:
        config = {ours: node.option(theirs, default=default) for ours, (theirs, default) in settings.items()}
        return Described("activation", {"activation": name, **config})

    return read


def _softmax(node: Node) -> Described:
    default = -1 if node.held.opsets.get("", 13) >= 13 else 1
    name = "softmax" if node.op == "Softmax" else "log_softmax"
    return Described("activation", {"activation": name, "axis": node.option("axis", default=default)})


def _gelu(node: Node) -> Described:
    how = node.option("approximate", default="none")
    return Described(
        "activation", {"activation": "gelu", "approximate": how == "tanh" or node.op == "FastGelu"}
    )


def _clip(node: Node) -> Described | None:
    low, high = node.option("min", 1), node.option("max", 2)
    if low == 0 and high is None:
        return Described("activation", {"activation": "relu"})
    if low is None or high is None or np.ndim(low) or np.ndim(high):
        return None
    if (low, high) == (0, 6):
        return Described("activation", {"activation": "relu6"})
    return Described("activation", {"activation": "hard_tanh", "min_value": low, "max_value": high})


def _hard_sigmoid(node: Node) -> Described | None:
    if node.option("beta", default=0.5) != 0.5:
        return None
    return Described("activation", {"activation": "hard_sigmoid", "slope": node.option("alpha", default=0.2)})


def _prelu(node: Node) -> Described | None:
    if not node.is_constant(1):
        return None
    ones = len(node.form(1)) - 1
    layout = Layout(("channel",), f"c {' '.join('1' * ones)} -> c" if ones else "")
    if node.form(1)[1:] != (1,) * ones:
        return None
    rule = Rule("slope", node.inputs[1], layout)
    return Described("activation", {"activation": "prelu"}, (rule,))


def _threshold(node: Node) -> Described:
    least = node.option("alpha", default=1.0)
    return Described("activation", {"activation": "threshold", "threshold": least, "default_value": 0.0})


def _attention(node: Node) -> Described:
    heads = node.option("q_num_heads") or node.option("num_heads")
    return Described("attention", {} if heads is None else {"heads": heads})


def _dropout(node: Node) -> Described:
    return Described("dropout", {"rate": node.option("ratio", 1, 0.5)})


_RECURRENT = frozenset(("LSTM", "GRU", "RNN"))

_READERS: Mapping[str, Callable[[Node], Described | None]] = {
    "Conv": lambda node: Described(*convolution(node, 1, 2)),
    "ConvTranspose": lambda node: Described(*transposed_convolution(node)),
    **dict.fromkeys(QUANTISED, _quantised),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Gather": _gather,
    **{name: lambda node: Described(*recurrent(node)) for name in _RECURRENT},
    "BatchNormalization": _norm(
        "batch_norm", ("scale", "bias", "running_mean", "running_variance"), {"epsilon": ("epsilon", 1e-5)}
    ),
    "InstanceNormalization": _norm("instance_norm", ("scale", "bias"), {"epsilon": ("epsilon", 1e-5)}),
    "GroupNormalization": _norm(
        "group_norm", ("scale", "bias"), {"epsilon": ("epsilon", 1e-5), "groups": ("num_groups", 1)}
    ),
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "SimplifiedLayerNormalization": lambda node: _layer_norm(node)._replace(kind="rms_norm"),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("Gelu", "FastGelu"), _gelu),
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Mish": _activation("mish"),
    "HardSwish": _activation("hard_silu"),
    "Selu": _activation("selu"),
    "QuickGelu": _activation("quick_gelu"),
    "LeakyRelu": _activation("leaky_relu", negative_slope=("alpha", 0.01)),
    "Elu": _activation("elu", alpha=("alpha", 1.0)),
    "Celu": _activation("celu", alpha=("alpha", 1.0)),
    "Swish": _activation("silu", beta=("alpha", 1.0)),
    "HardSigmoid": _hard_sigmoid,
    "ThresholdedRelu": _threshold,
    "PRelu": _prelu,
    "Clip": _clip,
    "Dropout": _dropout,
    **dict.fromkeys(("Attention", "MultiHeadAttention", "GroupQueryAttention"), _attention),
    **{
        name: lambda node: Described(*pool(node))
        for name in ("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool")
    },
}
"""By operator."""

_WORDS: Mapping[str, str] = {
    "Add": "add",
    "Sum": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
    "Mean": "mean",
    "MatMul": "matmul",
    "Gemm": "matmul",
    "Einsum": "einsum",
    "Concat": "concatenate",
    "Where": "where",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "Not": "logical_not",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Reshape": "reshape",
    "Flatten": "flatten",
    "Transpose": "transpose",
    "Squeeze": "squeeze",
    "Unsqueeze": "expand_dims",
    "Expand": "broadcast",
    "Tile": "tile",
    "Split": "split",
    "Slice": "slice",
    "Gather": "gather",
    "GatherElements": "gather",
    "GatherND": "gather",
    "Scatter": "scatter",
    "ScatterElements": "scatter",
    "ScatterND": "scatter",
    "Pad": "pad",
    "DepthToSpace": "pixel_shuffle",
    "SpaceToDepth": "space_to_depth",
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceProd": "product",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceLogSumExp": "logsumexp",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "LpNormalization": "normalize",
    "CumSum": "cumulative_sum",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "TopK": "topk",
    "Resize": "interpolate",
    "Upsample": "interpolate",
    "GridSample": "grid_sample",
    "OneHot": "one_hot",
    "Pow": "power",
    "Sqrt": "sqrt",
    "Exp": "exp",
    "Log": "log",
    "Sin": "sin",
    "Cos": "cos",
    "Erf": "erf",
    "Abs": "abs",
    "Neg": "negative",
    "Reciprocal": "reciprocal",
    "Sign": "sign",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Clip": "clip",
    "Cast": "cast",
    "CastLike": "cast",
    "Attention": "attention",
    "DFT": "fft",
}
"""From operators to the words that all frameworks share."""

MOVES_ONLY = frozenset(("Identity", "Cast", "CastLike"))
"""Operators that hand on what they are given, as another dtype at most."""

LAYOUT = frozenset(("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast"))
"""Operators that change the form of a tensor and no number in it."""
