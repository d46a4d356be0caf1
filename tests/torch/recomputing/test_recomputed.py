"""What the core computes in NumPy is what PyTorch's layers return."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import netviz_core as nv
from netviz_core.captures.recorder import Recorder
from netviz_core.recomputing.layers import recomputed

IMAGE, VOLUME, SIGNAL = (2, 4, 9, 8), (2, 4, 5, 6, 7), (2, 4, 11)
IMAGE_AXES = ("batch", "channel", "y", "x")
VOLUME_AXES = ("batch", "channel", "z", "y", "x")
SIGNAL_AXES = ("batch", "channel", "x")
SEQUENCE_AXES = ("batch", "time", "channel")
AXES = {4: IMAGE_AXES, 5: VOLUME_AXES, 3: SEQUENCE_AXES, 2: ("batch", "channel")}


def randomized(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)
    return module


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def called(module: nn.Module, *inputs: Any) -> tuple[Any, list[nv.AxisArray], nv.AxisArray]:
    """The layer, what it was given, and what it returned first."""
    network = nv.wrap(module)
    layers = [network[""]]
    before, after = Recorder(layers), None
    after = Recorder(layers, given=before)
    network.adapter.run(network.native, inputs if len(inputs) > 1 else inputs[0], after)
    return layers[0], [slot.get() for slot in before.slots], after.slots[0].get()


def again(layer: Any, inputs: list[nv.AxisArray], **options: Any) -> nv.AxisArray | None:
    weights = {name: weight.numpy() for name, weight in layer.weights.items()}
    return recomputed(layer.kind, layer.type_name, layer.config, weights, inputs, **options)


def check(module: nn.Module, *inputs: Any) -> None:
    layer, before, after = called(randomized(module), *inputs)
    found = again(layer, before)
    assert found is not None, (layer.kind, layer.config, [part.axes for part in before])
    assert found.axes == after.axes
    assert found.values.dtype == after.values.dtype
    scale = max(1.0, float(np.abs(after.values[np.isfinite(after.values)]).max(initial=0.0)))
    np.testing.assert_allclose(found.values, after.values, rtol=1e-5, atol=1e-5 * scale)


def named(values: np.ndarray, axes: tuple[str, ...] | None = None) -> nv.AxisArray:
    return nv.AxisArray(values, axes or AXES[values.ndim])


def image() -> nv.AxisArray:
    return named(numbers(*IMAGE))


IMAGE_LAYERS = [
    nn.Conv2d(4, 6, 3),
    nn.Conv2d(4, 6, (2, 3), stride=(2, 1), padding=(1, 2), bias=False),
    nn.Conv2d(4, 6, 4, padding="same"),
    nn.Conv2d(4, 6, 3, dilation=(2, 1), padding=2),
    nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1),
    nn.Conv2d(4, 8, 3, groups=4, padding=1),
    nn.Conv2d(4, 6, 1, stride=2),
    *(nn.Conv2d(4, 3, 3, padding=(2, 1), padding_mode=mode) for mode in ("reflect", "replicate", "circular")),
    nn.ConvTranspose2d(4, 6, 3),
    nn.ConvTranspose2d(4, 6, (3, 2), stride=2, padding=1, output_padding=(1, 0)),
    nn.ConvTranspose2d(4, 6, 2, stride=3, output_padding=2, bias=False),
    nn.ConvTranspose2d(4, 6, 1, stride=2, padding=1),
    nn.ConvTranspose2d(4, 6, 3, stride=2, dilation=2, groups=2, padding=3),
    nn.BatchNorm2d(4),
    nn.BatchNorm2d(4, eps=1e-2, affine=False),
    nn.BatchNorm2d(4, track_running_stats=False),
    nn.InstanceNorm2d(4),
    nn.InstanceNorm2d(4, affine=True, eps=0.1),
    nn.InstanceNorm2d(4, track_running_stats=True),
    nn.GroupNorm(2, 4, eps=1e-2),
    nn.GroupNorm(1, 4),
    nn.GroupNorm(4, 4, affine=False),
    nn.LayerNorm([9, 8]),
    nn.LayerNorm([4, 9, 8], eps=1e-2),
    nn.LayerNorm(8),
    nn.RMSNorm([9, 8]),
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, 2, padding=1),
    nn.MaxPool2d((3, 2), (2, 1), dilation=2, ceil_mode=True),
    nn.MaxPool2d(2, 3, padding=1, ceil_mode=True),
    nn.AvgPool2d(2),
    nn.AvgPool2d(3, 2, padding=1),
    nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    nn.AvgPool2d(2, 3, padding=1, ceil_mode=True),
    nn.AvgPool2d((4, 3), 3, padding=(2, 1), ceil_mode=True, count_include_pad=False),
    nn.AvgPool2d(2, divisor_override=3),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((3, 4)),
    nn.AdaptiveAvgPool2d((4, None)),
    nn.AdaptiveMaxPool2d(3),
    nn.Softmax2d(),
    nn.ZeroPad2d((1, 2, 0, 3)),
    nn.ZeroPad2d(1),
    nn.ConstantPad2d((1, 0, 2, 1), 3.5),
    nn.ReflectionPad2d((1, 2, 0, 3)),
    nn.ReplicationPad2d(2),
    nn.CircularPad2d((1, 2, 3, 0)),
    nn.Dropout2d(0.5),
    nn.Identity(),
    nn.PReLU(),
    nn.PReLU(4),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("module", IMAGE_LAYERS, ids=str)
def test_of_images(module: nn.Module) -> None:
    check(module, image())


VOLUME_LAYERS = [
    nn.Conv3d(4, 2, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 2)),
    nn.ConvTranspose3d(4, 2, 2, stride=2, output_padding=1),
    nn.MaxPool3d(2, padding=1),
    nn.AvgPool3d(2, ceil_mode=True),
    nn.AdaptiveAvgPool3d((1, 2, 3)),
    nn.BatchNorm3d(4),
    nn.ZeroPad3d((1, 2, 0, 3, 1, 1)),
]
SIGNAL_LAYERS = [
    nn.Conv1d(4, 2, 4, stride=2, padding=1),
    nn.Conv1d(4, 8, 3, groups=4, padding="same"),
    nn.ConvTranspose1d(4, 2, 4, stride=3, padding=2),
    nn.MaxPool1d(3),
    nn.AvgPool1d(3, 2, padding=1),
    nn.AdaptiveAvgPool1d(2),
    nn.BatchNorm1d(4),
    nn.GroupNorm(2, 4),
    nn.ConstantPad1d((1, 2), 2.0),
]


@pytest.mark.parametrize("module", VOLUME_LAYERS, ids=str)
def test_of_volumes(module: nn.Module) -> None:
    check(module, named(numbers(*VOLUME)))


@pytest.mark.parametrize("module", SIGNAL_LAYERS, ids=str)
def test_of_signals(module: nn.Module) -> None:
    check(module, named(numbers(*SIGNAL), SIGNAL_AXES))


VECTOR_LAYERS = [
    nn.Linear(6, 3),
    nn.Linear(6, 3, bias=False),
    nn.BatchNorm1d(6),
    nn.LayerNorm(6),
    nn.LayerNorm(6, eps=0.1, elementwise_affine=False),
    nn.LayerNorm(6, bias=False),
    nn.RMSNorm(6),
    nn.RMSNorm(6, eps=0.1),
    nn.GroupNorm(3, 6),
]
ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.3), nn.PReLU(), nn.PReLU(6), nn.ELU(0.7), nn.CELU(0.7), nn.SELU(), nn.GELU(),
    nn.GELU("tanh"), nn.SiLU(), nn.Hardswish(), nn.Sigmoid(), nn.Hardsigmoid(), nn.Tanh(), nn.Softmax(-1),
    nn.Softmax(1), nn.LogSoftmax(1), nn.Softmin(1), nn.Softplus(), nn.Softplus(beta=2), nn.Softsign(), nn.Mish(),
    nn.Hardtanh(), nn.Hardtanh(-0.3, 0.6), nn.LogSigmoid(), nn.Tanhshrink(), nn.Hardshrink(0.3), nn.Softshrink(0.3),
    nn.Threshold(0.1, -2.0), nn.RReLU(), nn.GLU(1),
]  # fmt: skip


@pytest.mark.parametrize("module", [*VECTOR_LAYERS, *ACTIVATIONS], ids=str)
def test_of_vectors(module: nn.Module) -> None:
    check(module, named(numbers(5, 6) * 3))


@pytest.mark.parametrize("module", [*VECTOR_LAYERS[:2], *VECTOR_LAYERS[3:8]], ids=str)
def test_of_sequences(module: nn.Module) -> None:
    check(module, named(numbers(2, 5, 6)))


@pytest.mark.parametrize("module", [*VECTOR_LAYERS, *ACTIVATIONS], ids=str)
def test_without_names(module: nn.Module) -> None:
    check(module, numbers(5, 6))


@pytest.mark.parametrize(
    "module", [IMAGE_LAYERS[0], IMAGE_LAYERS[10], nn.BatchNorm2d(4), nn.MaxPool2d(2)], ids=str
)
def test_images_without_names(module: nn.Module) -> None:
    check(module, numbers(*IMAGE))


def test_large_arguments_do_not_overflow() -> None:
    x = named(np.array([[-1e4, -100.0, 0.0, 100.0, 1e4, 88.8]], np.float32))
    for module in ACTIVATIONS:
        check(module, x)


def test_what_is_not_finite_stays_what_it_is() -> None:
    x = named(np.array([[np.nan, 1.0, -1.0, np.nan, 2.0, 0.0]], np.float32))
    for module in ACTIVATIONS:
        check(module, x)
    infinite = named(np.array([[-np.inf, np.inf]], np.float32))
    for module in (nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.ELU(), nn.Hardshrink()):
        check(module, infinite)


def test_embeddings() -> None:
    check(nn.Embedding(7, 3), nv.AxisArray(np.array([[0, 6, 2]]), ("batch", "time")))
    check(nn.Embedding(7, 3), np.array([[0, 6, 2]]))


RECURRENT = [
    nn.LSTM(6, 3),
    nn.LSTM(6, 3, 2, bidirectional=True, batch_first=True),
    nn.LSTM(6, 3, bias=False, batch_first=True, dropout=0.0),
    nn.GRU(6, 3, batch_first=True),
    nn.GRU(6, 3, 3, bidirectional=True, bias=False),
    nn.RNN(6, 3, 2, batch_first=True),
    nn.RNN(6, 3, nonlinearity="relu", bidirectional=True),
]


@pytest.mark.parametrize("module", RECURRENT, ids=str)
@pytest.mark.parametrize("names", [True, False])
def test_recurrent(module: nn.RNNBase, names: bool) -> None:
    values = numbers(2, 5, 6)
    sequence = nv.AxisArray(values, SEQUENCE_AXES)
    if not names:
        check(module, values)
        return
    layer, (given_,), after = called(randomized(module), sequence if module.batch_first else values)
    if not module.batch_first:
        given_ = nv.AxisArray(given_.values, ("time", "batch", "channel")).canonical()
    found = again(layer, [given_])
    assert found is not None
    np.testing.assert_allclose(found.values, after.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("module", RECURRENT, ids=str)
def test_recurrent_with_states(module: nn.RNNBase) -> None:
    x = numbers(2, 5, 6)
    places = module.num_layers * (1 + module.bidirectional)
    states = [torch.tensor(numbers(places, 2 if module.batch_first else 5, 3) * sign) for sign in (1, -1)]
    check(module, torch.tensor(x), tuple(states) if isinstance(module, nn.LSTM) else states[0])


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"kdim": 6, "vdim": 5}])
def test_attention(batch_first: bool, bias: bool, sizes: dict[str, int]) -> None:
    module = nn.MultiheadAttention(8, 2, bias=bias, batch_first=batch_first, **sizes)
    key, value = numbers(4, 3, sizes.get("kdim", 8)), numbers(4, 3, sizes.get("vdim", 8)) + 1
    query = numbers(4, 7, 8) if batch_first else numbers(7, 3, 8)
    check(module, query, key, value)


def test_attention_with_a_mask_is_not_known() -> None:
    x = torch.randn(2, 3, 8)
    layer, before, _ = called(nn.MultiheadAttention(8, 2), x, x, x, torch.zeros(3, 2, dtype=torch.bool))
    assert len(before) == 4
    assert again(layer, before) is None


def test_flattening_needs_the_native_order() -> None:
    layer, before, after = called(nn.Flatten(), image())
    assert again(layer, before) is None
    found = again(layer, before, orders=[IMAGE_AXES])
    np.testing.assert_array_equal(found.values, after.values)
    layer, before, after = called(nn.Flatten(), named(numbers(2, 4, 1, 1)))
    np.testing.assert_array_equal(again(layer, before).values, after.values)


def test_axes_are_not_guessed() -> None:
    layer, before, after = called(nn.Softmax(-1), image())
    assert again(layer, before) is None
    found = again(layer, before, orders=[IMAGE_AXES])
    np.testing.assert_allclose(found.values, after.values, rtol=1e-5)
    for order in (IMAGE_AXES, ("batch", "y", "x", "channel")):
        layer, before, after = called(nn.LayerNorm(6), nv.AxisArray(numbers(2, 6, 6, 6), IMAGE_AXES))
        turned = again(layer, before, orders=[order])
        close = np.allclose(turned.values, after.values, atol=1e-5)
        assert close == (order == IMAGE_AXES)


UNKNOWN = [
    (nn.LPPool2d(2, 2), IMAGE),
    (nn.FractionalMaxPool2d(2, output_size=3), IMAGE),
    (nn.EmbeddingBag(7, 3), None),
    (nn.PixelShuffle(2), IMAGE),
    (nn.LSTM(6, 4, proj_size=2), (2, 5, 6)),
    (nn.Unflatten(1, (2, 2)), IMAGE),
    (nn.Sequential(nn.ReLU()), IMAGE),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize(("module", "shape"), UNKNOWN, ids=str)
def test_what_is_not_known_is_not_computed(module: nn.Module, shape: tuple[int, ...] | None) -> None:
    x = torch.tensor([[0, 1]]) if shape is None else torch.tensor(numbers(*shape))
    layer, before, _ = called(module, x)
    assert again(layer, before) is None


def test_a_setting_that_does_not_fit_is_not_computed() -> None:
    layer, before, _ = called(nn.Conv2d(4, 6, 3), image())
    for changed in ({"groups": 3}, {"dilation": (9, 9)}, {"padding": "sometimes"}, {"stride": 2}):
        altered = {**layer.config, **changed}
        weights = {name: weight.numpy() for name, weight in layer.weights.items()}
        assert recomputed(layer.kind, layer.type_name, altered, weights, before) is None


def test_settings_that_come_from_a_file() -> None:
    for module in (nn.Conv2d(4, 6, 3, padding=1), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.ZeroPad2d(1)):
        layer, before, _ = called(module, image())
        weights = {name: weight.numpy() for name, weight in layer.weights.items()}
        told = json.loads(json.dumps(dict(layer.config)))
        found = recomputed(layer.kind, layer.type_name, told, weights, before)
        np.testing.assert_array_equal(found.values, again(layer, before).values)


sizes = st.integers(1, 4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_convolutions(data: st.DataObject) -> None:
    rank, transposed, groups = (
        data.draw(st.integers(1, 3)),
        data.draw(st.booleans()),
        data.draw(st.integers(1, 3)),
    )
    options = {
        name: tuple(data.draw(st.integers(low, 3)) for _ in range(rank))
        for name, low in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    }
    if transposed:
        most = [max(pair) - 1 for pair in zip(options["stride"], options["dilation"], strict=True)]
        options["output_padding"] = tuple(data.draw(st.integers(0, bound)) for bound in most)
    lengths = [data.draw(st.integers(5, 8)) for _ in range(rank)]
    for place, length in enumerate(lengths):
        reach = (options["kernel_size"][place] - 1) * options["dilation"][place]
        padding = 2 * options["padding"][place]
        assume(length + padding > reach)
        if transposed:
            more = options["output_padding"][place]
            assume((length - 1) * options["stride"][place] - padding + reach + more >= 0)
    make = getattr(nn, f"Conv{'Transpose' if transposed else ''}{rank}d")
    module = make(
        groups * 2, groups * data.draw(sizes), groups=groups, bias=data.draw(st.booleans()), **options
    )
    check(module, nv.AxisArray(numbers(2, groups * 2, *lengths), ("batch", "channel", *"zyx"[3 - rank :])))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_pools(data: st.DataObject) -> None:
    rank, way = data.draw(st.integers(1, 3)), data.draw(st.sampled_from(["Max", "Avg"]))
    size = data.draw(st.integers(1, 4))
    options = {
        "kernel_size": size,
        "stride": data.draw(st.integers(1, 4)),
        "padding": data.draw(st.integers(0, size // 2)),
        "ceil_mode": data.draw(st.booleans()),
    }
    more = {"count_include_pad": data.draw(st.booleans())} if way == "Avg" else {}
    module = getattr(nn, f"{way}Pool{rank}d")(**options, **more)
    lengths = [data.draw(st.integers(4, 8)) for _ in range(rank)]
    check(module, nv.AxisArray(numbers(2, 3, *lengths), ("batch", "channel", *"zyx"[3 - rank :])))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([nn.LSTM, nn.GRU, nn.RNN]),
    st.integers(1, 3), sizes, sizes, st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
def test_random_recurrent(
    make: Any, layers: int, features: int, units: int, bias: bool, batch_first: bool, both: bool
) -> None:
    module = make(features, units, layers, bias=bias, batch_first=batch_first, bidirectional=both)
    check(module, numbers(3, 4, features))


@pytest.mark.parametrize("factor", [{"scale_factor": 2}, {"scale_factor": 1.7}, {"size": (5, 13)}], ids=str)
@pytest.mark.parametrize(
    "mode",
    [
        {"mode": "nearest"}, {"mode": "nearest-exact"}, {"mode": "area"},
        *({"mode": mode, "align_corners": aligned} for mode in ("bilinear", "bicubic") for aligned in (False, True)),
    ],
    ids=str,
)  # fmt: skip
def test_resizing(mode: dict[str, Any], factor: dict[str, Any]) -> None:
    if mode["mode"] == "area" and factor.get("scale_factor") == 1.7:
        factor = {"size": (15, 13)}  # the same, of which areas there are as many
    check(nn.Upsample(**factor, **mode), numbers(*IMAGE))


@pytest.mark.parametrize(
    ("mode", "shape"), [("linear", SIGNAL), ("trilinear", VOLUME), ("nearest", VOLUME), ("nearest", SIGNAL)]
)
def test_resizing_of_signals_and_volumes(mode: str, shape: tuple[int, ...]) -> None:
    check(nn.Upsample(scale_factor=2, mode=mode), numbers(*shape))
