"""What each PyTorch module is in netviz' words: its kind and its configuration."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

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

_DEPTHWISE = {"conv1d": "depthwise_conv1d", "conv2d": "depthwise_conv2d"}

_CONFIG_NAMES = {
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "in_features": "in_channels",
    "out_features": "out_channels",
    "kernel_size": "kernel_size",
    "stride": "stride",
    "padding": "padding",
    "output_padding": "output_padding",
    "padding_mode": "padding_mode",
    "dilation": "dilation",
    "groups": "groups",
    "num_groups": "groups",
    "eps": "epsilon",
    "momentum": "momentum",
    "negative_slope": "negative_slope",
    "alpha": "alpha",
    "approximate": "approximate",
    "p": "rate",
    "dropout": "rate",
    "dim": "axis",
    "ceil_mode": "ceil_mode",
    "count_include_pad": "count_include_pad",
    "output_size": "output_size",
    "hidden_size": "units",
    "num_layers": "layers",
    "bidirectional": "bidirectional",
    "batch_first": "batch_first",
    "num_heads": "heads",
    "nonlinearity": "activation",
}
"""PyTorch's attribute names in netviz' vocabulary."""

_ACTIVATION_NAMES = {
    "SiLU": "silu",
    "LeakyReLU": "leaky_relu",
    "LogSoftmax": "log_softmax",
    "Hardswish": "hard_silu",
    "Hardsigmoid": "hard_sigmoid",
    "Hardtanh": "hard_tanh",
    "LogSigmoid": "log_sigmoid",
    "Softmax2d": "softmax",
}


def native_class(module: nn.Module) -> type[nn.Module]:
    """The class of a module; for one that was exported or scripted, that which it was made from."""
    if isinstance(module, torch.jit.RecursiveScriptModule):
        full_name = module._c._type().qualified_name().removeprefix("__torch__.")
    else:
        full_name = getattr(module, "_ty", "")
    home, _, name = full_name.rpartition(".")
    if home.startswith("torch.nn.modules."):
        original = getattr(importlib.import_module(home), name, None)
        if isinstance(original, type):
            return original
    return type(module)


def kind_of(module: nn.Module) -> str:
    """The kind of a module, subclasses of PyTorch's own included."""
    for cls in native_class(module).__mro__:
        kind = _KIND_OF_CLASS.get(cls) or _KIND_OF_HOME.get(cls.__module__)
        if kind is not None:
            return _refined(kind, module)
    return "container" if any(True for _ in module.children()) else "other"


def _refined(kind: str, module: nn.Module) -> str:
    if kind in _DEPTHWISE and 1 < getattr(module, "groups", 1) == module.in_channels:
        return _DEPTHWISE[kind]
    return kind


def config_of(module: nn.Module, kind: str) -> Mapping[str, Any]:
    """The hyperparameters of a module in netviz' vocabulary."""
    if kind in ("container", "other"):
        return {}
    attributes = vars(module)
    found = {
        ours: _plain(attributes[theirs]) for theirs, ours in _CONFIG_NAMES.items() if theirs in attributes
    }
    if kind == "activation":
        name = native_class(module).__name__
        found["activation"] = _ACTIVATION_NAMES.get(name, name.lower())
    return found


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
