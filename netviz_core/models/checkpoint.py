"""Weights without a model: state dicts, and the files that hold them, read only where they are looked at.

The names of the tensors tell the layers; names and shapes together tell what kind of layer it was
where they can: PyTorch's names (``layer1.0.conv1.weight``) and those of Keras' ``.weights.h5``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..words.errors import UnsupportedError
from .shown import ShownLayer
from .weights import Layout, Weight, Weights, positional_layout

if TYPE_CHECKING:
    from ..words.protocols import RecorderLike

ToNumpy = Callable[[Any], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a checkpoint: known by shape and dtype, read when it is asked for."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray[Any, Any]] = field(repr=False)


class Checkpoint:
    """Tensors by their native names, in their native order.

    Parameters
    ----------
    tensors : mapping
        From native name to `StoredTensor`.
    ordered : bool
        Whether their order is that of the model, rather than the alphabet's.
    names : mapping, optional
        From the path of a layer in the file to its path in the model, where a file tells both.
    apart : mapping, optional
        What else is there, by its name, and what it is, such as an optimizer's state.
    type_name : str
        What it is, in a few words: the class of the model where it is told.
    refusal : str
        Why there is no more than weights, and how there might be.
    """

    def __init__(
        self,
        tensors: Mapping[str, StoredTensor],
        ordered: bool = True,
        *,
        names: Mapping[str, str] | None = None,
        apart: Mapping[str, str] | None = None,
        type_name: str = "state dict",
        refusal: str = "a checkpoint holds weights and no computation; give the model itself",
    ) -> None:
        self.tensors = dict(tensors)
        self.ordered = ordered
        self.names = dict(names or {})
        self.apart = dict(apart or {})
        self.type_name = type_name
        self.refusal = refusal

    def __repr__(self) -> str:
        return f"<Checkpoint of {len(self.tensors)} tensors: {self.described}>"

    @property
    def described(self) -> str:
        """What it is, and what of the file is left out."""
        left_out = ", ".join(f"{name} ({what})" for name, what in self.apart.items())
        return f"{self.type_name}, without {left_out}" if left_out else self.type_name


@dataclass(frozen=True, repr=False)
class StoredLayer(ShownLayer):
    """A `Layer` of a checkpoint: the tensors whose names differ in their last part alone."""

    path: str
    kind: str
    weights: Mapping[str, Weight]
    native: Mapping[str, StoredTensor]
    type_name: str = "state dict"
    trainable: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)


class CheckpointBackend:
    """A `Backend` for weights alone: lists layers, and computes nothing."""

    name = "checkpoint"

    def accepts(self, model: object) -> bool:
        """Whether `model` is a `Checkpoint`."""
        return isinstance(model, Checkpoint)

    def layers(self, model: Checkpoint) -> Iterator[StoredLayer]:
        """Yield the layers that the names tell of, in the order of the checkpoint, each behind those around it."""
        split = {name: _split(name) for name in model.tensors}
        groups: dict[str, dict[str, StoredTensor]] = {"": {}}
        groups.update((path, {}) for path in _outermost_first([path for path, _, _ in split.values()]))
        for name, (path, _, last) in split.items():
            groups[path][last] = model.tensors[name]
        following = [*list(groups.values())[1:], {}]
        for (path, tensors), after in zip(groups.items(), following, strict=True):
            kind, rules = _recognised(path, tensors, after)
            weights = _weights(tensors, rules)
            made_by = FILE_OF_KERAS if _is_of_keras(tensors) else "state dict"
            shown = model.names.get(path, path)
            if not path:
                kind, made_by = "container", model.described
            yield StoredLayer(shown, kind, weights, dict(tensors), made_by)

    def run(self, model: Checkpoint, inputs: Any, recorder: RecorderLike | None = None) -> NoReturn:
        """Refuse: there is nothing to run."""
        raise UnsupportedError(model.refusal)

    def record(self, model: Checkpoint, recorder: RecorderLike) -> AbstractContextManager[None]:
        """Refuse: there is nothing to run."""
        self.run(model, None)


FILE_OF_KERAS = "weights of Keras"
"""The type of layers whose weights are numbered, as in Keras' own files."""


