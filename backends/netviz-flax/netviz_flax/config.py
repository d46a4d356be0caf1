"""The hyperparameters of Flax modules in netviz' one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .kinds import cell_of, flax_class

_NAMES = {
    "kernel_size": "kernel_size",
    "strides": "stride",
    "kernel_dilation": "dilation",
    "feature_group_count": "groups",
    "num_groups": "groups",
    "epsilon": "epsilon",
    "rate": "rate",
    "num_heads": "heads",
    "num_kv_heads": "key_value_heads",
    "head_dim": "head_dim",
    "num_embeddings": "tokens",
    "features": "units",
    "hidden_features": "units",
    "einsum_str": "equation",
}
"""Flax' attribute names in netviz' vocabulary."""


def config_of(module: Any, kind: str) -> Mapping[str, Any]:
    """The hyperparameters of a module; none for containers and for modules that netviz does not know."""
    if kind in ("container", "other"):
        return {}
    cell = cell_of(module)
    found = {ours: getattr(cell, theirs) for theirs, ours in _NAMES.items() if hasattr(cell, theirs)}
    if "conv" in kind:
        found |= {"out_channels": module.out_features, "data_format": "channels_last"} | _windows(
            module, kind
        )
    elif kind in ("dense", "einsum_dense") and hasattr(module, "out_features"):
        found["units"] = module.out_features
    elif kind == "instance_norm":
        found.pop("groups", None)
    elif kind in ("layer_norm", "rms_norm"):
        found["axis"] = module.reduction_axes
    elif kind == "batch_norm":
        # Flax counts what is kept of the old statistics; netviz, as PyTorch, what is taken from the new ones.
        found |= {"momentum": round(1 - module.momentum, 12), "axis": module.axis}
    elif kind == "attention":
        found["rate"] = module.dropout_rate
    elif kind == "activation":
        found["activation"] = "prelu"
    elif kind in ("lstm", "gru", "rnn"):
        found |= _recurrent(module, cell, kind)
    return found


def _recurrent(module: Any, cell: Any, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {"layers": 1, "activation": cell.activation_fn.__name__}
    if kind != "rnn":
        found["recurrent_activation"] = cell.gate_fn.__name__
    if kind == "gru":
        found["reset_after"] = True
    if flax_class(module) == "RNN":
        found |= {"return_sequences": True, "go_backwards": module.reverse}
    return found | ({"bidirectional": True} if flax_class(module) == "Bidirectional" else {})


def _windows(module: Any, kind: str) -> dict[str, Any]:
    """Strides, dilations and padding, each with one entry for each spatial axis."""
    size = tuple(module.kernel_size)
    strides, dilations = (
        (given or 1,) * len(size) if isinstance(given or 1, int) else tuple(given)
        for given in (module.strides, module.kernel_dilation)
    )
    reaches = [(length - 1) * step for length, step in zip(size, dilations, strict=True)]
    found: dict[str, Any] = {"kernel_size": size, "stride": strides, "dilation": dilations}
    if kind.endswith("_transpose"):
        return found | {"padding": _cut(module.padding, reaches, strides)}
    if kind.startswith("depthwise_"):
        found["depth_multiplier"] = module.out_features // module.feature_group_count
    word = module.padding.lower() if isinstance(module.padding, str) else ""
    if word in ("circular", "reflect"):
        found["padding_mode"] = word
    if word == "same" and set(strides) != {1}:
        return found | {"padding": word}
    return found | {"padding": _padded(module.padding, reaches)}


def _padded(padding: Any, reaches: list[int]) -> tuple[tuple[int, int], ...]:
    """What is added before and after each spatial axis; as much as fits one window where a word says how."""
    if padding == "VALID":
        return ((0, 0),) * len(reaches)
    if padding == "CAUSAL":
        return tuple((reach, 0) for reach in reaches)
    if isinstance(padding, str):
        return tuple((reach // 2, reach - reach // 2) for reach in reaches)
    each = (padding,) * len(reaches) if isinstance(padding, int) else padding
    return tuple((side, side) if isinstance(side, int) else tuple(side) for side in each)


def _cut(padding: Any, reaches: list[int], strides: tuple[int, ...]) -> Any:
    """What a transposed convolution cuts from both ends of all that it computes; less than nothing is added."""
    if padding == "CIRCULAR":
        return "circular"
    if not isinstance(padding, str):
        sides = _padded(padding, reaches)
        return tuple((r - before, r - after) for (before, after), r in zip(sides, reaches, strict=True))
    cuts = []
    for reach, stride in zip(reaches, strides, strict=True):
        whole = reach + stride - 1 + (max(reach + 1 - stride, 0) if padding == "VALID" else 0)
        before = reach if padding == "VALID" or stride > reach else (whole + 1) // 2
        cuts.append((reach - before, reach - (whole - before)))
    return tuple(cuts)
