"""One layer against several: stacks, directions, separable convolutions, projections, and layers of size one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

L = keras.layers
RANDOM = np.random.default_rng(0)
SEQUENCE = RANDOM.normal(size=(2, 7, 5)).astype(np.float32)
IMAGE = RANDOM.normal(size=(2, 3, 8, 8)).astype(np.float32)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Linear(5, 6), kind(6, 6, batch_first=True, **options)
        self.out = nn.Linear(12 if self.rnn.bidirectional else 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(self.embed(x))[0])


def recurrent(make: Callable[[], Any], both: bool = False) -> keras.Model:
    stack = [make() for _ in range(2)]
    stack = [L.Bidirectional(layer) for layer in stack] if both else stack
    return keras.Sequential([L.Input((7, 5)), L.Dense(6), *stack, L.Dense(3)])


def lstm() -> Any:
    return L.LSTM(6, return_sequences=True)


def gru() -> Any:
    return L.GRU(6, return_sequences=True)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.attention = nn.Linear(5, 6), nn.MultiheadAttention(6, 2, batch_first=True)
        self.last = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(self.attention(x, x, x)[0])


class Projected(keras.layers.Layer):
    """Attention as one writes it oneself; `fused` has one layer for queries, keys and values."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.fused = fused
        names = ("qkv",) if fused else ("query", "key", "value")
        self.projections = [L.Dense(18 if fused else 6, name=name) for name in names]
        self.proj = L.Dense(6, name="projection")

    def call(self, x: Any) -> Any:
        ops = keras.ops
        made = [layer(x) for layer in self.projections]
        parts = ops.split(made[0], 3, -1) if self.fused else made
        q, k, v = (ops.transpose(ops.reshape(part, (-1, 7, 2, 3)), (0, 2, 1, 3)) for part in parts)
        scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / 3**0.5)
        return self.proj(ops.reshape(ops.transpose(ops.matmul(scores, v), (0, 2, 1, 3)), (-1, 7, 6)))


def projected(fused: bool) -> keras.Model:
    return keras.Sequential([L.Input((7, 5)), L.Dense(6), Projected(fused), L.Dense(3)])


def with_attention() -> keras.Model:
    x = keras.Input((7, 5))
    y = L.Dense(6)(x)
    return keras.Model(x, L.Dense(3)(L.MultiHeadAttention(2, 3)(y, y)))


