"""What each PyTorch module is in netviz' words."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import chain

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

_KIND_OF_CLASS: dict[type[nn.Module], str] = {
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
    nn.ConvTranspose1d: "conv1d_transpose",
    nn.ConvTranspose2d: "conv2d_transpose",
    nn.ConvTranspose3d: "conv3d_transpose",
    nn.Linear: "dense",
    nn.Embedding: "embedding",
    nn.EmbeddingBag: "embedding",
    _InstanceNorm: "instance_norm",
    _BatchNorm: "batch_norm",
    nn.LayerNorm: "layer_norm",
    nn.GroupNorm: "group_norm",
    nn.RMSNorm: "rms_norm",
    nn.LSTM: "lstm",
    nn.LSTMCell: "lstm",
    nn.GRU: "gru",
    nn.GRUCell: "gru",
    nn.RNN: "rnn",
    nn.RNNCell: "rnn",
    nn.MultiheadAttention: "attention",
    nn.Sequential: "container",
    nn.ModuleList: "container",
    nn.ModuleDict: "container",
}

_KIND_OF_HOME = {
    "torch.nn.modules.activation": "activation",
    "torch.nn.modules.pooling": "pool",
    "torch.nn.modules.dropout": "dropout",
    "torch.nn.modules.flatten": "reshape",
}
"""Whole families of modules, by the module that defines them."""

_INPUTS_FIRST = frozenset(("transformers.pytorch_utils.Conv1D",))
"""Dense layers of others, by their full names: their kernels have the inputs first."""

_DEPTHWISE = {"conv1d": "depthwise_conv1d", "conv2d": "depthwise_conv2d"}


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of a module without those of its children: what ``parameters`` takes ten times as long for."""
    return [parameter for parameter in module._parameters.values() if parameter is not None]


def own_tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    """The parameters and buffers of a module without those of its children."""
    return (own for own in chain(module._parameters.values(), module._buffers.values()) if own is not None)


def native_class(module: nn.Module) -> type[nn.Module]:
    """The class of a module; for one that was exported or scripted, that which it was made from."""
    cls = type(module)
    if _is_itself(cls):  # type: ignore[arg-type]  # a class is hashable
        return cls
    if isinstance(module, torch.jit.ScriptModule):
        full_name = re.sub(r"__torch__\.|___torch_mangle_\d+\.", "", module._c._type().qualified_name())
    else:
        full_name = vars(module).get("_ty", "")
    home, _, name = full_name.rpartition(".")
    if home.startswith("torch.nn.modules."):
        original = getattr(importlib.import_module(home), name, None)
        if isinstance(original, type):
            return original
    return cls


@lru_cache
def _is_itself(cls: type[nn.Module]) -> bool:
    """Whether a class is none of those that modules are exported or scripted to."""
    return cls.__module__.startswith("torch.nn.") and not issubclass(cls, torch.jit.ScriptModule)


def kind_of(module: nn.Module) -> str:
    """The kind of a module, subclasses of PyTorch's own included."""
    kind = _kind_of_class(native_class(module))  # type: ignore[arg-type]  # a class is hashable
    if kind is not None:
        return _refined(kind, module)
    return "container" if any(True for _ in module.children()) else "other"


@lru_cache
def _kind_of_class(cls: type[nn.Module]) -> str | None:
    for base in cls.__mro__:
        if _is_quantized(base.__module__):  # they go by the names of those that they replace
            base = getattr(nn, base.__name__, base)
        kind = _KIND_OF_CLASS.get(base) or _KIND_OF_HOME.get(base.__module__)
        if kind is not None:
            return kind
    return "dense" if _has_inputs_first(cls) else None  # type: ignore[arg-type]


def has_inputs_first(module: nn.Module) -> bool:
    """Whether the kernel of a dense layer stands transposed, as in transformers' ``Conv1D``."""
    return _has_inputs_first(native_class(module))  # type: ignore[arg-type]


@lru_cache
def _has_inputs_first(cls: type[nn.Module]) -> bool:
    return any(f"{base.__module__}.{base.__qualname__}" in _INPUTS_FIRST for base in cls.__mro__)


def is_quantized(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's own quantized layers."""
    return _is_quantized_class(native_class(module))  # type: ignore[arg-type]


@lru_cache
def _is_quantized_class(cls: type[nn.Module]) -> bool:
    return any(_is_quantized(base.__module__) for base in cls.__mro__)


@cache
def _is_quantized(home: str) -> bool:
    return re.match(r"torch\.ao\.nn\.(intrinsic\.|sparse\.)?quantized\b", home) is not None


def _refined(kind: str, module: nn.Module) -> str:
    if kind in _DEPTHWISE and 1 < getattr(module, "groups", 1) == module.in_channels:
        return _DEPTHWISE[kind]
    if kind == "group_norm" and module.num_groups == module.num_channels:
        return "instance_norm"
    return kind
