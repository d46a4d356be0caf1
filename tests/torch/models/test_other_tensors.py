"""Weights that are no plain arrays: tensors that wrap others, packed and quantized ones, those of many processes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.ao import quantization
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._pytree import tree_map

import netviz_core as nv

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

X = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))


class Scaled(torch.Tensor):
    """Whole numbers and a scale, in no memory of its own; every operation sees the product."""

    @staticmethod
    def __new__(cls, whole: torch.Tensor, scale: float) -> Scaled:
        return torch.Tensor._make_wrapper_subclass(cls, whole.shape, dtype=torch.float32)

    def __init__(self, whole: torch.Tensor, scale: float) -> None:
        self.whole, self.scale = whole, scale

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].whole, args[0].scale)
        args, kwargs = tree_map(cls.seen, (args, kwargs or {}))
        return func(*args, **kwargs)

    @staticmethod
    def seen(value):
        return value.whole.float() * value.scale if isinstance(value, Scaled) else value


class Telling(Scaled):
    """Knows how to be dequantized, and lets nobody copy it."""

    def dequantize(self):
        return self.whole.float() * self.scale

    @staticmethod
    def seen(value):
        if isinstance(value, Telling):
            raise NotImplementedError("only linear layers take it")
        return value


class Silent(Telling):
    """Does not tell what it stands for."""

    dequantize = torch.Tensor.dequantize


def with_kernel(kind: type[Scaled]) -> tuple[nn.Module, np.ndarray]:
    layer = nn.Linear(8, 8)
    whole = torch.arange(-32, 32, dtype=torch.int8).reshape(8, 8)
    layer.weight = nn.Parameter(kind(whole, 0.5), requires_grad=False)
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(8, 2)).eval(), whole.numpy() * 0.5


@pytest.mark.parametrize("kind", [Scaled, Telling])
def test_tensors_that_wrap_others_tell_what_they_stand_for(kind):
    model, kernel = with_kernel(kind)
    np.testing.assert_array_equal(nv.wrap(model)["0"].weights["kernel"].numpy(), kernel)
    assert nv.histogram(model, "0").std == pytest.approx(kernel.std())
    with pytest.raises(nv.UnsupportedError, match="read-only"):
        nv.wrap(model)["0"].weights["kernel"].assign(kernel)


def test_one_that_does_not_tell_takes_no_others_with_it():
    model, _ = with_kernel(Silent)
    with pytest.raises(
        nv.UnsupportedError, match=r"a Silent of dtype float32 .* does not tell which numbers"
    ):
        nv.histogram(model, "0")
    found = nv.histograms(model)
    assert (found.labels, found.title) == (
        ("2",),
        "1 kernel, without 1 that cannot be read · 2 other weights not shown",
    )
    assert found.unreadable[0].startswith("0: a Silent")
    told = nv.copy_weights(model, nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)))
    assert [(entry.target, entry.weight) for entry in told.copied] == [
        ("0", "bias"),
        ("2", "kernel"),
        ("2", "bias"),
    ]
    assert "does not tell" in told.skipped[0].reason


@pytest.fixture
def mesh() -> Iterator[dist.device_mesh.DeviceMesh]:
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    try:
        yield init_device_mesh("cpu", (1,))
    finally:
        dist.destroy_process_group()


def sharded(model: nn.Module, mesh) -> nn.Module:
    fully_shard(model[0], mesh=mesh)
    return fully_shard(model, mesh=mesh)


def parallel(model: nn.Module, mesh) -> nn.Module:
    return parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})


@pytest.mark.parametrize("distribute", [sharded, parallel])
def test_models_of_one_process_of_many(distribute: Callable[..., nn.Module], mesh):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    spread = distribute(copy.deepcopy(model), mesh)
    kernel = nv.wrap(spread)["0"].weights["kernel"].numpy()
    np.testing.assert_array_equal(kernel, model[0].weight.detach())
    captured = nv.capture(spread, X)
    np.testing.assert_allclose(captured["2"].values, model(X).detach(), atol=1e-6)
    assert nv.compare(model, spread, X).agrees
    assert nv.summary(spread, X).multiply_accumulates == nv.summary(model, X).multiply_accumulates
    for view in (nv.health, nv.graph, nv.statistics):
        view(spread, [X] if view is nv.statistics else X)
    assert all(isinstance(weight, DTensor) for weight in spread.parameters())
    np.testing.assert_allclose(spread(X).detach(), model(X).detach(), atol=1e-6)


@pytest.fixture
def mesh_of_two() -> Iterator[dist.device_mesh.DeviceMesh]:
    dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (2,))
    finally:
        dist.destroy_process_group()


def test_a_weight_of_which_this_process_holds_a_part(mesh_of_two):
    model = nn.Sequential(nn.Linear(8, 4))
    model[0].weight = nn.Parameter(DTensor.from_local(torch.ones(2, 8), mesh_of_two, [Shard(0)]))
    assert nv.wrap(model)["0"].weights["kernel"].shape == (4, 8)
    with pytest.raises(nv.UnsupportedError, match=r"spread over 2 processes, .* full_tensor\(\)"):
        nv.wrap(model)["0"].weights["kernel"].numpy()
    assert nv.wrap(model)["0"].weights["bias"].numpy().shape == (4,)


class Packed(nn.Linear):
    """Keeps other numbers where its base class has its kernel, and computes with what they stand for."""

    def __init__(self, source: nn.Linear, form: str) -> None:
        super().__init__(source.in_features, source.out_features)
        whole = ((source.weight.detach() * 7).round() + 8).to(torch.uint8)
        pairs = whole.flatten()[::2] << 4 | whole.flatten()[1::2]
        forms = {"column": pairs.view(-1, 1), "row": pairs, "same shape": whole, "float8": whole.float()}
        weight = forms[form].to(torch.float8_e4m3fn) if form == "float8" else forms[form]
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.kernel = [(whole.float() - 8) / 7]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.kernel[0], self.bias)


@pytest.mark.parametrize("form", ["column", "row", "same shape", "float8"])
def test_packed_numbers_are_no_kernel(form):
    model = nn.Sequential(Packed(nn.Linear(8, 8), form), nn.Linear(8, 2)).eval()
    assert list(nv.wrap(model)["0"].weights) == ["weight", "bias"]
    found = nv.summary(model, X)
    assert (found.multiply_accumulates, found.is_lower_bound) == (3 * 8 * 2, True)
    assert found.total_parameters == sum(weight.numel() for weight in model.parameters())


def test_a_smaller_weight_is_believed_where_pytorch_computes_with_it():
    layer = nn.Linear(8, 8)
    layer.weight, layer.bias = nn.Parameter(layer.weight[:5].detach()), nn.Parameter(layer.bias[:5].detach())
    assert nv.wrap(nn.Sequential(layer))["0"].weights["kernel"].shape == (5, 8)


class WithFactors(nn.Linear):
    """Its low-rank factors are its own."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.left, self.right = nn.Parameter(torch.ones(2, 8)), nn.Parameter(torch.ones(8, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x @ self.left.T @ self.right.T


