"""The hyperparameters of Flax modules in netviz' one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netviz_core.backend_api import cut_by_xla, padded

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
        cut = module.padding == "CIRCULAR" or cut_by_xla(module.padding, reaches, strides)
        return found | {"padding": "circular" if cut is True else cut}
    if kind.startswith("depthwise_"):
        found["depth_multiplier"] = module.out_features // module.feature_group_count
    if module.padding in ("CIRCULAR", "REFLECT"):
        found["padding_mode"] = module.padding.lower()
    return found | {"padding": padded(module.padding, reaches, strides)}
