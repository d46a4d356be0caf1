"""Layers that exporters write as several nodes: products with a bias, activations and norms taken apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from netviz_core.backend_api import Layout, activated

from .held import Held, Node, read_or_none
from .kinds import LAYOUT, Described, described
from .scopes import Place, places
from .sources import Rule

Array = np.ndarray[Any, Any]

_ELEMENTWISE = frozenset(
    """
    Add Sub Mul Div Pow Sqrt Reciprocal Neg Abs Exp Log Erf Erfc Tanh Sigmoid Softplus HardSigmoid Relu Clip Min Max
    Cast Identity
    """.split()
)
_REDUCING = frozenset(("ReduceMean",))
_MOST_NODES = 16
_ACTIVATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gelu", {"approximate": False}),
    ("gelu", {"approximate": True}),
    ("silu", {}),
    ("quick_gelu", {}),
    ("mish", {}),
    ("hard_silu", {}),
    ("hard_sigmoid", {}),
    ("relu6", {}),
    ("squared_relu", {}),
    ("log_sigmoid", {}),
    ("tanh_shrink", {}),
)
_CLOSE = 1e-5
_LARGEST_EPSILON = 0.1


class Region(NamedTuple):
    """Nodes that are one layer: they are given one tensor that varies, and return one that others read.

    Parameters
    ----------
    nodes : sequence of Node
        In order.
    described : Described
    type_name : str
    """

    nodes: Sequence[Node]
    described: Described
    type_name: str


def regions(held: Held) -> dict[int, Region]:
    """What is one layer, by the place of its last node; each node that computes is in one."""
    computing = list(held.computing())
    is_one = _in_one_scope(computing, places(held.nodes))
    taken: set[int] = set()
    found: dict[int, Region] = {}
    for node in reversed(computing):
        if node.index in taken:
            continue
        told = (
            read_or_none(read, node)
            for read in (_biased, _grouped, partial(_recognised, taken=taken, is_one=is_one))
        )
        region = next(filter(None, told), None) or Region([node], described(node), node.op)
        taken.update(part.index for part in region.nodes)
        found[node.index] = region
    return found


def _in_one_scope(computing: Sequence[Node], where: Mapping[int, Place]) -> Callable[[Sequence[Node]], bool]:
    """Who says whether nodes may be one layer: they stand in one scope, or are all that computes in the one around."""

    crowds = Counter(scope for n in computing if n.op not in LAYOUT for scope in where[n.index].scopes)

    def is_one(nodes: Sequence[Node]) -> bool:
        found = [where[node.index].scopes for node in nodes]
        if len(set(found)) < 2:
            return True
        shared = [scopes[0] for scopes in zip(*found, strict=False) if len(set(scopes)) == 1]
        return bool(shared) and crowds[shared[-1]] == len(found)

    return is_one


def is_read_by(name: str, readers: set[int], held: Held) -> bool:
    """Whether what stands in a tensor is read by these nodes alone, and not returned by the model."""
    others = (node for node in held.readers.get(name, ()) if node.index not in readers)
    return name not in held.outputs and not any(held.varies(made) for node in others for made in node.outputs)


def _biased(node: Node) -> Region | None:
    """A product with a kernel, and a vector added to it."""
    if node.op != "Add":
        return None
    for place in (0, 1):
        before = node.held.maker.get(node.input(1 - place))
        if not node.is_constant(place) or before is None or before.op not in ("MatMul", "Gemm"):
            continue
        read, form = described(before), node.form(place)
        is_dense = read.kind == "dense" and [rule.name for rule in read.rules] == ["kernel"]
        units = read.config.get("units")
        if is_dense and form[-1:] == (units,) and int(np.prod(form)) == units:
            if not is_read_by(before.outputs[0], {node.index}, node.held):
                return None
            ones = " ".join("1" * (len(form) - 1))
            bias = Rule("bias", node.inputs[place], Layout(("out",), f"{ones} o -> o" if ones else ""))
            return Region([before, node], read._replace(rules=(*read.rules, bias)), before.op)
    return None


def _grouped(tail: Node) -> Region | None:
    """A norm over groups of channels: one over each group, laid out as a channel, and what has a number for each."""
    nodes = [tail]
    rules: list[Rule] = []
    for op, role in (("Add", "bias"), ("Mul", "scale")):
        place = next((place for place in (0, 1) if nodes[0].is_constant(place)), None)
        if nodes[0].op == op and place is not None:
            form = nodes[0].form(place)
            layout = Layout(("channel",), f"c {' '.join('1' * (len(form) - 1))} -> c")
            rules.insert(0, Rule(role, nodes[0].inputs[place], layout))
            nodes.insert(0, nodes[0].held.maker[nodes[0].inputs[1 - place]])
    nodes[:1] = _norm_of_groups(nodes[0])
    held, first = tail.held, nodes[0]
    forms = {held.constants[rule.tensor][0] for rule in rules}
    if len(forms) != 1 or not _comes_back(nodes[2], first.inputs[0], next(iter(forms))):
        return None
    own = {node.index for node in nodes}
    if not all(is_read_by(node.outputs[0], own, held) for node in nodes[:-1]):
        return None
    config = {"epsilon": nodes[1].option("epsilon", default=1e-5), "groups": nodes[1].form(1)[0]}
    return Region(nodes, Described("group_norm", config, tuple(rules)), "GroupNormalization")


def _norm_of_groups(last: Node) -> list[Node]:
    """The three nodes that make a norm of each group, the last of which is given; a `LookupError` if they do not."""
    core = last.held.maker[last.inputs[0]]
    first = last.held.maker[core.inputs[0]]
    if [node.op for node in (first, core, last)] != ["Reshape", "InstanceNormalization", "Reshape"]:
        raise LookupError
    form, scale, bias = first.constant(1), core.constant(1), core.constant(2)
    if form is None or scale is None or bias is None or (scale != 1).any() or bias.any():
        raise LookupError
    if form.shape != (3,) or form.tolist()[1:] != [scale.size, -1]:
        raise LookupError
    return [first, core, last]


def _comes_back(last: Node, source: str, form: tuple[int, ...]) -> bool:
    """Whether a reshape gives the form back that a tensor had, in which channels stand where a weight has them."""
    target, maker = last.constant(1), last.held.maker.get(last.inputs[1])
    if any(length != 1 for length in form[1:]):
        return False
    if target is not None:
        return len(target) == len(form) + 1 and target[1] == form[0]
    return maker is not None and maker.op == "Shape" and maker.inputs[0] == source


def _recognised(tail: Node, taken: set[int], is_one: Callable[[Sequence[Node]], bool]) -> Region | None:
    """An activation or a norm that ends with a node, told by the numbers that it makes of others."""
    if tail.op not in _ELEMENTWISE:
        return None
    found = None
    for nodes, source in _grown(tail, taken):
        if len(nodes) < 2 or not is_one(nodes):
            continue
        read = _norm(nodes, source) if any(n.op in _REDUCING for n in nodes) else _activation(nodes, source)
        if read is not None:
            found = Region(nodes, read, _NAMES.get(read.kind, "") or _camel(read.config["activation"]))
    return found


_NAMES = {"layer_norm": "LayerNormalization", "rms_norm": "RMSNormalization"}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _grown(tail: Node, taken: set[int]) -> Iterator[tuple[list[Node], str]]:
    """Ever larger regions that end with a node and are given one tensor, with the name of that."""
    held = tail.held
    region = {tail.index: tail}
    while len(region) <= _MOST_NODES:
        made = {name for node in region.values() for name in node.outputs}
        outside = {name for node in region.values() for name in node.reads if held.varies(name)} - made
        if len(outside) == 1:
            yield [region[index] for index in sorted(region)], next(iter(outside))
        makers = {m.index: m for name in outside if (m := held.maker.get(name)) is not None}
        fitting = [
            index
            for index, maker in makers.items()
            if maker.op in _ELEMENTWISE | _REDUCING
            and index not in taken
            and all(is_read_by(name, set(region), held) for name in maker.outputs)
        ]
        if not fitting:
            return
        region[max(fitting)] = makers[max(fitting)]


_KNOWN: dict[Any, Any] = {}
"""What was recognised, by what the nodes are: the same blocks come again and again."""


def _activation(nodes: Sequence[Node], source: str) -> Described | None:
    """The activation that makes the same of all numbers, if there is one."""
    constants = _constants(nodes)
    if any(np.prod(nodes[0].held.constants[name][0]) != 1 for name in constants):
        return None
    values = {name: nodes[0].held.value(name) for name in constants}
    key = _signature(nodes, source, values)
    if key not in _KNOWN:
        x = np.linspace(-8, 8, 101, dtype=np.float32)
        made = _evaluated(nodes, {source: x, **values})
        _KNOWN[key] = None if made is None else _same(made, x)
    return None if _KNOWN[key] is None else Described("activation", _KNOWN[key])


def _same(made: Array, x: Array) -> dict[str, Any] | None:
    for name, config in _ACTIVATIONS:
        wanted = activated(name, x, config)
        if wanted is not None and made.size == x.size and np.abs(made.reshape(-1) - wanted).max() < _CLOSE:
            return {"activation": name, **config}
    return None


def _norm(nodes: Sequence[Node], source: str) -> Described | None:
    """A norm over the last axis, if it makes the same of numbers; its weights are the vectors that it reads."""
    held = nodes[0].held
    constants = _constants(nodes)
    vectors = [name for name in constants if np.prod(held.constants[name][0]) > 1]
    axes = {tuple(node.option("axes", 1) or ()) for node in nodes if node.op in _REDUCING}
    lengths = {held.constants[name][0] for name in vectors}
    if len(vectors) > 2 or len(axes) != 1 or len(lengths) > 1 or any(len(form) != 1 for form in lengths):
        return None
    (along,) = axes
    if len(along) != 1:
        return None
    axis = along[0]
    length = next(iter(lengths), (7,))[0]
    scalars = {name: held.value(name) for name in constants if name not in vectors}
    key = _signature(nodes, source, scalars, vectors)
    if key not in _KNOWN:
        random = np.random.default_rng(0)
        x = random.normal(2, 3, (*(2,) * (axis if axis >= 0 else 2), length)).astype(np.float32)
        stand_ins = {name: random.normal(1, 1, length).astype(np.float32) for name in vectors}
        made = _evaluated(nodes, {source: x, **scalars, **stand_ins})
        _KNOWN[key] = None if made is None else _same_norm(made, x, list(stand_ins.values()), scalars)
    if _KNOWN[key] is None:
        return None
    kind, epsilon, order = _KNOWN[key]
    roles = zip(("scale", "bias"), order, strict=False)
    rules = [Rule(role, vectors[place], Layout(("channel",))) for role, place in roles]
    return Described(kind, {"axis": -1, "epsilon": epsilon}, tuple(rules))


def _same_norm(
    made: Array, x: Array, vectors: Sequence[Array], scalars: dict[str, Array]
) -> tuple[str, float, tuple[int, ...]] | None:
    """Kind and epsilon of the norm that makes this of `x`, and which vector is its scale and its bias."""
    centred = x - x.mean(-1, keepdims=True, dtype=np.float64)
    small = {float(value.reshape(-1)[0]) for value in scalars.values() if value.dtype.kind == "f"}
    for epsilon in sorted(value for value in small if 0 < value <= _LARGEST_EPSILON):
        for kind, values in (("layer_norm", centred), ("rms_norm", x.astype(np.float64))):
            plain = values / np.sqrt(np.square(values).mean(-1, keepdims=True) + epsilon)
            for order in permutations(range(len(vectors))):
                parts = [vectors[place] for place in order]
                wanted = plain * (parts[0] if parts else 1) + (parts[1] if len(parts) > 1 else 0)
                if made.shape == wanted.shape and np.abs(made - wanted).max() < 10 * _CLOSE:
                    return kind, epsilon, order
    return None


def _constants(nodes: Sequence[Node]) -> list[str]:
    names = (name for node in nodes for name in node.inputs if name in node.held.constants)
    return list(dict.fromkeys(names))


def _signature(
    nodes: Sequence[Node], source: str, values: dict[str, Array], others: Sequence[str] = ()
) -> Any:
    """What tells nodes apart that make something else of what they are given."""
    numbers = {
        name: number for number, name in enumerate(dict.fromkeys(n for node in nodes for n in node.outputs))
    }
    numbers[source] = -1
    places = {name: -2 - place for place, name in enumerate(others)}

    def shown(name: str) -> Any:
        if name in values:
            return values[name].tobytes(), str(values[name].dtype)
        return numbers.get(name, places.get(name, name))

    lengths = tuple(node.held.constants[name][0] for name in others for node in nodes[:1])
    parts = tuple((node.op, tuple(map(shown, node.inputs)), str(node.attributes)) for node in nodes)
    return parts, lengths, nodes[0].held.opsets.get("")


def _evaluated(nodes: Sequence[Node], given: dict[str, Array]) -> Array | None:
    """What nodes make of values, by ONNX' own reference; None where that cannot tell."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in given]
    output = nodes[-1].outputs[0]
    graph = helper.make_graph(
        [node.proto for node in nodes], "region", inputs, [helper.make_tensor_value_info(output, 0, None)]
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in nodes[0].held.opsets.items()]
    try:
        with np.errstate(all="ignore"):
            evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))
            return np.asarray(evaluator.run([output], given)[0])
    except Exception:  # whatever the reference raises of an operator that it does not know
        return None
