"""Two layers are given the same and return something else: the reason is named, and put to the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

from .faulty import copied, numbers, settled

FEATURES = 16


class Applies(nn.Module):
    """A class of one's own, of which nothing is known but what it returns."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class OwnRMSNorm(nn.Module):
    def __init__(self, eps: float, more: float = 0.0) -> None:
        super().__init__()
        self.weight, self.variance_epsilon, self.more = nn.Parameter(torch.ones(FEATURES)), eps, more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.weight + self.more
        return scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


class OwnLayerNorm(nn.Module):
    def __init__(self, eps: float) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(FEATURES)), nn.Parameter(torch.zeros(FEATURES))
        self.tiny = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        apart = x - x.mean(-1, keepdim=True)
        return apart / (x.var(-1, keepdim=True, unbiased=False) + self.tiny).sqrt() * self.gamma + self.beta


class NarrowProducts(nn.Linear):
    """Multiplies what is rounded to ten bits, as TF32 does, and adds up in float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(rounded(x), rounded(self.weight), self.bias)


def rounded(values: torch.Tensor) -> torch.Tensor:
    mantissa, exponent = torch.frexp(values.detach())
    return torch.ldexp(torch.round(mantissa * 2**11) / 2**11, exponent)


class Causal(nn.MultiheadAttention):
    def forward(self, query, key=None, value=None):
        mask = torch.triu(torch.ones(query.shape[1], query.shape[1], dtype=torch.bool), 1)
        return super().forward(query, query, query, attn_mask=mask, need_weights=False)[0]


class Plain(nn.MultiheadAttention):
    def forward(self, query, key=None, value=None):
        return super().forward(query, query, query, need_weights=False)[0]


class ZeroPadding(nn.MaxPool2d):
    """Pads with zeros, which a maximum of negative numbers shows."""

    def forward(self, x):
        return F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)


def table(x: torch.Tensor) -> torch.Tensor:
    return x + numbers(*x.shape[1:], seed=9)


class Case(NamedTuple):
    """Two layers, the name of the cause, and words that must be in it."""

    cause: str
    words: tuple[str, ...]
    right: Callable[[], nn.Module]
    wrong: Callable[[], nn.Module]
    shape: tuple[int, ...] = (6, FEATURES)


def function(one, other, cause="activation", words=(), **more):
    return Case(cause, words, lambda: Applies(one), lambda: Applies(other), **more)


IMAGE, STEPS = (3, FEATURES, 9, 9), (3, 7, FEATURES)

CASES = {
    "tanh and sigmoid": function(torch.tanh, torch.sigmoid, words=("tanh in a", "sigmoid in b")),
    "a class and a layer": Case(
        "activation",
        ("gelu (tanh approximation) in a", "gelu (exact) in b"),
        lambda: nn.GELU("tanh"),
        lambda: Applies(F.gelu),
    ),
    "quick gelu": Case(
        "activation",
        ("gelu (exact) in a", "quick_gelu in b"),
        nn.GELU,
        lambda: Applies(lambda x: x * torch.sigmoid(1.702 * x)),
    ),
    "relu6": Case("activation", ("relu in a", "relu6 in b"), nn.ReLU, nn.ReLU6, (3, 6 * FEATURES, 9)),
    "hard and soft sigmoid": Case("activation", ("sigmoid", "hard_sigmoid"), nn.Sigmoid, nn.Hardsigmoid),
    "alpha of elu": Case("activation", ("alpha 1", "alpha 0.5"), nn.ELU, lambda: nn.ELU(0.5)),
    "beta of softplus": Case("activation", ("beta 1", "beta 2.5"), nn.Softplus, lambda: nn.Softplus(2.5)),
    "slope": function(F.leaky_relu, lambda x: F.leaky_relu(x, 0.2), "slope", ("0.01", "0.2")),
    "softmax": Case("activation", ("softmax",), nn.Identity, lambda: nn.Softmax(-1)),
    "epsilon of an RMS norm": Case(
        "epsilon", ("1e-06 in a", "0.1 in b"), lambda: OwnRMSNorm(1e-6), lambda: OwnRMSNorm(0.1)
    ),
    "any epsilon": Case("epsilon", ("0.037 in b",), lambda: OwnRMSNorm(1e-6), lambda: OwnRMSNorm(0.037)),
    "epsilon of a layer norm": Case(
        "epsilon", ("0.01 in b",), lambda: OwnLayerNorm(1e-5), lambda: OwnLayerNorm(1e-2)
    ),
    "a norm that adds one": Case("scale", (), lambda: OwnRMSNorm(1e-6), lambda: OwnRMSNorm(1e-6, 1.0)),
    "batch and instance norm": Case(
        "kind",
        ("instance norm", "batch norm"),
        lambda: nn.InstanceNorm2d(FEATURES, affine=True),
        lambda: nn.BatchNorm2d(FEATURES),
        IMAGE,
    ),
    "group and instance norm": Case(
        "kind",
        ("group norm", "instance norm"),
        lambda: nn.GroupNorm(4, FEATURES),
        lambda: nn.InstanceNorm2d(FEATURES, affine=True),
        IMAGE,
    ),
    "layer and RMS norm": Case(
        "kind",
        ("layer norm", "rms norm"),
        lambda: nn.LayerNorm(FEATURES, bias=False),
        lambda: nn.RMSNorm(FEATURES, eps=1e-5),
    ),
    "pools": Case(
        "pooling", ("max in a", "average in b"), lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2), IMAGE
    ),
    "zeros in a pool": Case(
        "pool padding", ("zeros",), lambda: nn.MaxPool2d(3, 2, 1), lambda: ZeroPadding(3, 2, 1), IMAGE
    ),
    "corners": Case(
        "interpolation",
        ("align corners is False in a and True in b",),
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        IMAGE,
    ),
    "interpolation": Case(
        "interpolation",
        ("bilinear in a", "bicubic in b"),
        lambda: nn.Upsample(size=(5, 13), mode="bilinear"),
        lambda: nn.Upsample(size=(5, 13), mode="bicubic"),
        IMAGE,
    ),
    "TF32": Case(
        "precision",
        ("TF32",),
        lambda: nn.Linear(FEATURES, FEATURES),
        lambda: NarrowProducts(FEATURES, FEATURES),
    ),
    "causal mask": Case(
        "mask",
        ("causal",),
        lambda: Plain(FEATURES, 4, batch_first=True),
        lambda: Causal(FEATURES, 4, batch_first=True),
        STEPS,
    ),
    "halves": function(
        lambda x: x * 1,
        lambda x: torch.cat([x[:, 4:], x[:, :4]], 1),
        "channel order",
        ("its first 4 stand last",),
    ),
    "heads": function(
        lambda x: x * 1,
        lambda x: x.unflatten(-1, (4, 4)).transpose(1, 2).flatten(1),
        "channel order",
        ("4 by 4 and transposed",),
    ),
    "any order": function(
        lambda x: x * 1,
        lambda x: x[:, torch.randperm(FEATURES, generator=torch.Generator().manual_seed(0))],
        "channel order",
        ("in another order",),
    ),
    "a table": function(lambda x: x * 1, table, "addition", ("the same for all samples",), shape=STEPS),
    "a mask": function(
        lambda x: x * 1, lambda x: x * (torch.arange(7) < 5)[None, :, None], "mask", ("zeros",), shape=STEPS
    ),
}


@pytest.mark.parametrize("turned", [False, True], ids=["fault in b", "fault in a"])
@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_named_and_confirmed(name: str, turned: bool) -> None:
    case = CASES[name]
    width = case.shape[1] if len(case.shape) != 3 else case.shape[-1]

    def around(layer: nn.Module) -> nn.Module:
        mixing = nn.Conv2d(width, width, 1) if len(case.shape) == 4 else nn.Identity()
        return nn.Sequential(mixing, layer, nn.LeakyReLU(0.5))  # hides nothing

    right, wrong = settled(around(case.right())), around(case.wrong()).eval()
    known = right.state_dict()
    wrong.load_state_dict({name: known.get(name, value) for name, value in wrong.state_dict().items()})
    x = 3 * numbers(*case.shape)
    found = nv.compare(*((wrong, right) if turned else (right, wrong)), x)
    (cause,) = (one for one in found.causes if one.name not in ("momentum",))
    assert (cause.name, cause.confirmed) == (case.cause, True), cause.text
    if not turned:
        assert all(word in cause.text for word in case.words), cause.text


def test_two_causes_are_told_as_a_set() -> None:
    right = settled(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh()))
    wrong = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.Tanh()).eval()
    wrong.load_state_dict(right.state_dict())
    with torch.no_grad():
        wrong[0].weight[2, 1, 0, 0] += 1
    found = nv.compare(right, wrong, numbers(2, 3, 8, 8))
    assert {(one.name, one.confirmed) for one in found.causes} == {("padding", True), ("weights", True)}
    assert all("with these 2 in both" in one.text for one in found.causes)


def test_a_weight_into_which_a_norm_is_folded_is_compared_with_what_it_ought_to_be() -> None:
    right = settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)))
    fused = torch.nn.utils.fusion.fuse_conv_bn_eval(copied(right[0]), copied(right[1]))
    wrong = nn.Sequential(fused, nn.ReLU(), copied(right[3])).eval()
    x = numbers(2, 3, 8, 8)
    assert nv.compare(right, wrong, x).agrees
    with torch.no_grad():
        wrong[0].weight[2, 0, 0, 0] += 1
    for models in ((right, wrong), (wrong, right)):
        (cause,) = nv.compare(*models, x).causes
        assert (cause.name, cause.confirmed) == ("weights", True)
        assert "1 of 216 values of kernel differ" in cause.text


def test_values_that_are_zero_are_no_dropout_if_the_rest_is_as_it_was() -> None:
    def thinned(x: torch.Tensor) -> torch.Tensor:
        return torch.where(numbers(*x.shape, seed=3) < -1.5, 0, x)

    right, wrong = (
        nn.Sequential(nn.Linear(8, 8), Applies(one), nn.Linear(8, 2)) for one in (lambda x: x * 1, thinned)
    )
    wrong.load_state_dict(settled(right).state_dict())
    found = nv.compare(right, wrong.eval(), numbers(50, 8))
    assert found.first_divergence.path_b == "1"
    assert not any(one.name == "dropout" for one in found.causes), str(found)


def test_what_is_not_known_of_a_layer_is_not_said_to_be_ruled_out() -> None:
    def odd(x: torch.Tensor) -> torch.Tensor:
        return x + torch.roll(x, 1, -1) ** 3

    right, wrong = (
        nn.Sequential(nn.Linear(8, 8), Applies(one), nn.Linear(8, 2)) for one in (lambda x: x * 2, odd)
    )
    wrong.load_state_dict(settled(right).state_dict())
    (cause,) = nv.compare(right, wrong.eval(), numbers(50, 8)).causes
    assert (cause.name, cause.confirmed) == ("unknown", False)
    assert "what b computes is not known (Applies)" in cause.text
    assert "no setting" not in cause.text


class Conv1D(nn.Module):
    """A dense layer whose kernel stands the other way, as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(FEATURES, FEATURES)),
            nn.Parameter(torch.zeros(FEATURES)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight + self.bias


def test_a_weight_of_a_class_of_ones_own_is_put_to_the_test() -> None:
    right = settled(nn.Sequential(Conv1D(), nn.GELU()))
    wrong = copied(right)
    with torch.no_grad():
        wrong[0].weight[3, 4] += 1
    (cause,) = nv.compare(right, wrong, numbers(*STEPS)).causes
    assert (cause.name, cause.confirmed) == ("weights", True), cause.text
    assert "1 of 256 values of kernel differ" in cause.text


@pytest.mark.parametrize("other", [nn.ReLU, lambda: nn.LeakyReLU(0.1)], ids=["ReLU", "LeakyReLU"])
def test_an_activation_with_weights_against_one_without(other: Callable[[], nn.Module]) -> None:
    right = settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8)))
    wrong = nn.Sequential(copied(right[0]), other()).eval()
    for models in ((right, wrong), (wrong, right)):
        (cause,) = nv.compare(*models, numbers(2, 3, 8, 8)).causes
        assert (cause.name, cause.confirmed) == ("activation", True), cause.text
        assert "prelu" in cause.text


