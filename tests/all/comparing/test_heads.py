"""What is not the same at the end, or was not looked at, is told and never passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.testing import assert_models_close

L = keras.layers
X = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


def scores() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).eval()


def in_keras(*ends: Any) -> keras.Model:
    model = keras.Sequential([L.Input((6,)), L.Dense(8, "tanh"), *ends])
    nv.copy_weights(scores(), model)
    return model


def as_function(function: Callable[[Any], Any]) -> keras.Model:
    given = L.Input((6,))
    model = keras.Model(given, function(L.Dense(4)(L.Dense(8, "tanh")(given))))
    nv.copy_weights(scores(), model)
    return model


HEADS = {
    "built in": ("softmax", lambda: in_keras(L.Dense(4, "softmax"))),
    "a layer": ("softmax", lambda: in_keras(L.Dense(4), L.Softmax())),
    "an activation": ("softmax", lambda: in_keras(L.Dense(4), L.Activation("softmax"))),
    "a function": ("softmax", lambda: as_function(keras.ops.softmax)),
    "log softmax": ("log_softmax", lambda: in_keras(L.Dense(4), L.Activation("log_softmax"))),
    "sigmoid": ("sigmoid", lambda: in_keras(L.Dense(4, "sigmoid"))),
    "sigmoid as a function": ("sigmoid", lambda: as_function(keras.ops.sigmoid)),
}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_head_that_one_side_has_is_told_and_is_no_fault(kind: str, turned: bool) -> None:
    name, made = HEADS[kind]
    pair = (made(), scores()) if turned else (scores(), made())
    found = nv.compare(*pair, X)
    assert found.agrees, str(found)
    who, other = ("a", "b") if turned else ("b", "a")
    words = f"{who} returns the {name} of what {other} returns"
    verdict = " ".join(str(found).split("\n\n")[0].split())
    assert words in verdict
    assert "What they return is not the same. " in verdict
    assert "Seen so, the final output" in verdict  # which differs from what the two return
    assert any(words in cause.text for cause in found.causes)
    assert any(words in part for part in found.to_dict()["as_far_as"])


@pytest.mark.parametrize("kind", HEADS)
def test_a_test_accepts_another_head_only_if_it_is_meant(kind: str) -> None:
    name, made = HEADS[kind]
    with pytest.raises(
        AssertionError, match=f"b returns the {name} of what a returns; if that is meant, give other_head"
    ):
        assert_models_close(scores(), made(), X)
    assert assert_models_close(scores(), made(), X, other_head=True).agrees
    assert not nv.compare(scores(), scores(), X).heads


@pytest.mark.parametrize("kind", HEADS)
def test_a_fault_before_a_head_is_found(kind: str) -> None:
    a = scores()
    with torch.no_grad():
        a[2].weight[1] += 0.1
    assert not nv.compare(a, HEADS[kind][1](), X).agrees


LARGE = {
    "softmax": (nn.Softmax(-1), [300.0, 300.5, -300.0, 0.0]),
    "sigmoid": (nn.Sigmoid(), [300.0, 0.5, -300.0, 0.0]),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_scores_may_be_as_far_apart_as_such_scores_may_be(name: str) -> None:
    head, bias = LARGE[name]
    a, b = nn.Linear(6, 4), nn.Linear(6, 4)
    a.bias.data = torch.tensor(bias)
    b.load_state_dict(a.state_dict())
    b.bias.data += torch.tensor([0.0, 0.01, 0.0, 0.0])
    found = nv.compare(nn.Sequential(a), nn.Sequential(b, head), X)
    assert found.agrees, str(found)
    assert "as good as 0 or 1" in found.as_far_as[0]
    b.bias.data += torch.tensor([0.0, 1.0, 0.0, 0.0])
    assert not nv.compare(nn.Sequential(a), nn.Sequential(b, head), X).agrees


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0 + self.value


def test_what_may_be_a_head_of_very_large_scores_tells_little() -> None:
    a = nn.Linear(6, 4)
    a.bias.data += 1e7
    assert not nv.compare(nn.Sequential(a), nn.Sequential(a, Constant(0.3)), X).agrees
    found = nv.compare(nn.Sequential(a), nn.Sequential(a, Constant(1.0)), X)
    assert found.agrees
    assert "100.0% of that is as good as 0 or 1, and tells little of the scores" in found.as_far_as[0]


@pytest.mark.parametrize("turned", [False, True])
def test_probabilities_and_their_logarithm(turned: bool) -> None:
    a, b = (nn.Sequential(*scores(), end) for end in (nn.Softmax(-1), nn.LogSoftmax(-1)))
    found = nv.compare(*((b, a) if turned else (a, b)), X)
    assert found.agrees
    who, other = "ab" if turned else "ba"
    (head,) = found.heads
    assert head == f"the probabilities: {who} returns the logarithm of what {other} returns"


class Parts(nn.Module):
    def __init__(self, *ends: nn.Module) -> None:
        super().__init__()
        self.body, self.ends = nn.Linear(6, 4), nn.ModuleList(ends)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(end(self.body(x)) for end in self.ends)


def test_an_output_more_is_not_agreed() -> None:
    ends = [nn.Linear(4, 3), nn.Linear(4, 2)]
    a, b = Parts(*ends), Parts(*ends[:1])
    b.body.load_state_dict(a.body.state_dict())
    for pair in ((a, b), (b, a)):
        found = nv.compare(*pair, X)
        assert not found.agrees
        assert found.first_divergence is None
        assert "without a counterpart" in found.not_compared[0]


class Logarithm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x)


def test_nan_on_both_sides_is_not_agreed() -> None:
    a, b = nn.Sequential(scores(), Logarithm()), nn.Sequential(scores(), Logarithm())
    found = nv.compare(a, b, X)
    assert not found.agrees
    assert "NaN on both sides" in found.not_compared[0]


def test_layers_that_did_not_run_are_told() -> None:
    class More(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(*scores())
            self.spare = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[2](self[1](self[0](x)))

    found = nv.compare(scores(), More(), X)
    assert found.agrees
    assert found.as_far_as == ("what ran: b has weights in 'spare', not seen to run",)


@pytest.mark.parametrize("complete", [(True, False), (False, True)])
def test_weights_that_were_not_recorded_are_not_missing(complete: tuple[bool, bool]) -> None:
    captures = [nv.capture(scores(), X, complete=whole) for whole in complete]
    found = nv.compare(*captures)
    assert found.agrees, str(found)
    assert "holds no weights" in found.as_far_as[0]
    assert all(not pair.weights for pair in found.pairs)
    with torch.no_grad():
        (other := scores())[0].bias += 1
    assert nv.compare(captures[0], nv.capture(other, X, complete=complete[1])).first_divergence is not None