class Fused(nn.Module):
    """As timm has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.qkv, self.proj, self.last = (
            nn.Linear(*sizes) for sizes in ((5, 6), (6, 18), (6, 6), (6, 3))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.first(x)).reshape(len(x), 7, 3, 2, 3).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.last(self.proj(mixed.transpose(1, 2).reshape(len(x), 7, 6)))


def sequential(*layers: Any, shape: tuple[int, ...] = (8, 8, 3)) -> keras.Model:
    return keras.Sequential([L.Input(shape), *layers])


def depthwise(kernel: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(8, 16, kernel, groups=8, bias=False), nn.Conv2d(16, 6, 1)]


def pooled() -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 5, 1), nn.Flatten()]


class Transposed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "stacked lstm": (lambda: Recurrent(nn.LSTM, num_layers=2), lambda: recurrent(lstm)),
    "stacked gru": (lambda: Recurrent(nn.GRU, num_layers=2), lambda: recurrent(gru)),
    "stacked lstm, both directions": (
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True),
        lambda: recurrent(lstm, both=True),
    ),
    "cells of one layer": (
        lambda: Recurrent(nn.LSTM, num_layers=2),
        lambda: keras.Sequential(
            [
                L.Input((7, 5)),
                L.Dense(6),
                L.RNN([L.LSTMCell(6), L.LSTMCell(6)], return_sequences=True),
                L.Dense(3),
            ]
        ),
    ),
    "separable convolution": (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), *depthwise(), nn.Conv2d(6, 4, 1)),
        lambda: sequential(L.Conv2D(8, 3), L.SeparableConv2D(6, 3, depth_multiplier=2), L.Conv2D(4, 1)),
    ),
    "attention, and its projections": (Attention, lambda: projected(fused=False)),
    "attention, and projections in one": (Attention, lambda: projected(fused=True)),
    "projections in one, and attention": (Fused, with_attention),
    "projections in one, and three": (Fused, lambda: projected(fused=False)),
    "projections in one on both sides": (Fused, lambda: projected(fused=True)),
    "convolution of size one, and a dense layer": (
        lambda: nn.Sequential(*pooled()),
        lambda: sequential(L.Conv2D(8, 3), L.GlobalAveragePooling2D(), L.Dense(5)),
    ),
    "convolution of length one, and a dense layer": (
        lambda: nn.Sequential(Transposed(), nn.Conv1d(5, 4, 1), Transposed()),
        lambda: sequential(L.Dense(4), shape=(7, 5)),
    ),
    "convolution of all there is, and a dense layer": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten()),
        lambda: sequential(L.Flatten(), L.Dense(4)),
    ),
    "patches": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Flatten(2), Transposed()),
        lambda: sequential(L.Conv2D(4, 4, strides=4), L.Reshape((4, 4))),
    ),
    "einsum": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.Unflatten(-1, (2, 3))),
        lambda: sequential(L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), shape=(7, 5)),
    ),
}


def randomized(model: Any, seed: int) -> Any:
    random = np.random.default_rng(seed)
    for layer in nv.wrap(model).layers.values():
        for weight in layer.weights.values():
            weight.assign(0.4 * random.normal(size=weight.shape).astype(np.float32))
    return model


def outputs(in_torch: nn.Module, in_keras: Any) -> tuple[np.ndarray, np.ndarray]:
    x = SEQUENCE if len(in_keras.input_shape) == 3 else IMAGE
    with torch.no_grad():
        ours = in_torch(torch.from_numpy(x)).numpy()
    theirs = keras.ops.convert_to_numpy(in_keras(np.moveaxis(x, 1, -1) if x.ndim == 4 else x))
    return (np.moveaxis(ours, 1, -1) if ours.ndim == 4 and x.ndim == 4 else ours), theirs


@pytest.mark.parametrize("back", [False, True], ids=["to keras", "to torch"])
@pytest.mark.parametrize("case", CASES)
def test_all_is_copied_and_the_same_is_computed(case, back):
    in_torch, in_keras = (make() for make in CASES[case])
    source, target = (in_keras, in_torch) if back else (in_torch, in_keras)
    report = nv.copy_weights(randomized(source, 1), randomized(target, 2))
    assert not report.skipped, str(report)
    np.testing.assert_allclose(*outputs(in_torch.eval(), in_keras), atol=1e-4)
    assert nv.compare(source, target).agrees
    again = nv.wrap(target).select(lambda layer: "kernel" in "".join(layer.weights))[-1]
    kernel = next(weight for name, weight in again.weights.items() if "kernel" in name)
    kernel.assign(kernel.numpy() + 1)
    assert not nv.compare(source, target).agrees


@pytest.mark.parametrize(
    ("case", "mapping"),
    [
        ("stacked lstm", {"rnn": ("lstm_0", "lstm_1")}),
        ("separable convolution", {("1", "2"): "separable"}),
        (
            "attention, and its projections",
            {"attention": ["mine/query", "mine/key", "mine/value", "mine/projection"]},
        ),
        ("projections in one, and three", {"qkv": ["mine/query", "mine/key", "mine/value"]}),
    ],
)
def test_a_mapping_names_several(case, mapping):
    in_torch, in_keras = (make() for make in CASES[case])
    for name, kind in (("lstm", "lstm"), ("separable", "separable_conv2d")):
        found = [
            layer.native
            for layer in nv.wrap(in_keras).layers.values()
            if layer.kind == kind and "/" not in layer.path
        ]
        for number, layer in enumerate(found):
            layer.name = f"{name}_{number}" if len(found) > 1 else name
    for layer in in_keras.layers:
        if isinstance(layer, Projected):
            layer.name = "mine"
    report = nv.copy_weights(randomized(in_torch, 1), in_keras, mapping)
    assert not report.skipped, str(report)
    assert {entry.evidence for entry in report.copied if entry.source in str(mapping)} == {"given"}
    np.testing.assert_allclose(*outputs(in_torch.eval(), in_keras), atol=1e-4)


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"rnn": "first"}, "'_l1' has no counterpart"),
        ({"rnn": ("first", "nowhere")}, "no layer 'nowhere' to map to"),
        ({"rnn": ("first", "second"), "embed": "first"}, "are all mapped to 'first'"),
        ({"rnn": ("first", 3)}, "a tuple of paths"),
        ({"rnn": ()}, "a tuple of paths"),
        ({"out": ("first", "second")}, "no counterpart|cannot be copied"),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_refused(mapping, text):
    in_torch = Recurrent(nn.LSTM, num_layers=2)
    in_keras = keras.Sequential(
        [L.Input((7, 5)), *(L.LSTM(6, return_sequences=True, name=name) for name in ("first", "second"))]
    )
    before = [array.copy() for array in in_keras.get_weights()]
    for call in (nv.copy_weights, lambda *models: nv.compare(*models[:2], mapping=models[2])):
        with pytest.raises((nv.InputError, nv.LayerNotFoundError), match=text):
            call(in_torch, in_keras, mapping)
    for left, right in zip(before, in_keras.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cls_token, self.pos_embed = (
            nn.Parameter(torch.zeros(1, 1, 6)),
            nn.Parameter(torch.zeros(1, 8, 6)),
        )
        self.embed, self.head = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.cls_token.expand(len(x), 1, 6), self.embed(x)], 1)
        return self.head(x + self.pos_embed)


class ClassToken(keras.layers.Layer):
    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, x: Any) -> Any:
        token = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], 1, x.shape[-1]))
        return keras.ops.concatenate([token, x], 1)


class Positions(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.table = L.Embedding(8, 6, name="table")

    def call(self, x: Any) -> Any:
        return x + self.table(keras.ops.arange(8))


@pytest.mark.parametrize("back", [False, True], ids=["to keras", "to torch"])
def test_tensors_of_containers_stand_elsewhere_under_other_names(back):
    in_torch = Tokens()
    in_keras = sequential(L.Dense(6), ClassToken(), Positions(), L.Dense(3), shape=(7, 5))
    source, target = (in_keras, in_torch) if back else (in_torch, in_keras)
    report = nv.copy_weights(randomized(source, 1), target)
    assert not report.skipped, str(report)
    np.testing.assert_allclose(*outputs(in_torch, in_keras), atol=1e-5)


def test_roles_are_told_by_names_where_layers_are_listed_in_another_order():
    """As in transformers, where some models list the keys first."""

    class KeysFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(6, 6) for _ in range(4))

    source, target = KeysFirst(), L.MultiHeadAttention(2, 3)
    target.build((None, 7, 6), (None, 7, 6))
    report = nv.copy_weights(source, target)
    assert {entry.source: entry.weight for entry in report.copied if "kernel" in entry.weight} == {
        "k_proj": "key_kernel", "v_proj": "value_kernel", "q_proj": "query_kernel", "out_proj": "output_kernel",
    }  # fmt: skip


def test_another_number_of_heads_is_refused():
    source, target = nn.MultiheadAttention(6, 2), nn.MultiheadAttention(6, 3)
    report = nv.copy_weights(source, target)
    assert not report.copied
    assert all("2 heads" in entry.reason for entry in report.skipped)
