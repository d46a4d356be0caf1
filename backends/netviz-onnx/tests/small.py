"""Small ONNX models, made node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray],
    opset: int = 20,
    dtype: int = TensorProto.FLOAT,
    **more: Any,
) -> ModelProto:
    """A model of these nodes; inputs by name, with their shapes."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    imports = more.pop("opset_imports", [helper.make_opsetid("", opset)])
    made = helper.make_model(graph, opset_imports=imports, ir_version=8, **more)
    for value in made.graph.output:
        value.type.tensor_type.ClearField("shape")
    return made


def convolutional(opset: int = 20) -> ModelProto:
    """A convolution, a norm, a pool and a dense layer, in two scopes."""
    random = np.random.default_rng(0)
    draw = lambda *shape: random.normal(size=shape).astype("float32")  # noqa: E731
    nodes = [
        helper.make_node(
            "Conv", ["x", "c.weight", "c.bias"], ["c"], "/body/c/Conv", kernel_shape=[3, 3], pads=[1] * 4
        ),
        helper.make_node(
            "BatchNormalization", ["c", "n.s", "n.b", "n.m", "n.v"], ["n"], "/body/n/BatchNormalization"
        ),
        helper.make_node("Relu", ["n"], ["r"], "/body/r/Relu"),
        helper.make_node("Add", ["r", "c"], ["a"], "/body/Add"),
        helper.make_node("GlobalAveragePool", ["a"], ["p"], "/pool/GlobalAveragePool"),
        helper.make_node("Flatten", ["p"], ["f"], "/Flatten"),
        helper.make_node("Gemm", ["f", "d.weight", "d.bias"], ["y"], "/d/Gemm", transB=1),
    ]
    constants = {
        "c.weight": draw(4, 3, 3, 3), "c.bias": draw(4), "n.s": draw(4), "n.b": draw(4), "n.m": draw(4),
        "n.v": np.abs(draw(4)), "d.weight": draw(5, 4), "d.bias": draw(5),
    }  # fmt: skip
    return model(nodes, {"x": ["n", 3, 8, 8]}, ["y"], constants, opset)


def plain(native: ModelProto, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """What a session returns that was asked for these tensors as outputs."""
    import onnxruntime

    other = ModelProto()
    other.CopyFrom(native)
    has = {value.name for value in other.graph.output}
    other.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in has)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        other.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(list(names), dict(feeds)), strict=True))
