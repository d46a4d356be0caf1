"""Which layer a class activation map is of where none is named, whatever operations and outputs there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

X = torch.rand(2, 3, 12, 12)


class Net(nn.Module):
    """A convolution, and whatever `end` makes of its maps and their scores."""

    def __init__(self, end):
        super().__init__()
        self.conv, self.head, self.end = nn.Conv2d(3, 8, 3), nn.Linear(8, 5), end

    def forward(self, x):
        maps = self.conv(x)
        return self.end(self.head(maps.mean((2, 3))), maps)


@pytest.mark.parametrize(
    "end",
    [
        lambda scores, maps: {"logits": scores, "hidden": maps},
        lambda scores, maps: scores + maps[:, :, :0].flatten(1).sum(),
        lambda scores, maps: scores + maps[:0].view(0, 4, 200).sum(),
        lambda scores, maps: scores + maps.flatten(1).topk(60).values.sum(),
        lambda scores, maps: scores + maps.kthvalue(6, 1).values.sum(),
        lambda scores, maps: scores + maps.sort(dim=1, stable=True).values[0].sum(),
    ],
    ids=["maps returned", "nothing", "no samples", "topk", "kthvalue", "sort"],
)
def test_what_else_is_computed_of_the_maps_is_no_obstacle(end):
    assert nv.cam(Net(end).eval(), X).layer == "conv"


def test_of_several_outputs_one_is_to_be_named():
    model = Net(lambda scores, maps: (scores, maps)).eval()
    with pytest.raises(nv.AmbiguousKeyError, match="'0', '1'; say with output="):
        nv.cam(model, X)
    assert nv.cam(model, X, output="0").layer == "conv"


def test_layers_that_return_what_scores_look_like_come_last():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)).eval()
    assert nv.cam(model, X).maps.shape == (2, 12, 12)
    assert nv.cam(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)).eval(), X).layer == "0"


def test_the_kth_value_is_taken_along_its_axis():
    class Picked(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.norm, self.head = nn.Conv2d(3, 8, 3, 3), nn.LayerNorm((4, 4)), nn.Linear(16, 3)

        def forward(self, x):
            self.seen = self.norm(self.patch(x).kthvalue(2, 1).values)  # batch, y, x
            return self.head(self.seen.flatten(1))

    model = Picked().eval()
    (gradient,) = torch.autograd.grad(model(X)[:, 1].sum(), model.seen)
    want = (gradient.mean((1, 2), keepdim=True) * model.seen).clamp(min=0).detach()
    np.testing.assert_allclose(nv.cam(model, X, "norm", target=1).maps, want, atol=1e-6)


def test_a_batch_of_none_is_refused():
    with pytest.raises(nv.InputError, match="holds no sample; give at least one"):
        nv.feature_maps(Net(lambda scores, maps: scores.view(0, 5)).eval(), "conv", X[:0])


class Block(nn.Module):
    """Attention to which each token's own projections go, as many write it."""

    def __init__(self, width: int, norm_first: bool) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.hidden = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x) if self.norm_first else x
        y = nn.functional.scaled_dot_product_attention(self.query(y), self.key(y), self.value(y))
        if self.norm_first:
            x = x + self.out(y)
            return x + self.hidden(self.norm2(x)).relu()
        x = self.norm1(x + self.out(y))
        return self.norm2(x + self.hidden(x).relu())


class Transformer(nn.Module):
    def __init__(self, depth: int, by_class_token: bool, norm_first: bool) -> None:
        super().__init__()
        self.by_class_token = by_class_token
        self.patch, self.token = nn.Conv2d(3, 16, 3, 3), nn.Parameter(torch.randn(1, 1, 16))
        self.blocks = nn.ModuleList(Block(16, norm_first) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 0] if self.by_class_token else x[:, 1:].mean(1))


@pytest.mark.parametrize(
    ("depth", "by_class_token", "norm_first", "layer"),
    [
        (3, True, True, "blocks.2.norm1"),
        (2, True, True, "blocks.1.norm1"),
        (3, True, False, "blocks.1"),
        (3, False, True, "norm"),
        (1, False, True, "norm"),
    ],
)
def test_of_a_transformer_it_is_what_the_last_attention_on_which_the_score_depends_is_given(
    depth: int, by_class_token: bool, norm_first: bool, layer: str
) -> None:
    torch.manual_seed(0)
    assert nv.cam(Transformer(depth, by_class_token, norm_first).eval(), X).layer == layer
