"""Layers that return tensors of other forms: each is captured, or refused for a reason that is true, alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao import quantization
from torch.masked import masked_tensor

import netviz_core as nv

from ..models.test_other_tensors import Scaled, Silent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

X = torch.linspace(-2, 2, 24).reshape(3, 8)


class Function(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def network(*functions: Callable[[torch.Tensor], Any]) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), *map(Function, functions)).eval()


def whole(x: torch.Tensor) -> torch.Tensor:
    return (x * 10).to(torch.int8)


READ = {
    "wrapper": (lambda x: Scaled(whole(x), 0.1), lambda x: whole(x).float() * 0.1),
    "sparse": (lambda x: x.relu().to_sparse(), torch.relu),
    "compressed": (lambda x: x.relu().to_sparse_csr(), torch.relu),
    "complex": (torch.fft.fft, torch.fft.fft),
    "float8": (lambda x: x.to(torch.float8_e4m3fn), lambda x: x.to(torch.float8_e4m3fn).float()),
    "quantized": (
        lambda x: torch.quantize_per_tensor(x, 0.1, 3, torch.quint8),
        lambda x: torch.quantize_per_tensor(x, 0.1, 3, torch.quint8).dequantize(),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name):
    returned, means = READ[name]
    model = network(returned, lambda x: x.to_dense() if x.layout != torch.strided else x)
    captured = nv.capture(model, X, complete=True)
    np.testing.assert_allclose(captured["1"].values, means(model[0](X)).detach(), atol=1e-6)
    assert nv.compare(model, model, X).agrees
    for view in (nv.summary, nv.graph):
        view(model, X)
    if name != "complex":
        assert nv.statistics(model, [X])["1"].count == X.numel()
        assert {row.path for row in nv.health(model, X).rows} >= {"0", "1"}


REFUSED = {
    "masked": (
        lambda x: masked_tensor(x, x > 0),
        lambda x: x.to_tensor(0.0),
        "a MaskedTensor of dtype float32",
    ),
    "half a byte": (
        lambda x: whole(x).view(torch.uint8).view(torch.uint4),
        lambda x: x.view(torch.uint8).float(),
        "the tensor is of dtype uint4",
    ),
    "meta": (lambda x: x.to("meta"), lambda x: torch.zeros(3, 8), "the tensor is on the meta device"),
    "silent": (
        lambda x: Silent(whole(x), 0.1),
        lambda x: x.whole.float(),
        "a Silent of dtype float32 cannot be brought to NumPy: it does not tell",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    returned, after, reason = REFUSED[name]
    model = network(returned, after)
    captured = nv.capture(model, X)
    assert list(captured) == ["0", "2", ""]
    assert captured.coverage["1"].status == "unsupported"
    assert captured.coverage["1"].reason.startswith(reason)
    assert {row.path: row.status for row in nv.health(model, X).rows}["2"] != "unsupported"
    assert nv.summary(model, X)["2"].output_shape == (3, 8)
    assert nv.graph(model, X).nodes
    assert nv.statistics(model, [X])


def test_a_part_that_cannot_be_read_is_told_of():
    model = network(lambda x: (x, masked_tensor(x, x > 0)), lambda parts: parts[0])
    captured = nv.capture(model, X)
    assert list(captured) == ["0", "1#0", "2", ""]
    assert captured.coverage["1"].status == "captured"
    assert "MaskedTensor" in captured.coverage["1"].reason


def test_tensors_that_the_model_owns_are_put_back():
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.eye(8).to_sparse())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.mul_(2)
            return x @ self.seen

    model = Counting()
    nv.capture(model, X)
    assert torch.equal(model.seen.to_dense(), torch.eye(8))


def test_shapes_of_models_without_numbers():
    model = nn.Sequential(nn.Linear(8, 4, device="meta"), nn.ReLU())
    found = nv.summary(model, X.to("meta"))
    assert (found["1"].output_shape, found.multiply_accumulates) == ((3, 4), 3 * 8 * 4)
    captured = nv.capture(model, X.to("meta"))
    assert {entry.status for entry in captured.coverage.values()} == {"unsupported"}


def test_weights_that_are_brought_while_the_model_runs():
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    kept, empty = model[0].weight.detach(), nn.Parameter(torch.empty(4, 8, device="meta"))
    model[0].weight = empty

    def bring(layer: nn.Module, *_: Any) -> None:
        layer.weight = nn.Parameter(kept)

    def take(layer: nn.Module, *_: Any) -> None:
        layer.weight = empty

    model[0].register_forward_pre_hook(bring)
    model[0].register_forward_hook(take)
    values = nv.capture(model, X.numpy())["0"].values
    np.testing.assert_allclose(values, nn.functional.linear(X, kept, model[0].bias).detach(), atol=1e-6)


def test_a_quantized_input_is_told_of():
    layer = quantization.DeQuantStub()
    quantized = torch.quantize_per_tensor(X, 0.1, 3, torch.quint8)
    model = nn.Sequential(quantization.convert(nn.Sequential(layer)))
    np.testing.assert_allclose(nv.capture(model, quantized)[""].values, quantized.dequantize())
