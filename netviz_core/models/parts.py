"""A layer as the steps that it takes, each with weights of its own: what several layers do elsewhere.

A stack of recurrent layers, an attention with its projections and a separable convolution are several steps; a
convolution of size one and an einsum are a dense layer; what stands in a container is a table by itself. Each is
in the words and by the axes of the layer that does this and nothing else, so that such layers are its partners.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from ..words.protocols import Layer, WeightTensor
from .shown import ShownLayer
from .weights import Layout, Weight

Weights = Mapping[str, WeightTensor]


@dataclass(frozen=True, eq=False, repr=False)
class Part(ShownLayer):
    """One step of a layer, itself a `Layer`.

    Parameters
    ----------
    layer : Layer
        The whole.
    kind : str
        That of a layer that takes this step alone; ``parameter`` for a tensor of which no more is known.
    weights : mapping
        By the names that they have in such a layer; each keeps the name that it has in the whole one.
    step : str
        Which of several it is, such as ``query`` or ``_l1_reverse``; empty if there is one.
    """

    layer: Layer
    kind: str
    weights: Weights
    step: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """That of the whole layer."""
        return self.layer.path

    @property
    def native(self) -> Any:
        """The whole layer itself."""
        return self.layer.native

    @property
    def type_name(self) -> str:
        """That of the whole layer."""
        return self.layer.type_name

    @property
    def trainable(self) -> bool:
        """That of the whole layer."""
        return self.layer.trainable

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """That of the whole layer, but for what is told of the step."""
        return {**self.layer.config, **self.changed}

    @cached_property
    def role(self) -> str:
        """What it is for, where several of its form stand side by side; empty if nothing tells."""
        if self.kind in _RECURRENT:
            backwards = "_reverse" in self.step or self.config.get("go_backwards") is True
            return "backwards" if backwards else ""
        if self.kind == "parameter":
            return self.step
        name = self.step or re.split(r"[./]", self.path)[-1]
        found = re.search(r"(?:^|[^a-z])(q|k|v|query|key|value)(?:$|[^a-z])", name.lower())
        return found[1][0] if found and self.kind == "dense" else ""


_RECURRENT = ("lstm", "gru", "rnn")
_FUSED = {"qkv": ("query", "key", "value"), "kv": ("key", "value"), "gate_up": ("gate", "up")}
"""What lies behind one another in a layer of such a name."""


def parts_of(layer: Layer, undivided: Iterable[tuple[int, ...]] = ()) -> list[Part]:
    """The steps of a layer that have weights; counters are none.

    Parameters
    ----------
    layer : Layer
    undivided : iterable of tuple of int
        Shapes of kernels that stay whole though a name says that several lie in them.
    """
    weights = {name: weight for name, weight in layer.weights.items() if not _counts(weight)}
    if not weights:
        return []
    if layer.kind in _RECURRENT:
        return _grouped(layer, weights, r"(input_kernel|recurrent_kernel|bias|recurrent_bias)(?P<step>.*)")
    if layer.kind == "attention":
        return [*_projections(layer, weights)]
    if layer.kind.startswith("separable_"):
        return [*_separated(layer, weights)]
    if layer.kind in ("container", "other"):
        return [*_of_no_kind(layer, weights)]
    part = _as_dense(Part(layer, layer.kind, weights))
    kernel = part.weights.get("kernel")
    if kernel is not None and part.kind == "dense" and kernel.shape not in undivided:
        return _divided(part, _names_within(layer.path))
    return [part]


def _counts(weight: WeightTensor) -> bool:
    """Whether it is no weight but a count of steps, or the state of a random generator."""
    return "int" in weight.dtype and (not weight.shape or "seed" in weight.native_name)


def view_of(
    weight: WeightTensor, axes: tuple[str, ...], pattern: str = "", part: slice | None = None
) -> WeightTensor:
    """A weight by other axes, or a part of it along the first: what is written to it goes to the whole."""
    if not pattern and part is None and axes == weight.axes:
        return weight
    writable = getattr(weight, "write", weight.assign) is not None
    identity = weight.identity if part is None else (weight.identity, part.start, part.stop)
    return Weight(
        weight.name,
        weight.native_name,
        Layout(axes, pattern, part=part),
        weight.shape,
        weight.dtype,
        weight.trainable,
        weight.peek,
        partial(weight.assign, allow_nonfinite=True) if writable else None,
        identity,
    )


def _grouped(layer: Layer, weights: Weights, pattern: str) -> list[Part]:
    """Steps told apart by what stands behind the names of weights; a name that is not known stands alone."""
    groups: dict[str, dict[str, WeightTensor]] = {}
    for name, weight in weights.items():
        found = re.fullmatch(pattern, name)
        step = found["step"] if found else ""
        groups.setdefault(step, {})[found[1] if found else name] = weight
    return [Part(layer, layer.kind, group, step) for step, group in groups.items()]


_MERGED = {
    ("head", "head_dim", "in"): (("out", "in"), "h d i -> (h d) i"),
    ("out", "head", "head_dim"): (("out", "in"), "o h d -> o (h d)"),
    ("head", "head_dim"): (("out",), "h d -> (h d)"),
}


def _projections(layer: Layer, weights: Weights) -> Iterator[Part]:
    """Those of an attention layer, each a dense layer."""
    rest = dict(weights)
    for step in ("query", "key", "value", "gate", "output"):
        own = {name: rest.pop(f"{step}_{name}") for name in ("kernel", "bias") if f"{step}_{name}" in rest}
        if own:
            merged = {name: view_of(w, *_MERGED.get(w.axes, (w.axes,))) for name, w in own.items()}
            yield Part(layer, "dense", merged, step)
    yield from _parameters(layer, rest)


def _separated(layer: Layer, weights: Weights) -> Iterator[Part]:
    kind = layer.kind.removeprefix("separable_")
    rest = dict(weights)
    yield Part(layer, f"depthwise_{kind}", {"kernel": rest.pop("depthwise_kernel")}, "depthwise")
    rest["kernel"] = rest.pop("pointwise_kernel")
    yield _as_dense(Part(layer, kind, rest, "pointwise"))


def _as_dense(part: Part) -> Part:
    """A convolution of size one, or an einsum with a kernel, as the dense layer that it is; else as it is."""
    kernel = part.weights.get("kernel")
    if kernel is None:
        return part
    rank = len(kernel.shape) - 2
    if re.fullmatch(r"conv[123]d", part.kind) and set(kernel.shape[2:]) == {1} and _in_one_group(part):
        return _with_kernel(part, kernel.axes[:2], f"o i {'1 ' * rank}-> o i")
    if part.kind == "einsum_dense":
        return _of_einsum(part, kernel)
    return part


def _in_one_group(part: Part) -> bool:
    return part.step != "" or part.config.get("groups", 1) == 1


def _with_kernel(part: Part, axes: tuple[str, ...], pattern: str) -> Part:
    weights = {**part.weights, "kernel": view_of(part.weights["kernel"], axes, pattern)}
    return Part(part.layer, "dense", weights, part.step, part.changed)


def _of_einsum(part: Part, kernel: WeightTensor) -> Part:
    """A kernel whose letters are each of the input or of the output alone is a matrix."""
    terms = re.split(r",|->", re.sub(r"[\s.]", "", str(part.config.get("equation", ""))))
    if len(terms) != 3 or len(terms[1]) != len(kernel.shape):
        return part
    sizes = dict(zip(terms[1], kernel.shape, strict=True))
    out, into = ([letter for letter in terms[i] if letter in terms[1]] for i in (2, 0))
    if sorted(out + into) != sorted(terms[1]) or not out or not into:
        return part
    bias = part.weights.get("bias")
    if bias is not None and bias.shape != tuple(sizes[letter] for letter in out):
        return part
    dense = _with_kernel(part, ("out", "in"), f"{' '.join(terms[1])} -> ({' '.join(out)}) ({' '.join(into)})")
    if bias is None:
        return dense
    flat = view_of(bias, ("out",), f"{' '.join(out)} -> ({' '.join(out)})")
    return Part(part.layer, "dense", {**dense.weights, "bias": flat}, part.step, part.changed)


def _names_within(path: str) -> Sequence[str]:
    name = re.split(r"[./]", path)[-1].lower()
    return next((names for fused, names in _FUSED.items() if re.search(rf"(^|_){fused}(_|\d|$)", name)), ())


def _divided(part: Part, names: Sequence[str]) -> list[Part]:
    """A dense layer as several whose outputs lie behind one another."""
    whole = part.weights["kernel"].shape[0]
    if not names or whole % len(names):
        return [part]
    size = whole // len(names)
    return [*divided(part, dict.fromkeys(names, size))]


def divided(part: Part, sizes: Mapping[str, int]) -> Iterator[Part]:
    """A dense layer as several: what each is called, and how many of the outputs are its own."""
    start = 0
    for name, size in sizes.items():
        rows = slice(start, start + size)
        start += size
        weights = {key: view_of(weight, weight.axes, part=rows) for key, weight in part.weights.items()}
        yield Part(part.layer, part.kind, weights, name, part.changed)


def _of_no_kind(layer: Layer, weights: Weights) -> Iterator[Part]:
    """What the names and shapes of weights tell, where the kind of the layer tells nothing."""
    rest = dict(weights)
    packed = rest.get("in_proj_weight")
    if packed is not None and len(packed.shape) == 2 and not packed.shape[0] % 3:
        named = {"kernel": rest.pop("in_proj_weight"), "bias": rest.pop("in_proj_bias", None)}
        dense = Part(layer, "dense", {name: w for name, w in named.items() if w is not None})
        yield from _divided(dense, _FUSED["qkv"])
    kernel = rest.get("kernel")
    if kernel is not None and kernel.native_name == "weight":  # of a state dict: (out, in)
        bias = rest.get("bias")
        if len(kernel.shape) == 2 and (bias is None or bias.shape == kernel.shape[:1]):
            yield Part(layer, "dense", {name: rest.pop(name) for name in ("kernel", "bias") if name in rest})
    norm = {_NAMES_IN_NORMS.get(name, name): weight for name, weight in rest.items()}
    is_norm = (
        "scale" in norm and norm.keys() <= {"scale", "bias"} and len({w.shape for w in norm.values()}) == 1
    )
    if is_norm and len(norm["scale"].shape) == 1 and layer.kind == "other":
        yield Part(layer, "norm", norm)
    else:
        yield from _parameters(layer, rest)


NAMES_OF_SCALES = ("weight", "gamma", "scale")
_NAMES_IN_NORMS = {**dict.fromkeys(NAMES_OF_SCALES, "scale"), "beta": "bias"}


def _parameters(layer: Layer, weights: Weights) -> Iterator[Part]:
    """Tensors of which no more is known, each by itself, without axes of length one."""
    for name, weight in weights.items():
        kept = [axis for axis, size in zip(weight.axes, weight.shape, strict=True) if size != 1]
        kept = kept or list(weight.axes[:1])
        letters = " ".join(
            a if a in kept and s != 1 else "1" for a, s in zip(weight.axes, weight.shape, strict=True)
        )
        pattern = f"{letters} -> {' '.join(kept if math.prod(weight.shape) != 1 else '1')}"
        view = weight if len(kept) == len(weight.shape) else view_of(weight, tuple(kept), pattern)
        yield Part(layer, "parameter", {"values": view}, name)


def brought_together(source: Part, target: Part) -> tuple[Part, Part]:
    """Two parts in one form: a convolution that sees all its input at once is a dense layer, a parameter a table."""
    source, target = _named_as(source, target), _named_as(target, source)
    ranks = [
        len(part.weights["kernel"].shape) if "kernel" in part.weights else 0 for part in (source, target)
    ]
    if ranks[0] == ranks[1] or 0 in ranks:
        return source, target
    if 2 in ranks:
        return _flat(source), _flat(target)
    return _without_ones(source), _without_ones(target)


def _named_as(part: Part, other: Part) -> Part:
    """A parameter under the name that its partner has for it."""
    if part.kind != "parameter" or other.kind == "parameter":
        return part
    name, (weight,) = next(iter(other.weights)), part.weights.values()
    return Part(part.layer, other.kind, {name: weight}, part.step, part.changed)


def _flat(part: Part) -> Part:
    kernel = part.weights["kernel"]
    if len(kernel.shape) == 2:
        return part
    places = " ".join(kernel.axes[2:])
    flat = _with_kernel(part, ("out", "in"), f"o i {places} -> o (i {places})")
    order = {"channel": kernel.shape[1], **dict(zip(kernel.axes[2:], kernel.shape[2:], strict=True))}
    return Part(part.layer, "dense", flat.weights, part.step, {"flattened": [order]})


def _without_ones(part: Part) -> Part:
    kernel = part.weights["kernel"]
    kept = [axis for axis, size in zip(kernel.axes[2:], kernel.shape[2:], strict=True) if size != 1]
    spatial = " ".join(axis if axis in kept else "1" for axis in kernel.axes[2:])
    axes = ("out", "in", *("zyx"[-len(kept) :] if kept else ()))
    flat = _with_kernel(part, axes, f"o i {spatial} -> o i {' '.join(kept)}")
    return Part(part.layer, part.kind, flat.weights, part.step, part.changed)
