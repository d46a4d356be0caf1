"""The hyperparameters of Keras layers in netviz' one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

_CONFIG_NAMES = {
    "kernel_size": "kernel_size",
    "pool_size": "kernel_size",
    "strides": "stride",
    "padding": "padding",
    "output_padding": "output_padding",
    "dilation_rate": "dilation",
    "groups": "groups",
    "depth_multiplier": "depth_multiplier",
    "epsilon": "epsilon",
    "negative_slope": "negative_slope",
    "alpha": "alpha",
    "max_value": "max_value",
    "threshold": "threshold",
    "rate": "rate",
    "dropout": "rate",
    "recurrent_dropout": "recurrent_rate",
    "stddev": "stddev",
    "axis": "axis",
    "data_format": "data_format",
    "units": "units",
    "filters": "out_channels",
    "num_heads": "heads",
    "key_dim": "head_dim",
    "equation": "equation",
    "return_sequences": "return_sequences",
    "go_backwards": "go_backwards",
    "merge_mode": "merge_mode",
    "reset_after": "reset_after",
    "target_shape": "target_shape",
    "dims": "dims",
    "keepdims": "keepdims",
}
"""Keras' attribute names in netviz' vocabulary."""

_ACTIVATION_OF_CLASS = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
    "Softmax": "softmax",
}


def config_of(layer: Any, kind: str) -> Mapping[str, Any]:
    """The hyperparameters of a layer; none for containers and for layers that netviz does not know."""
    if kind in ("container", "other", "input") or not isinstance(layer, keras.Layer):
        return {}
    found = {
        ours: _plain(getattr(layer, theirs))
        for theirs, ours in _CONFIG_NAMES.items()
        if hasattr(layer, theirs)
    }
    if not layer.built:
        found["built"] = False
    if "padding" in found and "kernel_size" in found:
        found["padding"] = _resolved(kind, found)
    if kind == "batch_norm":
        # Keras counts what is kept of the old statistics; netviz, as PyTorch, what is taken from the new ones.
        found["momentum"] = round(1 - layer.momentum, 12)
    for name in ("activation", "recurrent_activation"):
        if callable(getattr(layer, name, None)):
            found[name] = _name_of(getattr(layer, name))
    if kind == "activation":
        found.setdefault(
            "activation", _ACTIVATION_OF_CLASS.get(type(layer).__name__, type(layer).__name__.lower())
        )
    return found


def _resolved(kind: str, config: Mapping[str, Any]) -> Any:
    """Padding as (before, after) along each axis, where that does not depend on the input's size."""
    padding, sizes = config["padding"], config["kernel_size"]
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    dilations = config.get("dilation", (1,) * len(sizes))
    lost = [(size - 1) * dilation for size, dilation in zip(sizes, dilations, strict=True)]
    if padding == "causal":
        return tuple((total, 0) for total in lost)
    if set(config["stride"]) == {1} and not kind.endswith("_transpose"):
        return tuple((total // 2, total - total // 2) for total in lost)
    return padding


def _name_of(function: Any) -> str:
    described = keras.activations.serialize(function)
    return described if isinstance(described, str) else getattr(function, "__name__", type(function).__name__)


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value
