"""Graphs that are not as their operators have them: a sentence, in time, whatever is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper
from small import convolutional, model

import netviz_core as nv


def one(
    op: str, reads: list[str], constants: dict[str, np.ndarray] | None = None, **settings: Any
) -> ModelProto:
    """A graph of one node, which reads 'x', (n, 4)."""
    node = helper.make_node(op, reads, ["y"], **settings)
    return model([node], {"x": ["n", 4]}, ["y"], constants or {})


def altered(change: Callable[[onnx.TensorProto], object]) -> ModelProto:
    """A network one of whose stored tensors is changed."""
    made = convolutional()
    change(next(tensor for tensor in made.graph.initializer if tensor.name == "d.weight"))
    return made


def cyclic() -> ModelProto:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    return model(nodes, {"x": ["n", 4]}, ["b"], {})


def unfolding(depth: int, calls_itself: bool = False) -> ModelProto:
    """Functions each of which calls the one before twice; or one that calls itself."""
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]

    def twice(number: int) -> onnx.FunctionProto:
        name = f"F{number if calls_itself else number - 1}"
        nodes = [helper.make_node(name, [a], [b], domain="own") for a, b in ("ac", "cb")]
        nodes = nodes if number else [helper.make_node("Relu", ["a"], ["b"])]
        return helper.make_function("own", f"F{number}", ["a"], ["b"], nodes, imports)

    node = helper.make_node(f"F{depth}", ["x"], ["y"], domain="own")
    functions = [twice(number) for number in range(depth + 1)]
    return model([node], {"x": ["n", 4]}, ["y"], {}, functions=functions, opset_imports=imports)


def with_opset(version: int) -> ModelProto:
    made = convolutional()
    made.opset_import[0].version = version
    return made


W = np.ones((3, 4, 3), "float32")
STRANGE: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "a cycle": (cyclic, "cannot run this model"),
    "an input from nowhere": (lambda: one("Add", ["x", "nowhere"]), "nowhere"),
    "an input that is missing": (lambda: one("Gemm", ["x"]), "Gemm"),
    "no inputs": (lambda: one("Conv", []), "Conv"),
    "axes that are not there": (lambda: one("Transpose", ["x"], perm=[7, 3]), "perm"),
    "an axis beyond the last": (lambda: one("Softmax", ["x"], axis=9), "axis"),
    "lists of other lengths": (lambda: one("Conv", ["x", "w"], {"w": W}, pads=[1], strides=[1, 2]), "at least 3 dim"),
    "a text for numbers": (lambda: one("Conv", ["x", "w"], {"w": W}, strides="two"), "attribute"),
    "gates that do not divide": (
        lambda: one("LSTM", ["x", "w", "r"], {"w": W[:1], "r": W[:1]}, hidden_size=3),
        "cannot run this model",
    ),
    "what fails in a pass": (
        lambda: one("Clip", ["x", "low"], {"low": np.zeros(4, "f")}), "cannot run this model: .*scalar",
    ),
    "more numbers than there are": (
        lambda: altered(lambda t: t.dims.__setitem__(0, 2**40)), "do not fill its shape|more than max_bytes",
    ),
    "fewer numbers than none": (lambda: altered(lambda t: t.dims.__setitem__(0, -5)), "dimensions|shape"),
    "an unknown dtype": (lambda: altered(lambda t: setattr(t, "data_type", 99)), "data type"),
    "a constant that no machine holds": (
        lambda: one("ConstantOfShape", ["s"], {"s": np.array([2**20, 2**20])}), "4,398,046,511,104 bytes",
    ),
    "functions that unfold without end": (lambda: unfolding(30), "unfold to 1,073,741,824 nodes"),
    "a function that calls itself": (lambda: unfolding(1, calls_itself=True), "call themselves"),
    "an opset to come": (lambda: with_opset(99), "opset"),
    "an opset long gone": (lambda: with_opset(1), "cannot run this model"),
}  # fmt: skip
"""By name: what makes the graph, and what it is refused with."""


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("ask", [nv.summary, nv.capture, nv.graph, nv.health])
def test_what_is_no_right_graph_is_refused_with_a_sentence(name: str, ask: Callable[..., Any]) -> None:
    make, told = STRANGE[name]
    made = make()
    sizes = [dim.dim_value or 2 for dim in made.graph.input[0].type.tensor_type.shape.dim]
    with pytest.raises(nv.NetvizError, match=told) as refused:
        ask(made, np.ones(sizes, "float32"))
    assert "\n" not in str(refused.value)
    assert "onnxruntime_src" not in str(refused.value)


@pytest.mark.parametrize("name", [name for name in STRANGE if "function" not in name])
def test_what_a_wrong_graph_holds_is_listed_without_running_it(name: str) -> None:
    assert nv.wrap(STRANGE[name][0]()).layers[""].kind == "container"


def test_a_node_that_returns_nothing_is_none() -> None:
    nodes = [helper.make_node("Relu", ["x"], []), helper.make_node("Neg", ["x"], ["y"])]
    captured = nv.capture(model(nodes, {"x": ["n", 4]}, ["y"], {}), np.ones((2, 4), "float32"))
    assert list(captured) == ["Neg", ""]


@pytest.mark.parametrize("field", ["offset", "length"])
def test_a_place_in_a_file_that_is_no_number_is_refused(field: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(convolutional(), path, save_as_external_data=True, location="m.data", size_threshold=64)
    native = onnx.load(path, load_external_data=False)
    for tensor in native.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "many" if entry.key == field else entry.value
    path.write_bytes(native.SerializeToString())
    with pytest.raises(nv.FileFormatError, match=field):
        nv.wrap(path)
