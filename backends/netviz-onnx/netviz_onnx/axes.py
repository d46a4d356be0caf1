"""Names for the axes of tensors, followed from operator to operator.

A name is known from the operator that makes the axis (a convolution, a product with a kernel) or reads it, and is
carried through operators whose effect on axes is known. Elsewhere it is forgotten rather than guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netviz_core.backend_api import SPATIAL_AXES, Names, reshaped

from .forms import Form, Shape
from .held import Held, Node, read_or_none


class Follower:
    """Knows the names of the axes of the tensors of one pass."""

    def __init__(self, held: Held, known: Mapping[str, Form], inputs: Mapping[str, Names]) -> None:
        self._held, self._forms = held, known
        self._names: dict[str, Names] = dict(inputs)
        for node in held.nodes:
            self._follow(node)

    def axes(self, name: str, rank: int) -> tuple[str, ...]:
        """A name for each axis of a tensor: its own, or one that says its position."""
        names = self._names.get(name)
        if names is None or len(names) != rank:
            names = assumed(rank)
        return tuple(axis or f"axis{place}" for place, axis in enumerate(names))

    def names(self, name: str) -> Names | None:
        """What is known of a tensor's axes."""
        return self._names.get(name)

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor, if it is known before it is made."""
        if name in self._held.constants:
            return self._held.constants[name][0]
        return self._forms[name].shape if name in self._forms else None

    def _follow(self, node: Node) -> None:
        rule = _RULES.get(node.op)
        if rule is None or node.outputs[0] in self._held.constants:
            return
        names = read_or_none(rule, self, node)
        for output in node.outputs[: len(node.outputs) if node.op == "Split" else 1]:
            shape = self.shape(output)
            fits = names is not None and (shape is None or len(shape) == len(names))
            if output and fits and names is not None:
                self._names[output] = _distinct(names)
        if node.op in ("LSTM", "GRU", "RNN"):
            for output in node.outputs[1:]:
                self._names[output] = (None, "batch", "channel")

    def first(self, node: Node) -> Names | None:
        """The names of a node's first input; those that are assumed of what has none."""
        return self.known(node.inputs[0]) if node.inputs else None

    def known(self, name: str) -> Names | None:
        """The names of a tensor, or those that are assumed of it where its rank is known."""
        shape = self.shape(name)
        return self._names.get(name) or (assumed(len(shape)) if shape is not None else None)


def assumed(rank: int) -> Names:
    """The names of axes of which nothing is known: samples come first."""
    return ("batch",) + (None,) * (rank - 1) if rank else ()


def _distinct(names: Names) -> Names:
    return tuple(None if name and names.count(name) > 1 else name for name in names)


Rule = Callable[[Follower, Node], Names | None]


def _window(follower: Follower, node: Node) -> Names | None:
    weights = node.form(1) if node.is_constant(1) else follower.shape(node.input(1))
    rank = len(weights) if weights else 0
    return ("batch", "channel", *SPATIAL_AXES[5 - rank :]) if 3 <= rank <= 5 else None


def _pool(follower: Follower, node: Node) -> Names | None:
    names = follower.first(node)
    if names is None or not 3 <= len(names) <= 5:
        return names
    own = ("batch", "channel", *SPATIAL_AXES[5 - len(names) :])
    return own if None in names else names


def _same(follower: Follower, node: Node) -> Names | None:
    return follower.first(node)


def _together(follower: Follower, node: Node) -> Names | None:
    """Elementwise: what operands of the result's rank know of their axes, and none knows otherwise."""
    agreed: Names | None = None
    ranks = {len(names) for name in node.inputs if (names := follower.known(name)) is not None}
    for name in node.inputs:
        names = follower.names(name)
        if names is None or len(names) < max(ranks):
            continue
        if agreed is None:
            agreed = names
        else:
            both = zip(agreed, names, strict=True)
            agreed = tuple(a or b if None in (a, b) or a == b else None for a, b in both)
    return agreed


def _product(follower: Follower, node: Node) -> Names | None:
    names = follower.first(node)
    if names is None:
        return None
    if node.is_constant(1) and len(node.form(1)) == 2:
        return (*(None if name == "channel" else name for name in names[:-1]), "channel")
    other = follower.known(node.input(1))
    if other is None or len(other) != len(names):
        return None
    return (*names[:-1], other[-1])


def _gemm(follower: Follower, node: Node) -> Names | None:
    names = follower.first(node)
    return (names[0] if names else "batch", "channel")


def _transpose(follower: Follower, node: Node) -> Names | None:
    names = follower.first(node)
    if names is None:
        return None
    order = node.option("perm") or list(reversed(range(len(names))))
    return tuple(names[place] for place in order)


def _reshape(follower: Follower, node: Node) -> Names | None:
    before, names = follower.shape(node.inputs[0]), follower.first(node)
    after = follower.shape(node.outputs[0])
    if before is None or names is None or after is None or not before:
        return None
    return reshaped(before, names, after)


def _flatten(follower: Follower, node: Node) -> Names | None:
    names = follower.first(node)
    if names is None:
        return None
    axis = node.option("axis", default=1) % max(len(names), 1)
    if axis == 1 and names[0] == "batch" and None not in names:
        return ("batch", "channel")
    return (names[0] if axis == 1 else None, None)


