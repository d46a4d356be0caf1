"""What nodes are in netviz' words, and the scopes in which they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import NETWORKS, lively, network
from onnx import TensorProto, helper
from small import convolutional, model

import netviz_core as nv
from netviz_core.backend_api import Recorder


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def one(node: onnx.NodeProto, constants: dict[str, np.ndarray], shape: list[Any], opset: int = 20) -> Any:
    """The layer that a single node is."""
    native = model([node], {"x": shape}, list(node.output[:1]), constants, opset)
    return nv.wrap(native).select(lambda layer: bool(layer.path))[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_have_the_kinds_weights_and_settings_of_the_modules_they_come_from(
    name: str, export: Any
) -> None:
    module, x = network(name)
    source, exported = nv.wrap(module), nv.wrap(export(module, x))
    compared = 0
    for path, layer in source.layers.items():
        if not layer.weights or layer.kind == "container":
            continue
        other = exported.layers[path]
        assert other.kind == layer.kind, path
        assert set(other.weights) == set(layer.weights)
        for role, weight in layer.weights.items():
            assert other.weights[role].axes == weight.axes
            np.testing.assert_allclose(
                other.weights[role].numpy(), weight.numpy(), rtol=1e-6, err_msg=f"{path} {role}"
            )
        for setting in ("stride", "padding", "dilation", "groups", "epsilon", "units", "bidirectional"):
            if setting in layer.config and setting in other.config:
                assert other.config[setting] == layer.config[setting], (path, setting)
        compared += 1
    assert compared > 2
    assert nv.summary(exported.native, x.numpy()).total_parameters == nv.summary(module, x).total_parameters
    macs = (
        nv.summary(exported.native, x.numpy()).multiply_accumulates,
        nv.summary(module, x).multiply_accumulates,
    )
    assert macs[0] == macs[1]


def test_scopes_hold_their_layers() -> None:
    network = nv.wrap(convolutional())
    assert list(network.layers) == [
        "",
        "body",
        "body.c",
        "body.n",
        "body.r",
        "body.Add",
        "pool",
        "Flatten",
        "d",
    ]
    assert network["body"].kind == "container"


def test_an_activation_that_is_called_twice_is_one_layer_with_two_calls(export: Any) -> None:
    module, x = network("convolutional")
    captured = nv.capture(export(module, x), x.numpy(), "blocks.0.act*")
    assert len(captured) == 2


def test_axes_are_followed_through_reshapes_and_transpositions(export: Any) -> None:
    module, x = network("recurrent")
    assert nv.capture(export(module, x), x.numpy())["gru"].axes == ("batch", "time", "channel")
    module, x = network("convolutional")
    captured = nv.capture(export(module, x), x.numpy())
    assert captured["stem.0"].axes == ("batch", "channel", "y", "x")
    assert captured["head"].axes == ("batch", "channel")


def test_a_product_with_a_stored_matrix_is_dense_however_it_is_written() -> None:
    matrix, vector = random(4, 3), random(3)
    rows = one(
        helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1, alpha=2.0),
        {"w": matrix.T, "b": vector},
        ["n", 4],
    )
    np.testing.assert_allclose(rows.weights["kernel"].numpy(), 2 * matrix.T)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    (layer,) = nv.wrap(model(nodes, {"x": ["n", 4]}, ["y"], {"w": matrix, "b": vector})).select(kind="dense")
    np.testing.assert_array_equal(layer.weights["kernel"].numpy(), matrix.T)
    np.testing.assert_array_equal(layer.weights["bias"].numpy(), vector)


@pytest.mark.parametrize("opset", [13, 17])
def test_a_norm_or_activation_taken_apart_is_known_by_its_numbers(opset: int, export: Any) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.LayerNorm(6, eps=1e-3), torch.nn.GELU(), torch.nn.Mish(), torch.nn.SiLU()
    )
    module[0].weight.data.normal_()
    module[0].bias.data.normal_()
    found = nv.wrap(export(module.eval(), torch.randn(2, 5, 6), opset=opset))
    assert [found[str(n)].config.get("activation") for n in (1, 2, 3)] == ["gelu", "mish", "silu"]
    assert found["0"].kind == "layer_norm"
    assert found["0"].config["epsilon"] == pytest.approx(1e-3)
    np.testing.assert_array_equal(found["0"].weights["scale"].numpy(), module[0].weight.detach().numpy())
    np.testing.assert_array_equal(found["0"].weights["bias"].numpy(), module[0].bias.detach().numpy())


@pytest.mark.parametrize(
    "kept", [{}, {"training": torch.onnx.TrainingMode.EVAL, "do_constant_folding": True}]
)
def test_a_norm_over_groups_is_one_layer(kept: dict[str, Any], export: Any) -> None:
    torch.manual_seed(0)
    module, x = (
        lively(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.GroupNorm(2, 6, 1e-3))),
        torch.randn(2, 3, 5, 5),
    )
    exported = export(module, x, **kept)
    norm, source = nv.wrap(exported)["1"], nv.wrap(module)["1"]
    assert norm.kind == "group_norm"
    assert (norm.config["groups"], norm.config["epsilon"]) == (2, pytest.approx(1e-3))
    for name in ("scale", "bias"):
        np.testing.assert_array_equal(norm.weights[name].numpy(), source.weights[name].numpy())
    compared = nv.compare(module, exported, (x, x.numpy()))
    assert compared.agrees
    for node in exported.graph.node:
        for setting in (one for one in node.attribute if one.name == "epsilon"):
            setting.f = 0.05
    (fault,) = nv.compare(module, exported, (x, x.numpy())).faults
    assert [(cause.name, cause.confirmed) for cause in fault.causes] == [("epsilon", True)]


def test_constants_of_an_activation_may_have_axes() -> None:
    nodes = [
        helper.make_node("Add", ["x", "three"], ["a"]),
        helper.make_node("Clip", ["a", "zero", "six"], ["c"]),
        helper.make_node("Mul", ["c", "sixth"], ["m"]),
        helper.make_node("Mul", ["x", "m"], ["y"]),
    ]
    numbers = {"three": np.full((1, 1), 3), "zero": np.array(0), "six": np.array(6), "sixth": np.array(1 / 6)}
    constants = {name: value.astype("float32") for name, value in numbers.items()}
    (layer,) = nv.wrap(model(nodes, {"x": ["n", 4]}, ["y"], constants)).select(kind="activation")
    assert layer.config["activation"] == "hard_silu"


@pytest.mark.parametrize(
    "names", [("act/Add", "act/Clip", "act/Mul"), ("Add", "Clip", "Mul"), ("Add", "relu/Clip", "Mul")]
)
def test_nodes_of_several_layers_are_no_activation_together(names: tuple[str, ...]) -> None:
    nodes = [
        helper.make_node("Add", ["x", "three"], ["a"], names[0]),
        helper.make_node("Clip", ["a", "zero", "six"], ["c"], names[1]),
        helper.make_node("Mul", ["c", "sixth"], ["y"], names[2]),
    ]
    numbers = {"three": 3, "zero": 0, "six": 6, "sixth": 1 / 6}
    native = model(
        nodes, {"x": ["n", 4]}, ["y"], {name: np.float32(value) for name, value in numbers.items()}
    )
    found = [layer.config.get("activation") for layer in nv.wrap(native).select()]
    assert ("hard_sigmoid" in found) == (not names[1].startswith("relu"))


def test_what_is_nearly_an_activation_is_none() -> None:
    nodes = [helper.make_node("Sigmoid", ["s"], ["g"]), helper.make_node("Mul", ["x", "g"], ["y"])]
    nodes.insert(0, helper.make_node("Mul", ["x", "k"], ["s"]))
    native = model(nodes, {"x": ["n", 4]}, ["y"], {"k": np.float32(1.3)})
    assert not [layer for layer in nv.wrap(native).select() if layer.config.get("activation") == "silu"]


def test_quantised_weights_are_shown_as_they_are_used() -> None:
    stored = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"]),
        helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    constants = {"w": stored, "s": np.float32(0.5), "z": np.int8(1)}
    (layer,) = nv.wrap(model(nodes, {"x": ["n", 4]}, ["y"], constants)).select(kind="dense")
    np.testing.assert_allclose(layer.weights["kernel"].numpy(), (stored.T - 1.0) * 0.5)
    with pytest.raises(nv.UnsupportedError):
        layer.weights["kernel"].assign(np.ones((3, 4)))


SCALES, ZEROS = np.array([0.5, 0.25, 2], "float32"), np.array([1, -2, 0], "int8")
BYTE = {"s": np.float32(0.1), "z": np.uint8(3)}
KINDS_OF_INTEGERS = {
    "QLinearConv": (["x", "s", "z", "w", "ws", "wz", "s", "z", "b"], (3, 2, 1), ["n", 2, 5], "conv1d"),
    "QLinearMatMul": (["x", "s", "z", "w", "ws", "wz", "s", "z"], (4, 3), ["n", 4], "dense"),
    "QGemm": (["x", "s", "z", "w", "ws", "wz", "b", "s", "z"], (4, 3), ["n", 4], "dense"),
    "MatMulInteger": (["x", "w", "z", "wz"], (4, 3), ["n", 4], "dense"),
}
"""By operator: its inputs, the shapes of its kernel and of what it is given, and what it is."""


@pytest.mark.parametrize("op", KINDS_OF_INTEGERS)
def test_weights_of_operators_on_integers_are_shown_as_they_take_effect(op: str) -> None:
    reads, form, shape, kind = KINDS_OF_INTEGERS[op]
    stored = np.random.default_rng(0).integers(-100, 100, form).astype("int8")
    constants = {"w": stored, "ws": SCALES, "wz": ZEROS, "b": np.array([10, -20, 30], "int32"), **BYTE}
    domain = "com.microsoft" if op == "QGemm" else ""
    nodes = [helper.make_node(op, reads, ["q"], "product", domain=domain)]
    if op == "MatMulInteger":  # as it is written where a network is quantised on the way
        nodes += [
            helper.make_node("Cast", ["q"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["f"], ["given_scale"], keepdims=0),
            helper.make_node("Mul", ["given_scale", "ws"], ["both"]),
            helper.make_node("Mul", ["f", "both"], ["y"]),
        ]
        nodes[2].input[0] = "x32"
        nodes.insert(0, helper.make_node("Cast", ["x"], ["x32"], to=TensorProto.FLOAT))
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    native = model(
        nodes, {"x": shape}, [nodes[-1].output[0]], constants, dtype=TensorProto.UINT8, opset_imports=imports
    )
    (layer,) = nv.wrap(native).select(kind=kind)
    along = (-1, *(1,) * (len(form) - 1)) if kind == "conv1d" else (1, -1)
    effective = (stored - ZEROS.reshape(along).astype("float32")) * SCALES.reshape(along)
    np.testing.assert_allclose(
        layer.weights["kernel"].numpy(), effective if kind == "conv1d" else effective.T, rtol=1e-6
    )
    assert layer.weights["kernel"].dtype == "float32"
    if "b" in reads:
        np.testing.assert_allclose(
            layer.weights["bias"].numpy(), [10 * 0.05, -20 * 0.025, 30 * 0.2], rtol=1e-6
        )


def test_functions_are_resolved() -> None:
    body = helper.make_function(
        "own", "Twice", ["a"], ["b"],
        [helper.make_node("Relu", ["a"], ["c"]), helper.make_node("Add", ["c", "c"], ["b"])],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    node = helper.make_node("Twice", ["x"], ["y"], domain="own")
    native = model([node], {"x": ["n", 4]}, ["y"], {}, functions=[body], opset_imports=imports)
    assert [layer.kind for layer in nv.wrap(native).select()][1:] == ["activation", "merge"]
    captured = nv.capture(native, np.array([[-1, 1, 2, 3]], "float32"))
    np.testing.assert_array_equal(captured[""].values, [[0, 2, 4, 6]])


def choosing() -> onnx.ModelProto:
    """A model with a choice between two graphs, which read a tensor from around them."""
    bodies = {
        name: helper.make_graph(
            [helper.make_node(op, ["r"], ["inner"])],
            name,
            [],
            [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
        )
        for name, op in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    nodes = [
        helper.make_node("Neg", ["x"], ["r"], "turned"),
        helper.make_node("ReduceSum", ["x"], ["t"], keepdims=0),
        helper.make_node("Greater", ["t", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], "choice", **bodies),
    ]
    return model(nodes, {"x": ["n", 4]}, ["y"], {"zero": np.float32(0)})


def test_graphs_within_nodes_are_told_with_a_reason() -> None:
    captured = nv.capture(choosing(), np.ones((2, 4), "float32"))
    np.testing.assert_array_equal(captured["choice"].values, np.zeros((2, 4)))
    told = captured.coverage["choice.then_branch"]
    assert told.status == "unsupported"
    assert "within the If 'choice'" in told.reason


def test_what_is_put_in_place_reaches_the_graphs_within_nodes() -> None:
    network = nv.wrap(choosing())
    layers = [network["turned"], network["choice"]]
    recorder = Recorder(layers, given=Recorder(layers))

    def replacement(path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]) -> Any:
        return np.full(shape, 5.0) if path == "turned" and not is_given else None

    x = np.ones((2, 4), "float32")
    returned = network.adapter.run_replaced(network.native, x, recorder, replacement, {})
    np.testing.assert_array_equal(returned, np.full((2, 4), 5.0))
    assert {slot.path for slot in recorder.slots} == {"turned", "choice"}


def test_what_is_put_in_place_of_an_input_reaches_each_node_of_a_layer() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    network = nv.wrap(model(nodes, {"x": ["n", 4]}, ["y"], {"w": random(4, 3), "b": random(3)}))
    recorder = Recorder([network[""]], given=Recorder([network[""]]))

    def zeros(path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]) -> Any:
        return np.zeros(shape) if is_given else None

    returned = network.adapter.run_replaced(network.native, np.ones((2, 4), "float32"), recorder, zeros, {})
    np.testing.assert_array_equal(returned, np.broadcast_to(random(3), (2, 3)))


def test_a_model_that_returns_a_constant_is_captured() -> None:
    native = model([], {"x": ["n", 4]}, ["w"], {"w": random(3)})
    np.testing.assert_array_equal(nv.capture(native, np.ones((2, 4), "float32"))[""].values, random(3))
