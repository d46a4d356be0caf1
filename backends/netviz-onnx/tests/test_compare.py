"""Exported graphs against what they were exported from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import NETWORKS, network
from onnx import helper, numpy_helper
from torch import nn

import netviz_core as nv

Change = Callable[[onnx.ModelProto], None]


@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_exported_agrees_with_its_source(name: str, export: Any) -> None:
    module, x = network(name)
    compared = nv.compare(module, export(module, x), (x, x.numpy()))
    assert compared.agrees
    assert not compared.faults
    assert len(compared.pairs) >= 3


def test_weights_are_copied_out_of_an_exported_model(export: Any) -> None:
    module, x = network("convolutional")
    model = export(module, x)
    other = type(module)().eval()
    nv.copy_weights(model, other)
    np.testing.assert_allclose(other(x).detach().numpy(), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(one for one in model.graph.node if one.name == name)


def write(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = next(one for one in model.graph.initializer if one.name == name)
    tensor.CopyFrom(
        numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(tensor))), name)
    )


def set_attribute(model: onnx.ModelProto, name: str, attribute: str, value: Any) -> None:
    found = node(model, name)
    kept = [one for one in found.attribute if one.name != attribute]
    del found.attribute[:]
    found.attribute.extend([*kept, helper.make_attribute(attribute, value)])


def bypass(model: onnx.ModelProto, name: str) -> None:
    gone = node(model, name)
    for reader in model.graph.node:
        reader.input[:] = [gone.input[0] if one == gone.output[0] else one for one in reader.input]
    model.graph.node.remove(gone)


FAULTS: dict[str, tuple[str, Change, str, str]] = {
    "a kernel": (
        "convolutional", lambda m: write(m, "blocks.0.conv2.weight", lambda w: w * 1.5),
        "blocks.0.conv2", "kernel",
    ),
    "a transposed kernel": (
        "convolutional", lambda m: write(m, "blocks.1.conv1.weight", lambda w: w.swapaxes(2, 3)),
        "blocks.1.conv1", "exchanged",
    ),
    "a bias": ("convolutional", lambda m: write(m, "head.bias", np.zeros_like), "head", "bias"),
    "epsilon": (
        "convolutional", lambda m: set_attribute(m, "/blocks/blocks.0/norm1/BatchNormalization", "epsilon", 0.1),
        "blocks.0.norm1", "epsilon",
    ),
    "padding": (
        "convolutional", lambda m: set_attribute(m, "/stem/stem.0/Conv", "pads", [0, 0, 2, 2]), "stem.0", "padding",
    ),
    "a removed node": ("convolutional", lambda m: bypass(m, "/stem/stem.2/Relu"), "stem", "relu"),
    "epsilon of a layer norm": (
        "transformer", lambda m: set_attribute(m, "/norm2/LayerNormalization", "epsilon", 0.1), "norm2", "epsilon",
    ),
    "a kernel of a product": (
        "transformer", lambda m: write(m, _product(m, "/value/MatMul"), np.transpose), "value", "transposed",
    ),
    "a table": ("transformer", lambda m: write(m, "tokens.weight", lambda w: w[::-1]), "tokens", "kernel"),
    "gates": ("recurrent", lambda m: write(m, _input(m, "/gru/GRU", 1), lambda w: w * 1.3), "gru", "kernel"),
}  # fmt: skip
"""By name: the network, the change, where it is found, and a word of the cause."""


def _input(model: onnx.ModelProto, name: str, place: int) -> str:
    return node(model, name).input[place]


def _product(model: onnx.ModelProto, name: str) -> str:
    return _input(model, name, 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_at_its_node_with_its_cause(fault: str, export: Any) -> None:
    name, change, place, word = FAULTS[fault]
    module, x = network(name)
    model = onnx.ModelProto()
    model.CopyFrom(_folded(export(module, x)))
    change(model)
    first = nv.compare(module, model, (x, x.numpy())).faults[0]
    assert place in (first.pair.path_a, first.pair.path_b)
    assert word in " ".join(f"{cause.name} {cause.text}" for cause in first.causes)


def test_a_step_of_attention_is_told(export: Any) -> None:
    module, x = network("transformer")
    model = onnx.ModelProto()
    model.CopyFrom(export(module, x))
    softmax = next(one for one in model.graph.node if one.op_type == "Softmax")
    reader = next(one for one in model.graph.node if softmax.output[0] in one.input)
    bypass(model, softmax.name)
    (cause,) = nv.compare(module, model, (x, x.numpy())).faults[0].causes
    assert cause.confirmed
    assert cause.name == "activation"
    assert cause.path_b == reader.name.strip("/").replace("/", ".")
    assert "a applies softmax before" in cause.text


class _Turned(nn.Module):
    """Halves that are turned into each other between two layers, as rotary positions do it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = self.first(x)
        one, other = whole.chunk(2, -1)
        return self.last(torch.tanh(whole.cos() + torch.cat([-other, one], -1) * whole.sin()))


def test_the_order_in_which_values_are_joined_is_told(export: Any) -> None:
    torch.manual_seed(0)
    module, x = _Turned().eval(), torch.randn(3, 8)
    model = onnx.ModelProto()
    model.CopyFrom(export(module, x))
    joined = next(one for one in model.graph.node if one.op_type == "Concat")
    joined.input[:] = [joined.input[1], joined.input[0]]
    (cause,) = nv.compare(module, model, (x, x.numpy())).faults[0].causes
    assert (cause.name, cause.path_b) == ("order of concatenation", joined.name.strip("/"))
    assert cause.confirmed


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants made of stored tensors stored themselves, so that they can be changed."""
    from netviz_onnx.held import held

    constants, found = held(model), onnx.ModelProto()
    found.CopyFrom(model)
    for one in list(found.graph.node):
        if one.output[0] in constants.constants and one.op_type in (
            "Transpose",
            "Concat",
            "Unsqueeze",
            "Squeeze",
            "Slice",
        ):
            found.graph.initializer.append(
                numpy_helper.from_array(constants.value(one.output[0]), one.output[0])
            )
            found.graph.node.remove(one)
    return found


def test_what_needs_gradients_is_refused_with_a_reason(export: Any) -> None:
    module, x = network("convolutional")
    with pytest.raises(nv.UnsupportedError, match="onnx"):
        nv.cam(export(module, x), x.numpy())


def test_attention_written_out_is_that_of_the_source(export: Any) -> None:
    module, x = network("transformer")
    ours, theirs = nv.attention(module, x=x), nv.attention(export(module, x), x=x.numpy())
    assert ours.weights.shape == theirs.weights.shape == (2, 4, 6, 6)
    np.testing.assert_allclose(theirs.weights, ours.weights, rtol=1e-4, atol=1e-6)


def test_other_questions_have_answers(export: Any) -> None:
    module, x = network("convolutional")
    model = export(module, x)
    assert len(nv.graph(model, x.numpy()).edges) > 10
    assert nv.health(model, x.numpy()).first_nonfinite is None
    assert len(nv.statistics(model, [x.numpy()])) > 5
    torch.manual_seed(1)
    batch = torch.randn(8, 3, 16, 16)
    module_to_itself = nv.similarity(module, export(module, batch), (batch, batch.numpy()))
    assert np.nanmax(module_to_itself.values) > 0.999