def _squeeze(follower: Follower, node: Node) -> Names | None:
    names, axes = follower.first(node), node.option("axes", 1)
    if names is None or axes is None:
        return None
    gone = {axis % len(names) for axis in axes}
    return tuple(name for place, name in enumerate(names) if place not in gone)


def _unsqueeze(follower: Follower, node: Node) -> Names | None:
    names, axes = follower.first(node), node.option("axes", 1)
    if names is None or axes is None:
        return None
    rank = len(names) + len(axes)
    added, rest = {axis % rank for axis in axes}, iter(names)
    return tuple(None if place in added else next(rest) for place in range(rank))


def _reduction(follower: Follower, node: Node) -> Names | None:
    names = follower.first(node)
    if names is None:
        return None
    if node.option("keepdims", default=1):
        return names
    axes = node.option("axes", 1) if node.op.startswith("Reduce") else [node.option("axis", default=0)]
    if axes is None:
        return None
    gone = {axis % len(names) for axis in axes}
    return tuple(name for place, name in enumerate(names) if place not in gone)


def _gather(follower: Follower, node: Node) -> Names | None:
    table, places = follower.known(node.inputs[0]), follower.known(node.inputs[1])
    if node.is_constant(0):
        table = (None, "channel") if len(node.form(0)) == 2 else (None,) * len(node.form(0))
    if node.is_constant(1):
        places = (None,) * len(node.form(1))
    if table is None or places is None or not table:
        return None
    axis = node.option("axis", default=0) % len(table)
    if node.is_constant(0) and places[1:2] == (None,) and places[0] == "batch" and len(places) == 2:
        places = ("batch", "time")
    return (*table[:axis], *places, *table[axis + 1 :])


def _recurrent(follower: Follower, node: Node) -> Names | None:
    return ("batch", "time", None, "channel") if node.option("layout") else ("time", None, "batch", "channel")


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "ConvInteger"), _window),
    "QLinearConv": lambda follower, node: (
        ("batch", "channel", *SPATIAL_AXES[5 - len(node.form(3)) :]) if node.is_constant(3) else None
    ),
    **dict.fromkeys(
        ("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"), _pool
    ),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(
        """
        Identity Cast CastLike Relu Sigmoid Tanh Softplus Softsign Mish HardSwish Selu LeakyRelu Elu Celu Swish
        HardSigmoid ThresholdedRelu PRelu Clip Gelu FastGelu QuickGelu Softmax LogSoftmax Dropout Erf Erfc Exp Log
        Sqrt Neg Abs Reciprocal Floor Ceil Round Sign Sin Cos Not BatchNormalization InstanceNormalization
        LayerNormalization GroupNormalization RMSNormalization SimplifiedLayerNormalization LpNormalization LRN
        Resize Upsample Pad Slice QuantizeLinear DequantizeLinear Concat Split CumSum DepthToSpace
        """.split(),
        _same,
    ),
    **dict.fromkeys(
        """
        Add Sub Mul Div Pow Min Max Mean Sum Where And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual Expand
        """.split(),
        _together,
    ),
    "MatMul": _product,
    "Gemm": _gemm,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    **dict.fromkeys(
        "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2 ArgMax ArgMin".split(), _reduction
    ),
    "Gather": _gather,
}
"""By operator."""


def read_as(held: Held, name: str, rank: int) -> Names:
    """The names that the axes of an input have for the first operator that has names for them.

    It is looked for through operators that change no axis, and transpositions.
    """
    order, seen = list(range(rank)), name
    for _ in range(_FAR):
        readers = held.readers.get(seen, ())
        for reader in readers:
            names = _as_read(reader, seen, rank)
            if names is not None:
                found: list[str | None] = [None] * rank
                for place, axis in zip(order, names, strict=True):
                    found[place] = axis
                return tuple(found)
        onward = [node for node in readers if node.op in _PASSING and node.inputs[0] == seen]
        if not onward:
            break
        if onward[0].op == "Transpose":
            perm = onward[0].option("perm") or list(reversed(range(rank)))
            order = [order[place] for place in perm]
        seen = onward[0].outputs[0]
    return assumed(rank)


_FAR = 12
_PASSING = frozenset(
    "Identity Cast Transpose Add Sub Mul Div Pad Clip QuantizeLinear DequantizeLinear Relu Slice Resize".split()
)


def _as_read(node: Node, name: str, rank: int) -> Names | None:
    if node.input(0) != name and not (node.op == "Gather" and node.input(1) == name):
        return None
    if node.op in ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger") or node.op.endswith("Pool"):
        return ("batch", "channel", *SPATIAL_AXES[5 - rank :]) if 3 <= rank <= 5 else None
    if node.op in ("LSTM", "GRU", "RNN"):
        return ("batch", "time", "channel") if node.option("layout") else ("time", "batch", "channel")
    if node.op == "Gather" and node.is_constant(0) and node.input(1) == name:
        return ("batch", "time")[:rank] if rank <= 2 else None
    if node.op in ("Gemm", "MatMul") and node.is_constant(1):
        return {2: ("batch", "channel"), 3: ("batch", "time", "channel")}.get(rank)
    return None
