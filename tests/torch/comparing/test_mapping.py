"""A mapping is followed, or it is told why not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import netviz_core as nv

X = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))


class Adapted(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base, self.down = base, nn.Linear(8, 2, bias=False)
        self.up = nn.Linear(2, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x))


def models() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    a = nn.Sequential(Adapted(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))
    b = copy.deepcopy(a)
    b[0] = b[0].base
    return a, b


def told(mapping) -> list[str]:
    return [
        cause.text for cause in nv.compare(*models(), X, mapping=mapping).causes if cause.name == "mapping"
    ]


def test_what_holds_layers_is_a_pair_with_what_holds_none_if_it_is_named():
    found = nv.compare(*models(), X, mapping={"0": "0"})
    pair = found.pairs[0]
    assert (pair.path_a, pair.path_b, pair.evidence) == ("0", "0", ("given",))
    assert not any(cause.name == "mapping" for cause in found.causes)


def test_what_holds_layers_on_both_sides_is_compared_layer_by_layer():
    a, _ = models()
    found = nv.compare(a, copy.deepcopy(a), X, mapping={"0": "0"})
    (text,) = (cause.text for cause in found.causes if cause.name == "mapping")
    assert "a's '0' holds other layers, which are compared one by one" in text


@pytest.mark.parametrize("mapping", [{"0.base": "0"}, {"2": "2"}, {"*": "*"}, None])
def test_what_is_followed_is_not_told(mapping):
    if mapping == {"*": "*"}:
        a, _ = models()
        assert not [
            c for c in nv.compare(a, copy.deepcopy(a), X, mapping=mapping).causes if c.name == "mapping"
        ]
    else:
        assert told(mapping) == []


class Apart(nn.Module):
    """Attention made of its projections."""

    def __init__(self, whole: nn.MultiheadAttention) -> None:
        super().__init__()
        size = whole.embed_dim
        self.q, self.k, self.v = (nn.Linear(size, size) for _ in range(3))
        self.o, self.heads = nn.Linear(size, size), whole.num_heads
        with torch.no_grad():
            for place, layer in enumerate((self.q, self.k, self.v)):
                layer.weight[:] = whole.in_proj_weight[place * size : (place + 1) * size]
                layer.bias[:] = whole.in_proj_bias[place * size : (place + 1) * size]
            self.o.load_state_dict(whole.out_proj.state_dict())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        return self.o(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0]


def in_one_and_in_four() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    whole = Whole()
    nn.init.normal_(whole.attention.in_proj_bias)
    a, b = nn.Sequential(whole, nn.Linear(8, 4)), nn.Sequential(Apart(whole.attention), nn.Linear(8, 4))
    b[1] = copy.deepcopy(a[1])
    return a, b


TOKENS = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
FOUR = ("0.q", "0.k", "0.v", "0.o")


@pytest.mark.parametrize("turned", [False, True])
def test_layers_that_are_one_of_the_other_side_are_a_pair_if_they_are_named(turned):
    a, b = in_one_and_in_four()
    if turned:
        found = nv.compare(b, a, TOKENS, mapping={FOUR: "0.attention"})
    else:
        found = nv.compare(a, b, TOKENS, mapping={"0.attention": FOUR})
    assert found.agrees
    pair = found.pairs[0]
    assert pair.evidence == ("given",)
    assert "'0.q', '0.k', '0.v', '0.o' of" in pair.note
    assert not any(cause.name == "mapping" for cause in found.causes)


def test_a_fault_in_one_of_several_is_told_at_the_pair_and_of_the_weight():
    a, b = in_one_and_in_four()
    with torch.no_grad():
        b[0].v.weight[3, 2] += 1
        b[1].bias[2] += 1
    found = nv.compare(a, b, TOKENS, mapping={"0.attention": FOUR})
    assert [fault.path_a for fault in found.faults] == ["0.attention", "1"]
    (cause,) = found.faults[0].causes
    assert cause.name == "weights"
    assert not cause.confirmed
    assert "1 of 64 values of kernel of '0.v' differ" in cause.text


def test_layers_side_by_side_are_no_pair_and_what_to_do_is_said():
    a, b = in_one_and_in_four()
    with pytest.raises(
        nv.InputError, match=r"'0.q' has no part in what '0.v' returns.*leave them out of mapping"
    ):
        nv.compare(b, a, TOKENS, mapping={FOUR[:3]: "0.attention"})


def test_several_of_which_one_does_not_run_are_told_not_to_be_followed():
    a, b = in_one_and_in_four()
    b[0].unused = nn.Linear(8, 8)
    found = nv.compare(a, b, TOKENS, mapping={"0.attention": (*FOUR, "0.unused")})
    (text,) = (cause.text for cause in found.causes if cause.name == "mapping")
    assert "b's '0.unused' was not seen to run" in text
