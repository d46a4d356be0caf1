"""Faults planted in exported graphs: each takes a model, and returns a changed copy and where it was changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper


class Planted(NamedTuple):
    """A fault: the changed model, the tensors that the changed node returned, and words one of which its cause has."""

    model: ModelProto
    tensors: tuple[str, ...]
    words: tuple[str, ...]


Plant = Callable[[ModelProto, np.random.Generator], "Planted | None"]


def _copy(model: ModelProto) -> ModelProto:
    other = ModelProto()
    other.CopyFrom(model)
    return other


def _pick(model: ModelProto, random: np.random.Generator, fits: Callable[[NodeProto], Any]) -> int | None:
    places = [place for place, node in enumerate(model.graph.node) if fits(node)]
    return int(random.choice(places)) if places else None


def _stored(model: ModelProto) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def _kernel(model: ModelProto, node: NodeProto) -> Any:
    """The stored kernel that a node alone reads."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2:
        return None
    readers = sum(name == node.input[1] for other in model.graph.node for name in other.input)
    return _stored(model).get(node.input[1]) if readers == 1 else None


def _write(tensor: Any, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def changed_weights(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """A tenth of a kernel's numbers are others."""
    place = _pick(model, random, lambda node: _kernel(model, node) is not None)
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    tensor = _kernel(other, node)
    values = np.array(numpy_helper.to_array(tensor))
    chosen = random.random(values.shape) < 0.1
    _write(
        tensor,
        np.where(chosen, values + values.std() * random.normal(size=values.shape), values).astype(
            values.dtype
        ),
    )
    return Planted(other, tuple(node.output), ("weight", "kernel"))


def transposed_weights(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """A square kernel is transposed; the last two axes of a convolution's are swapped."""

    def fits(node: NodeProto) -> bool:
        tensor = _kernel(model, node)
        return tensor is not None and tensor.dims[-1] == tensor.dims[-2] > 1

    place = _pick(model, random, fits)
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    tensor = _kernel(other, node)
    _write(tensor, numpy_helper.to_array(tensor).swapaxes(-1, -2))
    return Planted(other, tuple(node.output), ("transpos", "axes", "swapped", "order"))


def changed_epsilon(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """A norm has another epsilon."""
    ops = ("BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization")
    place = _pick(model, random, lambda node: node.op_type in ops)
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    kept = [attribute for attribute in node.attribute if attribute.name != "epsilon"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("epsilon", 0.05)])
    return Planted(other, tuple(node.output), ("epsilon",))


def shifted_padding(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """A convolution or a pool is padded at one end with what both ends had."""

    def pads(node: NodeProto) -> list[int]:
        found = next((list(a.ints) for a in node.attribute if a.name == "pads"), [])
        return found if node.op_type in ("Conv", "MaxPool", "AveragePool") and any(found) else []

    place = _pick(model, random, pads)
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    before = pads(node)
    half = len(before) // 2
    both = [low + high for low, high in zip(before[:half], before[half:], strict=True)]
    for attribute in node.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0] * half + both
    return Planted(other, tuple(node.output), ("padding", "pads", "padded"))


_ACTIVATIONS = ("Relu", "Gelu", "Sigmoid", "Tanh", "HardSwish", "Clip", "Softmax", "HardSigmoid")


def removed_node(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """An activation is left out: what read it reads what it read."""
    outputs = {value.name for value in model.graph.output}
    place = _pick(model, random, lambda n: n.op_type in _ACTIVATIONS and n.output[0] not in outputs)
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    gone, before = node.output[0], node.input[0]
    for reader in other.graph.node:
        for number, name in enumerate(reader.input):
            if name == gone:
                reader.input[number] = before
    del other.graph.node[place]
    return Planted(
        other, (gone,), ("activation", "without", "missing", "left out", "no partner", "relu", "gelu", "node")
    )


def other_activation(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """A ReLU leaks; an exact GELU is approximated."""
    place = _pick(model, random, lambda node: node.op_type in ("Relu", "HardSwish"))
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    node.op_type = "LeakyRelu" if node.op_type == "Relu" else "Relu"
    del node.attribute[:]
    if node.op_type == "LeakyRelu":
        node.attribute.append(helper.make_attribute("alpha", 0.2))
    return Planted(other, tuple(node.output), ("activation", "relu"))


def swapped_branch(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """Two tensors that are joined come in the other order; of a difference, the other is taken away."""
    made = {name for node in model.graph.node for name in node.output} | {v.name for v in model.graph.input}
    place = _pick(
        model,
        random,
        lambda node: (
            node.op_type in ("Concat", "Sub")
            and len(node.input) == 2
            and set(node.input) <= made
            and node.input[0] != node.input[1]
        ),
    )
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    node.input[:] = list(reversed(node.input))
    return Planted(other, tuple(node.output), ("order", "swapped", "joined", "concat"))


def dropped_bias(model: ModelProto, random: np.random.Generator) -> Planted | None:
    """The bias of a convolution or a product is zero."""
    stored = _stored(model)
    place = _pick(
        model,
        random,
        lambda node: (
            node.op_type in ("Conv", "Gemm")
            and len(node.input) > 2
            and node.input[2] in stored
            and np.abs(numpy_helper.to_array(stored[node.input[2]])).max() > 0.01
        ),
    )
    if place is None:
        return None
    other = _copy(model)
    node = other.graph.node[place]
    tensor = _stored(other)[node.input[2]]
    _write(tensor, np.zeros_like(numpy_helper.to_array(tensor)))
    return Planted(other, tuple(node.output), ("bias",))


PLANTS: tuple[Plant, ...] = (
    changed_weights, transposed_weights, changed_epsilon, shifted_padding, removed_node, other_activation,
    swapped_branch, dropped_bias,
)  # fmt: skip


def planted(model: ModelProto, seed: int, count: int) -> Iterator[tuple[str, Planted]]:
    """As many faults of as many kinds as a model has places for."""
    random = np.random.default_rng(seed)
    for number in range(count):
        plant = PLANTS[(seed + number) % len(PLANTS)]
        found = plant(model, random)
        if found is not None:
            yield plant.__name__, found
