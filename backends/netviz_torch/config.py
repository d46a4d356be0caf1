"""The hyperparameters of PyTorch modules in netviz' one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn.modules import padding
from torch.nn.parameter import is_lazy

from .kinds import is_quantized, native_class, own_parameters

_NAMES = {
    "kernel_size": "kernel_size",
    "stride": "stride",
    "padding": "padding",
    "output_padding": "output_padding",
    "padding_mode": "padding_mode",
    "dilation": "dilation",
    "groups": "groups",
    "num_groups": "groups",
    "out_channels": "out_channels",
    "out_features": "units",
    "nf": "units",
    "hidden_size": "units",
    "eps": "epsilon",
    "momentum": "momentum",
    "negative_slope": "negative_slope",
    "alpha": "alpha",
    "p": "rate",
    "dropout": "rate",
    "dim": "axis",
    "ceil_mode": "ceil_mode",
    "count_include_pad": "count_include_pad",
    "output_size": "output_size",
    "num_layers": "layers",
    "bidirectional": "bidirectional",
    "batch_first": "batch_first",
    "num_heads": "heads",
    "head_dim": "head_dim",
    "num_embeddings": "tokens",
    "embedding_dim": "units",
    "nonlinearity": "activation",
    "beta": "beta",
    "lambd": "threshold",
    "min_val": "min_value",
    "max_val": "max_value",
    "divisor_override": "divisor",
    "add_zero_attn": "add_zero_attention",
}
"""PyTorch's attribute names in netviz' vocabulary."""

_ACTIVATIONS = {
    "LeakyReLU": "leaky_relu",
    "LogSoftmax": "log_softmax",
    "Hardswish": "hard_silu",
    "Hardsigmoid": "hard_sigmoid",
    "Hardtanh": "hard_tanh",
    "LogSigmoid": "log_sigmoid",
    "Softmax2d": "softmax",
    "Hardshrink": "hard_shrink",
    "Softshrink": "soft_shrink",
    "Tanhshrink": "tanh_shrink",
}
"""Where lower case alone does not make netviz' name of a class."""