def _is_of_keras(tensors: Mapping[str, StoredTensor]) -> bool:
    return "0" in tensors


Rules = Mapping[str, tuple[str, Layout]]
"""From a native name within a layer to the canonical name and the layout."""

_SPATIAL = {3: ("x",), 4: ("y", "x"), 5: ("z", "y", "x")}
_GATES = {4: "lstm", 3: "gru", 1: "rnn"}
_OUT = ("bias", Layout(("out",)))
_TORCH_NORM = {
    "weight": "scale",
    "bias": "bias",
    "running_mean": "running_mean",
    "running_var": "running_variance",
}


def _split(name: str) -> tuple[str, str, str]:
    """The layer's path, the separator, and the weight's name; Keras keeps a layer's weights below ``vars``."""
    separator = "/" if "/" in name else "."
    path, _, last = name.rpartition(separator)
    return path.removesuffix("/vars"), separator, last


def _outermost_first(paths: Sequence[str]) -> Iterator[str]:
    """Paths as they come, but for those around others, which a file in alphabetical order names behind them."""
    known = set(paths)
    for path in paths:
        ends = [end for end, letter in enumerate(path) if letter in "./"]
        yield from (path[:end] for end in [*ends, len(path)] if path[:end] in known)


def _weights(tensors: Mapping[str, StoredTensor], rules: Rules) -> Weights:
    found = Weights()
    for native, tensor in tensors.items():
        name, layout = rules.get(native, (native, positional_layout(len(tensor.shape))))
        if layout.native_rank != len(tensor.shape):
            name, layout = native, positional_layout(len(tensor.shape))
        found[name] = Weight(name, native, layout, tensor.shape, tensor.dtype, False, tensor.read)
    return found


def _recognised(
    path: str, tensors: Mapping[str, StoredTensor], following: Mapping[str, StoredTensor]
) -> tuple[str, Rules]:
    """A kind and the rules that go with it, as far as names and shapes tell."""
    if _is_of_keras(tensors):
        return _keras_layer(path, list(tensors.values()))
    if "weight_ih_l0" in tensors and "weight_hh_l0" in tensors:
        return _torch_recurrent(tensors)
    if "running_mean" in tensors:
        return "batch_norm", {native: (name, Layout(("channel",))) for native, name in _TORCH_NORM.items()}
    weight = tensors.get("weight")
    rank = len(weight.shape) if weight is not None else 0
    if weight is not None and rank in _SPATIAL:
        return _torch_convolution(weight, tensors, following)
    if weight is None or rank < 2:
        return "other", {}
    unnamed = {"weight": ("kernel", positional_layout(rank))}
    if rank != 2:
        return "other", unnamed
    bias = tensors.get("bias")
    if bias is not None and bias.shape == weight.shape[:1]:
        return "dense", {"weight": ("kernel", Layout(("out", "in"))), "bias": _OUT}
    if bias is None and re.search(r"(^|[._])(\w*embeddings?|embed\w*|emb|wte|wpe|lut)$", path.lower()):
        return "embedding", {"weight": ("kernel", Layout(("token", "out")))}
    return "other", unnamed


