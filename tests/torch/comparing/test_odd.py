"""Comparisons of PyTorch models that are odd: what a newcomer brings along, and what an adversary would."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core import InputError

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    """Layers by name, and a function of them and the inputs."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


def linear(seed: int = 0, features: int = 6) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(6, features)


def two_heads(function: Callable[..., Any]) -> Model:
    return Model(function, one=linear(1), other=linear(2))


def corrupted(model: nn.Module, name: str) -> nn.Module:
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.get_parameter(name).view(-1)[3] += 1
    return model


def first(found: nv.Comparison) -> tuple[str, str] | None:
    """Where they part; every report must have something to say of it."""
    assert all([str(found), found.to_markdown(), found.to_json(), found.to_html()])
    return None if found.agrees else (found.first_divergence.path_a, found.first_divergence.path_b)


def names(found: nv.Comparison) -> list[tuple[str, bool]]:
    return [(cause.name, cause.confirmed) for cause in found.causes]


def test_outputs_in_another_order_are_a_difference() -> None:
    a = two_heads(lambda m, x: (m.one(x), m.other(x)))
    b = two_heads(lambda m, x: (m.one(x), m.other(x))[::-1])
    found = nv.compare(a, b, X)
    assert first(found) == ("", "")
    assert names(found) == [("order of layers", True)]


def test_outputs_under_the_names_of_each_other_are_a_difference() -> None:
    a = two_heads(lambda m, x: {"mean": m.one(x), "spread": m.other(x)})
    b = two_heads(lambda m, x: {"spread": m.one(x), "mean": m.other(x)})
    assert first(nv.compare(a, b, X)) == ("", "")
    c = two_heads(lambda m, x: {"spread": m.other(x), "mean": m.one(x)})
    assert first(nv.compare(a, c, X)) is None


@pytest.mark.parametrize("used", [True, False])
def test_a_layer_is_held_to_all_that_it_returns(used: bool) -> None:
    def model(factor: float) -> Model:
        return Model(
            lambda m, x: m.end(m.two(x)[1]) if used else m.two(m.end(x)), two=Two(factor), end=linear(3)
        )

    found = nv.compare(model(1.0), model(2.0), X)
    assert first(found) == ("two", "two")
    assert {name for name, _ in names(found)} <= {"scale", "preprocessing"}