_RECURRENT: dict[str, dict[str, Any]] = {
    "lstm": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "gru": {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
}
"""What PyTorch's recurrent layers are without saying so."""

_PER_AXIS = ("kernel_size", "stride", "dilation", "output_padding", "output_size")

_POOLINGS = {"Max": "max", "Avg": "average", "LP": "power_average"}
"""What stands in the name of a pool's class."""

_PADDINGS = {
    "Constant": "zeros",
    "Zero": "zeros",
    "Reflection": "reflect",
    "Replication": "replicate",
    "Circular": "circular",
}
"""With what a layer pads, by what its class' name begins with: in the words that convolutions have for it."""


def config_of(module: nn.Module, kind: str) -> Mapping[str, Any]:
    """The hyperparameters of a module; none for containers and for modules that netviz does not know.

    Padding is what is added before and after each spatial axis; in a transposed convolution, what is cut off.
    """
    if type(module).__module__ == padding.__name__:
        return _of_padding(module)
    if isinstance(module, nn.Upsample):
        return _of_resizing(module)
    if kind in ("container", "other"):
        return {}
    attributes = vars(module)
    found = {ours: attributes[theirs] for theirs, ours in _NAMES.items() if theirs in attributes}
    found |= _RECURRENT.get(kind, {})
    _spread_over_axes(found, _spatial_rank(module))
    if kind.endswith("_transpose"):
        added = found.pop("output_padding")
        found["padding"] = tuple(
            (cut, cut - more) for (cut, _), more in zip(found["padding"], added, strict=True)
        )
    if kind.startswith("depthwise_"):
        found["depth_multiplier"] = _depth_multiplier(module)
    if isinstance(module, nn.RMSNorm) and module.eps is None:
        found["epsilon"] = torch.finfo(
            torch.get_default_dtype() if module.weight is None else module.weight.dtype
        ).eps
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
        found["axis"] = _last_axes(len(module.normalized_shape))
    if kind == "pool":
        found |= _of_pool(module)
    if is_quantized(module) and "ReLU" in type(module).__name__:
        found["activation"] = "relu"  # which quantized layers have built in
    if kind == "activation":
        found |= _of_activation(module)
    if any(map(is_lazy, own_parameters(module))):
        found["built"] = False
    return found


def _depth_multiplier(module: Any) -> int:
    """A scripted convolution has the attributes of one, and is none."""
    return int(module.out_channels // module.groups)


def _of_activation(module: nn.Module) -> dict[str, Any]:
    name = _torch_name(module)
    found: dict[str, Any] = {"activation": _ACTIVATIONS.get(name, name.lower())}
    if isinstance(module, nn.GELU):
        found["approximate"] = module.approximate != "none"
    if isinstance(module, nn.RReLU):
        # What it draws at random in training is fixed to the mean in evaluation.
        found["negative_slope"] = (module.lower + module.upper) / 2
    if isinstance(module, nn.Threshold):
        found |= {"threshold": module.threshold, "default_value": module.value}
    return found


def _of_pool(module: nn.Module) -> dict[str, Any]:
    name = _torch_name(module)
    pooling = next((word for part, word in _POOLINGS.items() if part in name), None)
    return {} if pooling is None or "Fractional" in name or "Unpool" in name else {"pooling": pooling}


def _of_padding(module: nn.Module) -> dict[str, Any]:
    """PyTorch counts the sides from the last axis on."""
    name, attributes = native_class(module).__name__, vars(module)
    sides = attributes["padding"]
    pairs = tuple(zip(sides[::2], sides[1::2], strict=True))[::-1]
    mode = next(word for part, word in _PADDINGS.items() if name.startswith(part))
    return {"padding": pairs, "padding_mode": mode} | (
        {"value": attributes["value"]} if mode == "zeros" else {}
    )


def _of_resizing(module: nn.Upsample) -> dict[str, Any]:
    """By how much, or to which size, and how what lies between is made."""
    size, factor = (
        tuple(told) if isinstance(told, (tuple, list)) else told
        for told in (module.size, module.scale_factor)
    )
    found = {"interpolation": module.mode, "align_corners": bool(module.align_corners)}
    found |= {"output_size": size} if size is not None else {"factor": factor}
    if module.mode == "bicubic":
        found["cubic_coefficient"] = -0.75
    if module.mode == "nearest":
        found["from_edge"] = True  # which of two places counts that are equally far away
    return found


def _torch_name(module: nn.Module) -> str:
    """What PyTorch calls a class; of a user's own, the class of PyTorch's that it comes from."""
    return _torch_name_of(native_class(module))  # type: ignore[arg-type]  # a class is hashable


@lru_cache
def _torch_name_of(cls: type[nn.Module]) -> str:
    return next(base.__name__ for base in cls.__mro__ if base.__module__.startswith("torch."))


def _last_axes(count: int) -> int | tuple[int, ...]:
    return -1 if count == 1 else tuple(range(-count, 0))


def _spatial_rank(module: nn.Module) -> int:
    """How many spatial axes a module works on, as its class' name says: ``MaxPool2d``."""
    return _rank_in(_torch_name(module))


@lru_cache
def _rank_in(name: str) -> int:
    return next((rank for rank in (1, 2, 3) if f"{rank}d" in name), 0)


def _spread_over_axes(config: dict[str, Any], rank: int) -> None:
    """Give sizes one number for each spatial axis, and padding a number for each side of it."""
    if not rank or not {"kernel_size", "output_size"} & config.keys():
        return
    for name in _PER_AXIS:
        if name in config:
            config[name] = _tuple(config[name], rank)
    if "padding" in config:
        config["padding"] = _resolved(config["padding"], config, rank)


def _resolved(padding: Any, config: Mapping[str, Any], rank: int) -> tuple[tuple[int, int], ...]:
    if padding == "valid":
        return ((0, 0),) * rank
    if padding == "same":
        dilation = config.get("dilation", (1,) * rank)
        lost = [(size - 1) * step for size, step in zip(config["kernel_size"], dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in lost)
    return tuple((side, side) for side in _tuple(padding, rank))


def _tuple(value: Any, rank: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