class Between(nn.Module):
    def __init__(self, first: nn.Module, does: Callable[..., torch.Tensor], second: nn.Module) -> None:
        super().__init__()
        self.first, self.does, self.second = first, does, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.does(self.first(x)))


BETWEEN = {
    "average that counts padding": (
        "pool padding",
        lambda x: F.avg_pool2d(x, 3, 1, 1),
        lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
        ("which counts", "which does not count"),
    ),
    "maximum and average": (
        "pooling",
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        ("maximum", "average"),
    ),
    "corners": (
        "interpolation",
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        ("bilinear", "align_corners"),
    ),
    "activation": (
        "activation",
        F.silu,
        lambda x: F.gelu(x, approximate="tanh"),
        ("silu", "gelu (tanh approximation)"),
    ),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_function_between_layers_is_named_on_both_sides(name: str) -> None:
    cause, one, other, words = BETWEEN[name]
    right = settled(Between(nn.Conv2d(3, 8, 3), one, nn.Conv2d(8, 4, 3)))
    wrong = Between(copied(right.first), other, copied(right.second)).eval()
    (found,) = nv.compare(right, wrong, numbers(2, 3, 12, 12)).causes
    assert (found.name, found.confirmed) == (cause, True), found.text
    assert all(word in found.text for word in words), found.text


class Attends(nn.Module):
    def __init__(self, causal: bool, scale: float | None = None) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(FEATURES, FEATURES) for _ in range(4))
        self.how = {"is_causal": causal, "scale": scale}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (one(x).unflatten(-1, (4, 4)).transpose(1, 2) for one in (self.q, self.k, self.v))
        return self.o(F.scaled_dot_product_attention(q, k, v, **self.how).transpose(1, 2).flatten(2))


@pytest.mark.parametrize(
    ("how", "words"), [((True,), "a causal mask"), ((False, 1.0), "b with scale 1;")], ids=["mask", "scale"]
)
def test_attention_written_by_hand_is_told_with_its_scale_and_mask(how: tuple, words: str) -> None:
    right, wrong = settled(Attends(False)), Attends(*how).eval()
    wrong.load_state_dict(right.state_dict())
    (found,) = nv.compare(right, wrong, 2 * numbers(*STEPS)).causes
    assert found.confirmed
    assert words in found.text, found.text
