"""The hyperparameters of Keras layers in netviz' one vocabulary."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from netviz_core.backend_api import cut_by_xla, padded

from .engines import ENGINE
from .kinds import cells_of, keras_class
from .tensors import as_numpy, is_tensor

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
    "num_query_heads": "heads",
    "num_key_value_heads": "key_value_heads",
    "key_dim": "head_dim",
    "head_dim": "head_dim",
    "input_dim": "tokens",
    "output_dim": "units",
    "equation": "equation",
    "return_sequences": "return_sequences",
    "go_backwards": "go_backwards",
    "merge_mode": "merge_mode",
    "reset_after": "reset_after",
    "target_shape": "target_shape",
    "dims": "dims",
    "shared_axes": "shared_axes",
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


_OF_ACTIVATIONS = (
    "negative_slope",
    "alpha",
    "approximate",
    "max_value",
    "threshold",
    "default_value",
    "axis",
)
"""What activation functions take besides the values."""


_MAX_POOLS = tuple(f"{way}MaxPooling{rank}D" for way in ("", "Global", "Adaptive") for rank in (1, 2, 3))

_CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")


def config_of(layer: Any, kind: str) -> Mapping[str, Any]:
    """The hyperparameters of a layer; none for containers and for layers that netviz does not know.

    Padding is what is added before and after each spatial axis; in a transposed convolution, what is cut off.
    """
    if kind in ("container", "other", "input"):
        return (_of_preprocessing(layer) or _of_resizing(layer)) if kind == "other" else {}
    if not isinstance(layer, keras.Layer):
        return _of_operation(layer, kind)
    if keras_class(layer, ("Bidirectional",)):
        directions = {"bidirectional": True, "merge_mode": layer.merge_mode}
        return {**config_of(layer.forward_layer, kind), **directions}
    found = {
        ours: _plain(getattr(layer, theirs))
        for theirs, ours in _CONFIG_NAMES.items()
        if hasattr(layer, theirs)
        and not isinstance(getattr(layer, theirs), keras.Variable)  # which is a weight
    }
    if not layer.built:
        found["built"] = False
    if kind in ("lstm", "gru", "rnn"):
        found |= _of_cells(cells_of(layer))
    if "padding" in found and "kernel_size" in found:
        found["padding"] = _padding(found, kind)
    if kind.startswith("depthwise_") and layer.built:
        found |= _of_depthwise(layer)
    if kind == "instance_norm":
        del found["groups"]
    if kind in ("layer_norm", "rms_norm") and isinstance(found["axis"], tuple) and len(found["axis"]) == 1:
        (found["axis"],) = found["axis"]
    if kind == "batch_norm":
        # Keras counts what is kept of the old statistics; netviz, as PyTorch, what is taken from the new ones.
        found |= {"momentum": round(1 - layer.momentum, 12), "kept": layer.momentum}
    if kind == "pool":
        found |= _of_pool(layer)
    for name in ("activation", "recurrent_activation"):
        if callable(getattr(layer, name, None)):
            found |= _of_function(getattr(layer, name), name)
    if kind == "activation":
        found.setdefault("activation", _of_class(layer, found))
    return found


def _of_operation(operation: Any, kind: str) -> Mapping[str, Any]:
    """An activation that was written as a function in a functional graph."""
    if kind != "activation":
        return {}
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(operation).__name__).lower()
    own = {name: getattr(operation, name) for name in _OF_ACTIVATIONS if hasattr(operation, name)}
    return {"activation": name, **own}


def _of_preprocessing(layer: Any) -> dict[str, Any]:
    """Padding, and what brings inputs to a scale."""
    if keras_class(layer, ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")):
        sides = _plain(layer.padding)
        pairs = sides if isinstance(sides[0], tuple) else (sides,)
        return {"padding": pairs, "padding_mode": "zeros", "data_format": layer.data_format}
    if keras_class(layer, ("Rescaling",)):
        # Keras takes several numbers for those of channels, which it expects where its global setting says.
        axis = -1 if keras.config.image_data_format() == "channels_last" else -3
        return {"scale": _numbers(layer.scale), "offset": _numbers(layer.offset), "axis": axis}
    if keras_class(layer, ("Normalization",)) and layer.built and len(layer.axis) < 2:
        taken = {name: _numbers(getattr(layer, name)) for name in ("mean", "variance")}
        along = {"axis": layer.axis[0]} if layer.axis else {}
        return {**taken, **along, "invert": layer.invert, "epsilon": keras.config.epsilon()}
    return {}


def _of_resizing(layer: Any) -> dict[str, Any]:
    """By how much, or to which size, and how what lies between is made."""
    if keras_class(layer, ("UpSampling1D", "UpSampling2D", "UpSampling3D")):
        found: dict[str, Any] = {"factor": _plain(layer.size)}
    elif keras_class(layer, ("Resizing",)) and not (layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio):
        found = {"output_size": (layer.height, layer.width), "antialias": layer.antialias}
    else:
        return {}
    found |= {"interpolation": getattr(layer, "interpolation", "nearest"), "align_corners": False}
    if found["interpolation"] == "bicubic":
        found["cubic_coefficient"] = ENGINE.cubic_coefficient
    return {**found, "data_format": getattr(layer, "data_format", "channels_last")}


def _numbers(value: Any) -> Any:
    """One number, or those along an axis."""
    values = np.asarray(as_numpy(value) if is_tensor(value) else value)
    return values.item() if values.size == 1 else _plain(values.squeeze().tolist())


def _of_pool(layer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"pooling": "max" if keras_class(layer, _MAX_POOLS) else "average"}
    if keras_class(layer, ("BaseGlobalPooling",)):
        found["output_size"] = (1,) * (layer.input_spec.ndim - 2)
    elif keras_class(layer, ("BaseAdaptivePooling",)):
        found["output_size"] = _plain(layer.output_size)
    elif found["pooling"] == "average":
        found["count_include_pad"] = False
        if layer.padding == "same" and ENGINE.pads_unevenly_with_edges:
            found["uneven_padding_mode"] = "replicate"
    return found


def _of_cells(cells: list[Any]) -> dict[str, Any]:
    """A recurrent layer is made like its first cell."""
    own = {"layers": len(cells)}
    known = cells and keras_class(cells[0], _CELLS)
    return {**config_of(cells[0], "cell"), **own} if known else own


def _of_depthwise(layer: Any) -> dict[str, Any]:
    """The numbers of a depthwise convolution as those of the grouped one that it is."""
    if hasattr(layer, "depth_multiplier"):
        groups, multiplier = layer.kernel.shape[-2:]
        return {"groups": groups, "out_channels": groups * multiplier}
    return {"depth_multiplier": layer.filters // layer.groups}


def _of_class(layer: Any, config: Mapping[str, Any]) -> str:
    if config.get("max_value") == 6 and not (config["negative_slope"] or config["threshold"]):
        return "relu6"
    name = keras_class(layer, _ACTIVATION_OF_CLASS)
    return _ACTIVATION_OF_CLASS.get(name, type(layer).__name__.lower())


def _of_function(function: Any, role: str) -> dict[str, Any]:
    """A function's name, and what it takes besides the values: as bound, else by default."""
    bound: dict[str, Any] = {}
    if isinstance(function, partial):
        function, bound = function.func, function.keywords
    found = {role: _name_of(function)}
    own: Any = getattr(keras.activations, found[role], None)
    if role == "activation" and own is function:
        defaults = {name: p.default for name, p in inspect.signature(function).parameters.items()}
        found |= {name: value for name, value in {**defaults, **bound}.items() if name in _OF_ACTIVATIONS}
    return found