def _torch_convolution(
    weight: StoredTensor, tensors: Mapping[str, StoredTensor], following: Mapping[str, StoredTensor]
) -> tuple[str, Rules]:
    """A transposed convolution stores (in, out, …): the length of its bias tells, which is that of the outputs.

    A norm behind it can only confirm a plain convolution, since it need not belong to this layer. Where
    nothing tells, it counts as a plain convolution, but the first two axes stay without a name.
    """
    rank = len(weight.shape)
    kind, axes = f"conv{rank - 2}d", _SPATIAL[rank]
    first, second = weight.shape[:2]
    bias, norm = tensors.get("bias"), following.get("running_mean")
    unnamed = {"weight": ("kernel", Layout(("axis0", "axis1", *axes))), "bias": _OUT}
    if bias is not None and bias.shape[0] not in (first, second):
        return "other", {"weight": ("kernel", positional_layout(rank))}
    plain = kind, {"weight": ("kernel", Layout(("out", "in", *axes))), "bias": _OUT}
    if first == second:
        return kind, unnamed
    if bias is not None:
        if bias.shape[0] == first:
            return plain
        spatial = " ".join(axes)
        layout = Layout(("out", "in", *axes), f"i o {spatial} -> o i {spatial}")
        return f"{kind}_transpose", {"weight": ("kernel", layout), "bias": _OUT}
    return plain if norm is not None and norm.shape[0] == first else (kind, unnamed)


def _torch_recurrent(tensors: Mapping[str, StoredTensor]) -> tuple[str, Rules]:
    rows, columns = tensors["weight_hh_l0"].shape
    gates = rows // columns
    if gates not in _GATES:
        return "other", {}
    rules = {name: torch_recurrent_rule(name, gates, len(tensor.shape)) for name, tensor in tensors.items()}
    return _GATES[gates], {name: rule for name, rule in rules.items() if rule is not None}


def torch_recurrent_rule(native_name: str, gates: int, rank: int) -> tuple[str, Layout] | None:
    """The canonical name and the layout of a weight of PyTorch's recurrent layers; None for one of no such name."""
    for prefix, name in (
        ("weight_ih", "input_kernel"),
        ("weight_hh", "recurrent_kernel"),
        ("bias_ih", "bias"),
        ("bias_hh", "recurrent_bias"),
    ):
        if native_name.startswith(prefix):
            suffix = native_name.removeprefix(prefix).replace("_l0", "")
            axes, pattern = (
                (("gate", "out", "in"), "(g o) i -> g o i")
                if rank == 2
                else (("gate", "out"), "(g o) -> g o")
            )
            return name + suffix, Layout(axes, pattern, {"g": gates})
    return None


_KERAS_KERNELS = {
    "dense": ("dense", Layout(("out", "in"), "i o -> o i")),
    "conv1d": ("conv1d", Layout(("out", "in", "x"), "x i o -> o i x")),
    "conv2d": ("conv2d", Layout(("out", "in", "y", "x"), "y x i o -> o i y x")),
    "conv3d": ("conv3d", Layout(("out", "in", "z", "y", "x"), "z y x i o -> o i z y x")),
    "embedding": ("embedding", Layout(("token", "out"))),
}
_KERAS_NORMS = {"batch_normalization": ("batch_norm", 4), "layer_normalization": ("layer_norm", 2)}
"""Their kinds, and how many weights they have if none is left out."""


def _keras_layer(path: str, tensors: Sequence[StoredTensor]) -> tuple[str, Rules]:
    """Keras names the groups below ``layers`` after their class, and numbers the weights of each.

    Other groups have the names of a user's attributes. Weights left out, added or quantized move the numbers.
    """
    parents, _, last = path.rpartition("/")
    group = re.sub(r"_\d+$", "", last)
    if parents.rpartition("/")[2] != "layers" or any("float" not in tensor.dtype for tensor in tensors):
        return "other", {}
    if group in _KERAS_KERNELS and len(tensors) <= 2 and len(tensors[-1].shape) in (1, len(tensors[0].shape)):
        kind, layout = _KERAS_KERNELS[group]
        return kind, {"0": ("kernel", layout), "1": _OUT}
    if group in _KERAS_NORMS and len(tensors) == _KERAS_NORMS[group][1]:
        names = ("scale", "bias", "running_mean", "running_variance")
        channel = Layout(("channel",))
        return _KERAS_NORMS[group][0], {str(number): (name, channel) for number, name in enumerate(names)}
    return "other", {}
