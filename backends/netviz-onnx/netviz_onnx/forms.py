"""The shapes of all tensors of a pass, inferred from those of its inputs, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from .held import Held
from .light import light

Shape = tuple[int, ...]


class Form(NamedTuple):
    """What is known of a tensor: its shape, if each length is, and its native type's number."""

    shape: Shape | None
    dtype: int


def forms(
    held: Held, shapes: Mapping[str, Shape], lengths: Mapping[str, np.ndarray[Any, Any]]
) -> Mapping[str, Form]:
    """The forms of tensors by name, as far as they can be told.

    Parameters
    ----------
    held : Held
    shapes : mapping
        Of the inputs.
    lengths : mapping
        What the model computes from these shapes alone, as far as that is known: inference follows little of it.
    """
    model = light(held.model)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in lengths.items())
    left = [node for node in model.graph.node if not lengths.keys() & set(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(left)
    for value in model.graph.input:
        if value.name in shapes and value.type.HasField("tensor_type"):
            fixed = helper.make_tensor_type_proto(value.type.tensor_type.elem_type, shapes[value.name])
            value.type.CopyFrom(fixed)
    del model.graph.value_info[:]  # which may say less, or something else, than the inputs do
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        model = shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # what is wrong with a model it says when it runs
        return {}
    graph = model.graph
    return {value.name: _form(value) for value in (*graph.input, *graph.value_info, *graph.output)}


def _form(value: onnx.ValueInfoProto) -> Form:
    tensor = value.type.tensor_type
    lengths = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    known = tensor.HasField("shape") and None not in lengths
    return Form(tuple(n for n in lengths if n is not None) if known else None, tensor.elem_type)
