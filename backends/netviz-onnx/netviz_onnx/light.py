"""Models without the values of their weights, which are handed over beside the graph: protobuf writes 2 GB at most."""

from __future__ import annotations

import math

from onnx import ModelProto, TensorProto

SMALL = 4096
"""Constants of up to so many bytes are part of what a model is; larger ones are its weights."""


def light(model: ModelProto) -> ModelProto:
    """A copy of a model without the values of its weights: it says that they lie elsewhere."""
    copy = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph, old = copy.graph, model.graph
    graph.name = old.name
    graph.node.extend(old.node)
    graph.input.extend(old.input)
    graph.output.extend(old.output)
    graph.sparse_initializer.extend(old.sparse_initializer)
    graph.quantization_annotation.extend(old.quantization_annotation)
    for tensor in old.initializer:
        graph.initializer.append(_elsewhere(tensor) if is_apart(tensor) else tensor)
    return copy


_WITH_ARRAYS = frozenset(
    (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)
)


def is_apart(tensor: TensorProto) -> bool:
    """Whether a tensor is handed to an executor as an array, beside the graph."""
    return tensor.data_type in _WITH_ARRAYS and (
        tensor.data_location == TensorProto.EXTERNAL or size_of(tensor) > SMALL
    )


def _elsewhere(tensor: TensorProto) -> TensorProto:
    stub = TensorProto(name=tensor.name, data_type=tensor.data_type, data_location=TensorProto.EXTERNAL)
    stub.dims.extend(tensor.dims)
    stub.external_data.add(key="location", value="in memory")
    return stub


def size_of(tensor: TensorProto) -> int:
    """How many numbers a stored tensor has, in bytes of 4: protobuf would write all of it to count them."""
    return 4 * math.prod(map(int, tensor.dims))