def _padding(config: dict[str, Any], kind: str) -> Any:
    """What is added before and after each axis or, where a layer is transposed, cut from both ends."""
    sizes, strides = config["kernel_size"], config["stride"]
    dilations = config.get("dilation", (1,) * len(sizes))
    reaches = [(size - 1) * dilation for size, dilation in zip(sizes, dilations, strict=True)]
    if kind.endswith("_transpose"):
        return _cut(config["padding"], reaches, strides, config.pop("output_padding", None))
    return padded(config["padding"], reaches, strides)


def _cut(
    padding: str, reaches: Sequence[int], strides: Sequence[int], output_padding: Any
) -> tuple[tuple[int, int], ...]:
    """What a transposed convolution cuts; ``output_padding`` is Keras' own way to say it."""
    if output_padding is None:
        return cut_by_xla(padding.upper(), reaches, strides)
    added = output_padding if isinstance(output_padding, tuple) else (output_padding,) * len(reaches)
    if padding == "valid":
        return tuple((0, -more) for more in added)
    cuts = []
    for reach, more in zip(reaches, added, strict=True):
        kept = reach - reach % 2 + more
        before = min((kept + 1) // 2, reach)
        cuts.append((reach - before, reach - (kept - before)))
    return tuple(cuts)


def _name_of(function: Any) -> str:
    """The name of a function, or that of the class of an object that is called like one."""
    return str(getattr(function, "__name__", type(function).__name__))


def _plain(value: Any) -> Any:
    if is_tensor(value):
        return _numbers(value)
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value