class Two(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.weight, self.factor = nn.Parameter(torch.randn(6, 6)), factor

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x @ self.weight
        return x, x * self.factor


def test_another_state_of_the_same_recurrent_layer_is_a_difference() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(6, 5, batch_first=True)
    a, b = (Model(lambda m, x, n=n: m.lstm(x)[1][n], lstm=lstm) for n in (0, 1))
    assert first(nv.compare(a, b, torch.randn(2, 3, 6))) is not None


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_numbers_whose_squares_have_no_room_are_compared(size: float) -> None:
    a, b = (
        Model(lambda m, x, factor=factor: m.one(x) * factor, one=linear(1)) for factor in (size, 5 * size)
    )
    assert first(nv.compare(a, a, X)) is None
    found = nv.compare(a, b, X)
    assert first(found) == ("", "")
    assert names(found) == [("scale", True)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_corrupted_weight_is_confirmed_in_every_precision(dtype: torch.dtype) -> None:
    model = nn.Sequential(linear(1), nn.LayerNorm(6)).to(dtype)
    found = nv.compare(model, corrupted(model, "0.weight"), X.to(dtype))
    assert first(found) == ("0", "0")
    assert names(found) == [("weights", True)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_a_narrower_float_are_named(dtype: torch.dtype) -> None:
    model = nn.Sequential(linear(1), nn.LayerNorm(6))
    found = nv.compare(copy.deepcopy(model).to(dtype), model, (X.to(dtype), X.to(dtype).float()))
    assert first(found) is None
    assert names(found) == [("precision", True)]
    assert f"a computes in {str(dtype).removeprefix('torch.')}: from '0' on" in found.causes[0].text
    assert "The weights of 1 pair differ" in str(found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_narrower_float_of_the_input_is_named(dtype: torch.dtype) -> None:
    model = nn.Sequential(linear(1), nn.LayerNorm(6))
    found = nv.compare(copy.deepcopy(model).to(dtype), model, (X.to(dtype), X))
    assert first(found) is None
    assert names(found) == [("precision", True)]
    assert f"a computes in {str(dtype).removeprefix('torch.')}:" in found.causes[0].text
    other = nv.compare(copy.deepcopy(model).to(dtype), corrupted(model, "0.weight"), (X.to(dtype), X))
    assert first(other) == ("0", "0")


def test_no_precision_is_made_responsible_for_what_is_not_finite() -> None:
    a, b = (Model(lambda m, x: m.end(m.odd(x)), odd=odd, end=linear()) for odd in (nn.ReLU(), Infinite()))
    found = nv.compare(a, b, X)
    assert first(found) == ("odd", "odd")
    assert not any(cause.confirmed for cause in found.causes)


class Infinite(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 0


@pytest.mark.parametrize("x", [X, torch.zeros(4, 6)])
def test_weights_that_this_input_hides_are_told_as_weights(x: torch.Tensor) -> None:
    dead = nn.Sequential(linear(1), nn.ReLU(), linear(2))
    with torch.no_grad():
        dead[0].bias.fill_(-100)
    found = nv.compare(dead, corrupted(dead, "2.weight"), x)
    assert first(found) is None
    assert [pair.status for pair in found.pairs] == ["agrees", "agrees", "weights"]
    assert names(found) == [("weights", True)]
    assert (found.causes[0].path_a, found.causes[0].path_b) == ("2", "2")
    assert "of '2' 1 of 36 values of kernel differ" in found.causes[0].text
    assert "without effect on this input" in found.causes[0].text
    assert "falls from" not in found.causes[0].text
    assert "The weights of 1 pair differ" in str(found)


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf"), "1e-3", True])
def test_a_tolerance_that_is_none(tolerance: Any) -> None:
    with pytest.raises(InputError, match="tolerance="):
        nv.compare(linear(), linear(), X, tolerance=tolerance)


def test_no_sample_tells_nothing() -> None:
    with pytest.raises(InputError, match="holds no sample; give at least one"):
        nv.compare(linear(1), linear(2), X[:0])


def test_weights_of_a_layer_that_did_not_run_are_compared() -> None:
    a = Model(lambda m, x: m.one(x), one=linear(1), spare=linear(2, 3))
    found = nv.compare(a, corrupted(a, "spare.weight"), X)
    assert first(found) is None
    assert names(found) == [("weights", True)]
    assert "of 'spare' 1 of 18 values of kernel differ" in found.causes[0].text
    assert "The weights of 1 pair differ" in str(found)
    assert nv.compare(a, copy.deepcopy(a), X).agrees
    assert nv.compare(a, Model(lambda m, x: m.one(x), one=linear(1)), X).agrees


@pytest.mark.parametrize(
    ("right", "wrong", "x"),
    [
        (nn.ReLU(), nn.ReLU6(), X),
        (nn.ReLU(), nn.GELU(), X.abs() + 20),
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.3), X.abs()),
        (nn.Hardtanh(), nn.ReLU6(), X.abs().clamp(max=0.5)),
    ],
)
def test_functions_that_differ_for_other_numbers_are_told(
    right: nn.Module, wrong: nn.Module, x: torch.Tensor
) -> None:
    found = nv.compare(nn.Sequential(right, linear(1)), nn.Sequential(wrong, linear(1)), x)
    assert first(found) is None
    assert names(found) == [("activation", True)]
    assert "they would differ" in str(found)


def test_an_output_that_one_model_lacks_is_told() -> None:
    a = two_heads(lambda m, x: (m.one(x), m.other(x)))
    b = two_heads(lambda m, x: (m.one(x), m.other(x))[:1])
    found = nv.compare(a, b, X)
    assert not found.agrees
    assert found.first_divergence is None
    assert "a returns 2 tensors and b 1" in str(found)


def test_what_is_not_finite_on_both_sides_is_told() -> None:
    a = Model(lambda m, x: (m.end(m.odd(x)), m.end(x)), odd=Infinite(), end=linear(1))
    found = nv.compare(a, copy.deepcopy(a), X)
    assert not found.agrees
    assert found.first_divergence is None
    assert "is NaN on both sides" in str(found)
    assert names(found) == [("not finite", True)]
    with pytest.raises(InputError, match="'1' returned is not finite"):
        nv.compare(nn.Sequential(linear(1), Infinite()), nn.Sequential(linear(1), Infinite()), X)


@pytest.mark.parametrize("mapping", [5, {0: "0"}, {"0": None}, {"0": 0}, "0", {"zz": "0"}])
def test_a_mapping_that_is_none(mapping: Any) -> None:
    with pytest.raises(nv.NetvizError, match="mapping"):
        nv.compare(nn.Sequential(linear()), nn.Sequential(linear()), X, mapping=mapping)


@pytest.mark.parametrize(
    ("x", "other", "said"),
    [
        ((X, None), {}, "has none for b"),
        (X, {"targets": [0, 1, 2, 3]}, "no loss"),
        (None, {"loss": "cross_entropy", "targets": [0, 1, 2, 3]}, "needs models that run"),
    ],
)
def test_what_is_missing_is_said(x: Any, other: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        nv.compare(linear(), linear(), x, **other)


def test_a_capture_of_one_layer_finds_its_partner_in_a_complete_one() -> None:
    a = nn.Sequential(linear(1), nn.ReLU(), linear(2))
    b = corrupted(a, "2.weight")
    found = nv.compare(nv.capture(a, X, layers="2"), nv.capture(b, X, complete=True))
    assert first(found) == ("2", "2")


def test_a_reduced_capture_says_that_it_cannot_be_compared() -> None:
    a = nn.Sequential(linear(1), nn.ReLU())
    found = nv.compare(nv.capture(a, X, reduce=lambda v: v.values.mean()), nv.capture(a, X, complete=True))
    assert first(found) == ("0", "0")
    assert "() against (batch 4, channel 6)" in str(found)


def test_a_branch_that_agrees_does_not_make_up_for_another() -> None:
    def model(function: nn.Module) -> Model:
        return Model(
            lambda m, x: (m.odd(m.one(x)).exp(), m.other(x)), one=linear(1), odd=function, other=linear(2)
        )

    found = nv.compare(model(nn.ReLU()), model(nn.GELU()), X)
    assert first(found) == ("odd", "odd")
    assert names(found) == [("activation", True)]


class Failing(nn.Module):
    """It draws random numbers, and then raises an exception of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.dropout = linear(1), nn.Dropout()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.dropout(self.one(x))
        raise RuntimeError("my own")


def state(model: nn.Module) -> list[Any]:
    modules = list(model.modules())
    return [
        [module.training for module in modules],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
        [(weight.requires_grad, weight.grad) for weight in model.parameters()],
        [value.tolist() for value in model.state_dict().values()],
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
    ]


def test_both_models_are_left_as_they_were_also_if_the_second_raises() -> None:
    model = nn.Sequential(linear(1), nn.BatchNorm1d(6), nn.Dropout()).train()
    model[1].eval()
    failing = Failing().train()
    before = state(model), state(failing)
    with pytest.raises(RuntimeError, match="my own"):
        nv.compare(model, failing, X)
    assert (state(model), state(failing)) == before
    other = corrupted(model, "0.weight")
    before = state(model), state(other)
    nv.compare(model, other, X, loss="cross_entropy", targets=[0, 1, 2, 3])
    assert (state(model), state(other)) == before


class _Largest(nn.Module):
    """One number of all, without an axis."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs().amax()


class _Scaled(nn.Linear):
    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return super().forward(x * scale)


@pytest.mark.parametrize("is_given", [True, False])
def test_values_without_axes_are_no_maps_and_no_samples(is_given: bool) -> None:
    def apply(model: Any, x: torch.Tensor) -> torch.Tensor:
        x = model.one(x)
        scale = model.largest(x)
        return model.other(x, scale) if is_given else model.other(x.tanh() / scale * model.factor)

    torch.manual_seed(0)
    other = _Scaled(6, 6) if is_given else nn.Linear(6, 6)
    a = Model(apply, one=linear(1), largest=_Largest(), other=other)
    b = copy.deepcopy(a)
    a.factor, b.factor = 1.0, 1.5
    if is_given:
        with torch.no_grad():
            b.other.weight.mul_(1.2)
    (fault,) = nv.compare(a, b, X).faults
    if is_given:
        assert (fault.pair.path_a, fault.pair.path_b) == ("other", "other")
    else:
        assert "b is 1.5 × a" in fault.causes[0].text


def test_a_layer_whose_name_looks_like_the_call_of_another_is_paired_with_itself() -> None:
    def forward(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        layers = model._modules
        return layers["y"](layers["x:1"](torch.tanh(layers["x"](torch.tanh(layers["x"](x))))))

    torch.manual_seed(0)
    model = Model(forward, **{"x": nn.Linear(6, 6), "x:1": nn.Linear(6, 6), "y": nn.Linear(6, 2)})
    found = nv.compare(model, copy.deepcopy(model), X, progress=False)
    assert found.agrees
    assert [pair.status for pair in found.pairs] == ["agrees"] * 4
    assert [(pair.path_a, pair.call) for pair in found.pairs] == [("x", 0), ("x", 1), ("x:1", 0), ("y", 0)]
    assert all(pair.path_a == pair.path_b for pair in found.pairs)
    assert (found.unmatched_a, found.unmatched_b) == ((), ())
