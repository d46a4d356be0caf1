"""Inputs as people give them: each framework's own layout, one array for both, several for models of several."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

L = keras.layers
RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def convolutions(rank: int, size: int) -> tuple[Any, Any, tuple[Any, Any]]:
    """A model in each framework, and the same samples channels first and last."""
    kinds = (getattr(nn, f"Conv{rank}d"), getattr(L, f"Conv{rank}D"))
    a = nn.Sequential(kinds[0](3, 5, 2), nn.ReLU(), kinds[0](5, 4, 2)).eval()
    b = keras.Sequential(
        [L.Input((*(size,) * rank, 3)), kinds[1](5, 2, name="one"), L.ReLU(), kinds[1](4, 2)]
    )
    nv.copy_weights(a, b)
    x = numbers(2, *(size,) * rank, 3)
    return a, b, (torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1))), x)


@pytest.mark.parametrize("size", [3, 6])  # three: as many places as channels
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_pair_in_two_layouts_is_one_input(rank: int, size: int) -> None:
    a, b, native = convolutions(rank, size)
    assert nv.compare(a, b, native).agrees
    kernel, bias = b.get_layer("one").get_weights()
    kernel[..., 3] += 0.5
    b.get_layer("one").set_weights([kernel, bias])
    for found in (nv.compare(a, b, native), nv.compare(b, a, native[::-1])):
        assert found.first_divergence is not None
        assert {found.first_divergence.path_a, found.first_divergence.path_b} == {"0", "one"}


def test_one_array_that_two_models_read_in_two_ways_is_asked_back() -> None:
    a, b, _ = convolutions(2, 3)
    x = numbers(4, 3, 3, 3)
    with pytest.raises(nv.InputError, match=r"'0' takes .*'one' takes .*give nv\.images\(x\)"):
        nv.compare(a, b, x)
    with pytest.raises(nv.InputError, match=r"give nv\.images\(x\)"):
        nv.compare(b, a, x)


class ChannelsLast(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [3, 6])
def test_one_array_that_one_model_transposes_itself(size: int) -> None:
    a, b, (_, x) = convolutions(2, size)
    assert nv.compare(ChannelsLast(a), b, x).agrees
    assert nv.compare(b, ChannelsLast(a), x).agrees
    with torch.no_grad():
        a[0].bias += 1
    assert nv.compare(ChannelsLast(a), b, x).first_divergence.path_b == "one"


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p, self.q = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.p(left) + self.q(right)


def test_two_inputs_as_a_list_a_tuple_and_a_dict() -> None:
    left, right = keras.Input((3,), name="left"), keras.Input((4,), name="right")
    b = keras.Model([left, right], L.Dense(2, name="p")(left) + L.Dense(2, name="q")(right))
    a = Two()
    nv.copy_weights(a, b)
    x, y = numbers(5, 3), numbers(5, 4)
    tensors = torch.tensor(x), torch.tensor(y)
    for given in ([x, y], (x, y), {"left": x, "right": y}, ((x, y), [x, y]), (tensors, [x, y])):
        assert nv.compare(a, b, given).agrees
    with torch.no_grad():
        a.q.bias += 1
    for given in ([x, y], (x, y), {"left": x, "right": y}):
        assert nv.compare(a, b, given).first_divergence.path_a == "q"


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.p(x) if y is None else self.p(x) - self.p(y)


def test_two_inputs_that_may_be_one_each_are_asked_back() -> None:
    a, b = Optional(), Optional()
    b.load_state_dict(a.state_dict())
    x, y = numbers(5, 3), numbers(5, 3)
    found = nv.compare(a, b, (x, y))
    assert not found.agrees
    (cause,) = found.causes
    assert (cause.name, "to give each of them both, give ((x, y), (x, y))" in cause.text) == ("inputs", True)
    assert nv.compare(a, b, ((x, y), (x, y))).agrees
    assert nv.compare(a, b, (x, torch.tensor(x))).agrees
    assert not nv.compare(a, b, ((x,), (y,))).agrees
