"""How often a layer multiplies and adds, from its kernels and the forms of what goes in and comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..words.arrays import shape_text
from ..words.cards import Record
from ..words.protocols import Layer, WeightTensor

Shape = tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Form(Record):
    """The form of one tensor that a layer was given or returned.

    Parameters
    ----------
    leaf : str
        Where it stands in the layer's arguments or output; ``""`` for a single output.
    axes : tuple of str
    shape : tuple of int
        The length of each of `axes`, in canonical order.
    dtype : str
        The native dtype's name.
    """

    leaf: str
    axes: tuple[str, ...]
    shape: Shape
    dtype: str

    def _subject(self) -> str:
        return f"({shape_text(self.shape, self.axes)}) {self.dtype}"

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Call:
    """One call of a layer: the forms of its arguments and of what it returned."""

    inputs: tuple[Form, ...]
    outputs: tuple[Form, ...]


def multiply_accumulates(layer: Layer, call: Call) -> int | None:
    """How often a layer multiplies two numbers and adds the product, in one call.

    Parameters
    ----------
    layer : Layer
    call : Call

    Returns
    -------
    int or None
        None where it is not known: for a layer of an unknown kind, or one that has weights besides those of its
        kind, as low-rank factors or packed ones, or without the forms needed.

    Notes
    -----
    Counted are products with kernels, and the two products of attention:

    - convolutions: the elements of the kernel for each place of the output; transposed ones for each of the
      input; separable ones for both their kernels,
    - dense layers: the elements of the kernel for each vector of the output; an einsum as its equation says,
    - recurrent layers: the elements of all their kernels for each step,
    - attention: its projections, the scores (query · key) and the sum of values.

    Not counted: biases, norms, activations, pooling, looking up an embedding, and operations between layers.
    """
    kind = layer.kind
    if kind in _FREE:
        return 0
    formula = _FORMULAS.get(kind)
    kernels = _kernels(layer)
    if formula is None:
        return None if kernels else 0
    if not call.outputs or not kernels.keys() <= _UNDERSTOOD.get(formula, kernels.keys()):
        return None
    return formula(layer, kernels, call)


def has_formula(layer: Layer) -> bool:
    """Whether a layer's own count has that of the layers within it."""
    return layer.kind in _FORMULAS


_FREE = frozenset(
    """
    embedding batch_norm layer_norm group_norm instance_norm rms_norm
    activation pool dropout reshape merge input
    """.split()
)

Kernels = Mapping[str, Mapping[str, int]]
"""Of each kernel, by name, the length of each axis."""


def _kernels(layer: Layer) -> Kernels:
    return {
        name: dict(zip(weight.axes, weight.shape, strict=True))
        for name, weight in layer.weights.items()
        if "bias" not in name and (len(weight.shape) > 1 or _may_be_packed(weight))
    }


def _may_be_packed(weight: WeightTensor) -> bool:
    """Whether whole numbers in a row may stand for a kernel."""
    is_whole = not weight.dtype.startswith(("float", "bfloat", "complex", "bool"))
    return is_whole and math.prod(weight.shape) > 1


def _size(kernel: Mapping[str, int]) -> int:
    return math.prod(kernel.values())


def _convolution(layer: Layer, kernels: Kernels, call: Call) -> int | None:
    kernel = kernels.get("kernel")
    return None if kernel is None else call.outputs[0].size // kernel["out"] * _size(kernel)


def _transposed_convolution(layer: Layer, kernels: Kernels, call: Call) -> int | None:
    kernel = kernels.get("kernel")
    if kernel is None or not call.inputs:
        return None
    channels = kernel["in"] * int(layer.config.get("groups", 1))
    return call.inputs[0].size // channels * _size(kernel)


def _separable_convolution(layer: Layer, kernels: Kernels, call: Call) -> int | None:
    pointwise = kernels.get("pointwise_kernel")
    if pointwise is None:
        return None
    return call.outputs[0].size // pointwise["out"] * sum(map(_size, kernels.values()))


def _einsum(layer: Layer, kernels: Kernels, call: Call) -> int | None:
    kernel = kernels.get("kernel")
    equation = str(layer.config.get("equation", "")).replace("...", "")
    operands, _, result = equation.partition("->")
    indices = operands.partition(",")[2]
    if kernel is None or len(indices) != len(kernel):
        return None
    summed = [length for index, length in zip(indices, kernel.values(), strict=True) if index not in result]
    return call.outputs[0].size * math.prod(summed)


def _recurrent(layer: Layer, kernels: Kernels, call: Call) -> int | None:
    first = kernels.get("input_kernel")
    if first is None or not call.inputs:
        return None
    steps = sum(form.size for form in _data(call.inputs)) // first["in"]
    return steps * sum(map(_size, kernels.values()))


def _data(inputs: Sequence[Form]) -> Sequence[Form]:
    """The forms of the sequence in a layer's arguments, without those of states."""
    first = inputs[0].leaf.partition(".")[0]
    return [form for form in inputs if form.leaf.partition(".")[0] == first and "int" not in form.dtype]


def _attention(layer: Layer, kernels: Kernels, call: Call) -> int | None:
    tensors = [form for form in call.inputs if len(form.shape) > 1 and "mask" not in form.leaf]
    if not tensors:
        return None
    query, source = tensors[0], tensors[1] if len(tensors) > 1 else tensors[0]
    value = tensors[2] if len(tensors) > 2 else source
    queries, keys = math.prod(query.shape[:-1]), math.prod(source.shape[:-1])
    batch = 1 if len(query.shape) == 2 else _batch(call.outputs[0]) or _batch(query) or query.shape[0]
    width = {name: _size(kernel) for name, kernel in kernels.items()}
    heads = kernels.get("query_kernel", {}).get("head", 1)
    key_width = kernels.get("key_kernel", {}).get("head_dim", source.shape[-1])
    value_width = kernels.get("value_kernel", {}).get("head_dim", value.shape[-1])
    projections = queries * (width.get("query_kernel", 0) + width.get("output_kernel", 0))
    projections += queries * width.get("gate_kernel", 0)
    projections += keys * (width.get("key_kernel", 0) + width.get("value_kernel", 0))
    return projections + queries * (keys // max(batch, 1)) * heads * (key_width + value_width)


def _batch(form: Form) -> int | None:
    return dict(zip(form.axes, form.shape, strict=True)).get("batch")


_FORMULAS: Mapping[str, Callable[[Layer, Kernels, Call], int | None]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "depthwise_conv1d", "depthwise_conv2d"), _convolution),
    **dict.fromkeys(("conv1d_transpose", "conv2d_transpose", "conv3d_transpose"), _transposed_convolution),
    **dict.fromkeys(("separable_conv1d", "separable_conv2d"), _separable_convolution),
    "dense": _convolution,
    "einsum_dense": _einsum,
    **dict.fromkeys(("lstm", "gru", "rnn"), _recurrent),
    "attention": _attention,
}

_ROLES = frozenset(f"{role}_kernel" for role in ("query", "key", "value", "gate", "output"))
_UNDERSTOOD: Mapping[Any, frozenset[str]] = {
    **dict.fromkeys((_convolution, _transposed_convolution, _einsum), frozenset({"kernel"})),
    _attention: _ROLES,
}
"""The kernels of which a formula knows what is made of them; of the other formulas all."""
