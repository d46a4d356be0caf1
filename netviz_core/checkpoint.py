"""Weights without a model: state dicts, and the files that hold them, read only where they are looked at.

The names of the tensors tell the layers; names and shapes together tell what kind of layer it was
where they can: PyTorch's names (``layer1.0.conv1.weight``) and those of Keras' ``.weights.h5``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .errors import UnsupportedError
from .weights import Layout, Weight, positional_layout

if TYPE_CHECKING:
    from .recorder import Recorder


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
    """

    def __init__(self, tensors: Mapping[str, StoredTensor]) -> None:
        self.tensors = dict(tensors)


def from_mapping(state: Mapping[str, Any], read: Callable[[Any], np.ndarray[Any, Any]]) -> Checkpoint | None:
    """See a state dict as a checkpoint, or nothing if there is no tensor in it.

    Parameters
    ----------
    state : mapping
        From name to tensor, or to a mapping of tensors.
    read : callable
        Brings a tensor to NumPy.
    """
    tensors = {
        name: StoredTensor(tuple(value.shape), str(value.dtype).rpartition(".")[2], partial(read, value))
        for name, value in _flattened(state)
    }
    return Checkpoint(tensors) if tensors else None


def _flattened(state: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}.")
        elif hasattr(value, "shape") and hasattr(value, "dtype"):
            yield f"{prefix}{name}", value


@dataclass(frozen=True)
class StoredLayer:
    """A `Layer` of a checkpoint: the tensors whose names differ in their last part alone."""

    path: str
    kind: str
    weights: Mapping[str, Weight]
    native: Mapping[str, StoredTensor]
    type_name: str = "checkpoint"
    trainable: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)


class CheckpointBackend:
    """A `Backend` for weights alone: lists layers, and computes nothing."""

    name = "checkpoint"

    def accepts(self, model: object) -> bool:
        """Whether `model` is a `Checkpoint`."""
        return isinstance(model, Checkpoint)

    def layers(self, model: Checkpoint) -> Iterator[StoredLayer]:
        """Yield the layers that the names tell of, in the order of the checkpoint."""
        groups: dict[str, dict[str, StoredTensor]] = {"": {}}
        for name, tensor in model.tensors.items():
            path, _, last = _split(name)
            groups.setdefault(path, {})[last] = tensor
        following = [*list(groups.values())[1:], {}]
        for (path, tensors), after in zip(groups.items(), following, strict=True):
            kind, rules = _recognised(path, tensors, after)
            yield StoredLayer(
                path, "container" if not path else kind, _weights(path, tensors, rules), dict(tensors)
            )

    def run(self, model: Checkpoint, inputs: Any, recorder: Recorder | None = None) -> NoReturn:
        """Refuse: there is nothing to run."""
        raise UnsupportedError("a checkpoint holds weights and no computation; give the model itself")

    def record(self, model: Checkpoint, recorder: Recorder) -> AbstractContextManager[None]:
        """Refuse: there is nothing to run."""
        self.run(model, None)


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


def _weights(path: str, tensors: Mapping[str, StoredTensor], rules: Rules) -> dict[str, Weight]:
    found = {}
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
    if "0" in tensors:
        return _keras_layer(path)
    if "weight_ih_l0" in tensors and "weight_hh_l0" in tensors:
        return _torch_recurrent(tensors)
    if "running_mean" in tensors:
        return "batch_norm", {native: (name, Layout(("channel",))) for native, name in _TORCH_NORM.items()}
    weight = tensors.get("weight")
    rank = len(weight.shape) if weight is not None else 0
    if weight is not None and rank in _SPATIAL:
        return _torch_convolution(weight, tensors, following)
    if rank == 2 and re.search(r"embed|wte|wpe|token", path.lower()):
        return "embedding", {"weight": ("kernel", Layout(("token", "out")))}
    if rank == 2:
        return "dense", {"weight": ("kernel", Layout(("out", "in"))), "bias": _OUT}
    return "other", {}


def _torch_convolution(
    weight: StoredTensor, tensors: Mapping[str, StoredTensor], following: Mapping[str, StoredTensor]
) -> tuple[str, Rules]:
    """A transposed convolution stores (in, out, …): the length of its bias, or of the norm behind it, tells.

    Where that does not, it counts as a plain convolution, but the first two axes stay without a name.
    """
    rank = len(weight.shape)
    witness = tensors.get("bias") or following.get("running_mean")
    outputs = witness.shape[0] if witness is not None else None
    kind, axes = f"conv{rank - 2}d", _SPATIAL[rank]
    if outputs is None or weight.shape[0] == weight.shape[1]:
        return kind, {"weight": ("kernel", Layout(("axis0", "axis1", *axes))), "bias": _OUT}
    if outputs == weight.shape[1]:
        spatial = " ".join(axes)
        layout = Layout(("out", "in", *axes), f"i o {spatial} -> o i {spatial}")
        return f"{kind}_transpose", {"weight": ("kernel", layout), "bias": _OUT}
    return kind, {"weight": ("kernel", Layout(("out", "in", *axes))), "bias": _OUT}


def _torch_recurrent(tensors: Mapping[str, StoredTensor]) -> tuple[str, Rules]:
    rows, columns = tensors["weight_hh_l0"].shape
    gates = rows // columns
    matrix = Layout(("gate", "out", "in"), "(g o) i -> g o i", {"g": gates})
    vector = Layout(("gate", "out"), "(g o) -> g o", {"g": gates})
    stems = {
        "weight_ih": ("input_kernel", matrix),
        "weight_hh": ("recurrent_kernel", matrix),
        "bias_ih": ("bias", vector),
        "bias_hh": ("recurrent_bias", vector),
    }
    rules = {}
    for native in tensors:
        for stem, (name, layout) in stems.items():
            if native.startswith(stem):
                rules[native] = (name + native.removeprefix(stem).replace("_l0", ""), layout)
    return _GATES.get(gates, "other"), rules if gates in _GATES else {}


_KERAS_KERNELS = {
    "dense": ("dense", Layout(("out", "in"), "i o -> o i")),
    "conv1d": ("conv1d", Layout(("out", "in", "x"), "x i o -> o i x")),
    "conv2d": ("conv2d", Layout(("out", "in", "y", "x"), "y x i o -> o i y x")),
    "conv3d": ("conv3d", Layout(("out", "in", "z", "y", "x"), "z y x i o -> o i z y x")),
    "embedding": ("embedding", Layout(("token", "out"))),
}
_KERAS_NORMS = {"batch_normalization": "batch_norm", "layer_normalization": "layer_norm"}


def _keras_layer(path: str) -> tuple[str, Rules]:
    """Keras names a layer's group after its class, and numbers its weights."""
    group = re.sub(r"_\d+$", "", path.rpartition("/")[2])
    if group in _KERAS_KERNELS:
        kind, layout = _KERAS_KERNELS[group]
        return kind, {"0": ("kernel", layout), "1": _OUT}
    if group in _KERAS_NORMS:
        names = ("scale", "bias", "running_mean", "running_variance")
        channel = Layout(("channel",))
        return _KERAS_NORMS[group], {str(number): (name, channel) for number, name in enumerate(names)}
    return "other", {}
