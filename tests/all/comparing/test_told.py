"""What is told is told in words of those who wrote the two models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

from .ported import lively, pictures

L = keras.layers
X = pictures(8)


def text_of(found: Any) -> str:
    return " ".join(str(found).split())


def test_momentum_is_told_as_each_side_counts_it() -> None:
    a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    b = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(momentum=0.98, epsilon=1e-5)]
    )
    nv.copy_weights(a, b)
    told = "0.98 (what is kept of the old statistics: 0.02 is taken of the new ones)"
    assert f"momentum is 0.1 in a and {told} in b" in text_of(nv.compare(a, b, X))
    assert f"momentum is {told} in a and 0.1 in b" in text_of(nv.compare(b, a, X))


class Residual(nn.Module):
    def __init__(self, joined: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)
        self.joined = joined

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(self.joined(x, self.second(x)))


def residual_in_keras(joined: Callable[[Any, Any], Any]) -> keras.Model:
    given = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 1, name="stem")(given)
    x = joined(x, L.Conv2D(4, 1, name="branch")(x))
    return keras.Model(given, L.Conv2D(2, 1, name="end")(x))


JOINED = {
    "none": (lambda x, y: y, "b what 'branch' returned"),
    "less": (lambda x, y: x - y, "b what 'stem' returned − what 'branch' returned"),
    "half": (lambda x, y: x + 0.5 * y, "b 0.5 × what 'branch' returned + what 'stem' returned"),
    "relu": (lambda x, y: keras.ops.relu(x + y), "b relu of (what 'branch' returned + what 'stem' returned)"),
}


@pytest.mark.parametrize("kind", JOINED)
def test_formulas_are_told_in_the_names_of_each_side(kind: str) -> None:
    joined, words = JOINED[kind]
    a, b = lively(Residual(lambda x, y: x + y), X).eval(), residual_in_keras(joined)
    nv.copy_weights(a, b)
    (fault,) = nv.compare(a, b, X).faults
    (cause,) = fault.causes
    assert cause.confirmed, cause.text
    assert "a computes what 'second' returned + what 'first' returned" in cause.text
    assert words in cause.text
    assert "'first'" not in cause.text.partition(", b ")[2]


def test_factors_that_nobody_writes_are_not_confirmed() -> None:
    a = lively(Residual(lambda x, y: x + y), X).eval()
    b = Residual(lambda x, y: 0.837 * x + 1.213 * y).eval()
    b.load_state_dict(a.state_dict())
    (fault,) = nv.compare(a, b, X).faults
    assert not any(cause.confirmed for cause in fault.causes), fault
    assert "0.837 × what 'first' returned" in fault.causes[0].text


@pytest.mark.parametrize("complete", [True, False])
def test_captures_of_different_inputs_are_told_as_such(complete: bool, tmp_path: Path) -> None:
    model = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)), X).eval()
    inputs = [torch.randn(2, 3, 8, 8) for _ in range(2)]
    captures = [nv.capture(model, x, complete=True) for x in inputs]
    said = text_of(nv.compare(*captures))
    assert "the two captures were made of different inputs (they differ by" in said
    assert "pair" not in said.partition("Fault:")[2].partition("All pairs")[0]
    assert "Given the same" not in said
    captured = (
        nv.compare(captures[0], model, inputs[1]) if complete else nv.compare(model, captures[0], inputs[1])
    )
    own, other = ("a", "b") if complete else ("b", "a")
    assert f"the capture {own} was made of another input than {other} was given" in text_of(captured)
    assert "of a pair (x, y) each is given one" in text_of(nv.compare(model, model, tuple(inputs)))


def test_one_layer_against_several_without_partners_names_the_part_that_differs() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.qkv, self.out = nn.Linear(8, 8), nn.Linear(8, 24), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(self.stem(x)).chunk(3, -1)
            return self.out(nn.functional.scaled_dot_product_attention(q, k, v))

    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start, self.end = nn.Linear(8, 8), nn.Linear(8, 8)
            self.to_query, self.to_key, self.to_value = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.start(x)
            made = nn.functional.scaled_dot_product_attention(
                self.to_query(x), self.to_key(x), self.to_value(x)
            )
            return self.end(made)

    torch.manual_seed(0)
    a, b = Fused().eval(), Apart().eval()
    nv.copy_weights(a, b, {"stem": "start", "out": "end", "qkv": ("to_query", "to_key", "to_value")})
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32"))
    assert nv.compare(a, b, x).agrees
    with torch.no_grad():
        b.to_value.weight[3] *= 2
    (fault,) = nv.compare(a, b, x).faults
    assert (fault.path_a, fault.path_b) == ("qkv", "to_value"), fault
    assert "kernel of 'to_value' is different in b" in fault.causes[0].text
