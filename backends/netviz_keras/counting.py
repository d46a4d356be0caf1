"""How many parameters Keras counts, and inputs made of nothing but their shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras.src import tree

from netviz_core.backend_api import InputError

from .graph import graph_of
from .inputs import required_inputs
from .layers import walk


def parameter_count(model: Any) -> int:
    """Keras' own number.

    Raises
    ------
    InputError
        If the model has not made its weights yet.
    """
    if not model.built:
        raise InputError(
            f"{model.name!r} makes its weights only when it first sees an input, and has seen none; call it once, "
            f"or give x"
        )
    return int(model.count_params())


def example_of(model: Any, shapes: Sequence[Sequence[int]] | None) -> Any:
    """Inputs of these shapes, or of those that the model declares, see `SupportsInputForms`."""
    graph = graph_of(model)
    declared = _declared(model, graph)
    flat = [] if declared is None else keras.tree.flatten(declared)
    if shapes is None:
        if declared is None:
            raise InputError(f"{model.name!r} does not say what shape its input has; give x, a batch")
        shapes = [_closed(tensor) for tensor in flat]
    elif graph is not None and len(shapes) != len(flat):
        raise InputError(f"{len(shapes)} shapes were given; the model takes {len(flat)} inputs")
    random = np.random.default_rng(0)
    usual = "int32" if _takes_tokens(model) else keras.config.floatx()
    dtypes = [tensor.dtype for tensor in flat] if len(flat) == len(shapes) else [usual] * len(shapes)
    made = [_made(shape, dtype, random) for shape, dtype in zip(shapes, dtypes, strict=True)]
    if len(flat) == len(made):
        return keras.tree.pack_sequence_as(declared, made)
    return tuple(made) if len(made) > 1 else made[0]


def _declared(model: Any, graph: Any) -> Any:
    """The inputs that a graph declares, or that a model was built for; None if neither is known."""
    if graph is not None:
        return graph.input
    config = (model.get_build_config() or {}) if model.built else {}
    dtype = "int32" if _takes_tokens(model) else model.compute_dtype

    def symbols(shapes: Any) -> Any:
        return tree.map_shape_structure(lambda shape: keras.KerasTensor(shape, dtype, name="input"), shapes)

    # Of several inputs Keras may have kept the shape of the first one only.
    if config.get("input_shape") is not None and len(required_inputs(model)) <= 1:
        return symbols(config["input_shape"])
    named = config.get("shapes_dict")
    return named and {name.removesuffix("_shape"): symbols(shapes) for name, shapes in named.items()}


def _takes_tokens(model: Any) -> bool:
    """Whether the first layer with no others within takes integers."""
    first = next((layer for layer in walk(model) if layer.kind not in ("container", "input")), None)
    return first is not None and first.kind == "embedding"


def _closed(tensor: Any) -> tuple[int, ...]:
    """The shape of a declared input with a batch of one, where that is open."""
    batch, *rest = tensor.shape or (None,)
    if None in rest:
        sizes = ", ".join("any" if size is None else str(size) for size in tensor.shape)
        raise InputError(
            f"the model leaves sizes of its input {tensor.name!r} open: ({sizes}); give x, a batch"
        )
    return (1 if batch is None else batch, *rest) if tensor.shape else ()


def _made(shape: Sequence[int], dtype: str, random: np.random.Generator) -> Any:
    if dtype == "string":
        raise InputError("the model takes strings, of which no example can be made from a shape; give x")
    if not keras.backend.is_float_dtype(dtype):
        return keras.ops.zeros(tuple(shape), dtype)
    values = random.standard_normal(math.prod(shape)).reshape(tuple(shape))
    return keras.ops.convert_to_tensor(values, dtype=dtype)