def test_products_with_weights_that_no_formula_knows_are_not_left_out_in_silence():
    found = nv.summary(nn.Sequential(WithFactors(), nn.Linear(8, 2)), X)
    assert (found.multiply_accumulates, found.is_lower_bound) == (3 * 8 * 2, True)
    assert found["0"].multiply_accumulates is None


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.lstm = nn.Embedding(20, 8), nn.LSTM(8, 6, num_layers=2, bidirectional=True)
        self.fc = nn.Linear(12, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(self.table(tokens))[0])


class Maps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv, self.relu, self.fc = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(288, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dequant(self.fc(self.relu(self.conv(self.quant(x))).flatten(1)))


def dynamic() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    model = Recurrent().eval()
    return model, quantization.quantize_dynamic(model, {nn.LSTM, nn.Linear}), torch.arange(10).reshape(5, 2)


def static() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    model, x = Maps().eval(), torch.randn(2, 3, 8, 8)
    fused = quantization.fuse_modules(model, [["conv", "relu"]])
    fused.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(fused)
    prepared(x)
    return model, quantization.convert(prepared), x


@pytest.mark.parametrize("quantize", [dynamic, static])
def test_quantized_layers_are_asked_for_their_weights(quantize):
    model, quantized, x = quantize()
    layers = nv.wrap(quantized).layers
    for path, layer in nv.wrap(model).layers.items():
        if path not in layers or not layer.weights:
            continue
        assert layers[path].kind == layer.kind
        for name, weight in layer.weights.items():
            found = layers[path].weights[name]
            assert found.axes == weight.axes
            np.testing.assert_allclose(found.numpy(), weight.numpy(), atol=0.02)
    plain, found = nv.summary(model, x), nv.summary(quantized, x)
    assert found.multiply_accumulates == plain.multiply_accumulates
    assert found.total_parameters == sum(weight.numel() for weight in quantized.parameters())


def test_a_quantized_layer_is_compared_with_that_which_it_replaces():
    model, quantized, x = static()
    want = quantized.conv(quantized.quant(x)).dequantize().numpy()
    complete = nv.capture(quantized, x, complete=True)
    np.testing.assert_allclose(complete["conv"].values, want, atol=1e-6)
    assert nv.wrap(quantized)["conv"].config["activation"] == "relu"
    pair = next(pair for pair in nv.compare(model, quantized, x).pairs if pair.path_a == "fc")
    assert 0 < pair.max_abs_difference < 0.2
