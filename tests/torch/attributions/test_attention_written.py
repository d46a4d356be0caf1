"""Attention in a model's own words: what multiplies the values, and whose axes its are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

B, H, N, D = 2, 4, 6, 4
WITHIN = torch.ones(N, N, dtype=torch.bool)
WITHIN[2], WITHIN[:, 4] = False, False


class Attention(nn.Module):
    """Keeps what it multiplies its values with, as (batch, head, query, key)."""

    def __init__(self, way, order: str = "apart") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.mix = nn.Linear(H * D, 3 * H * D), nn.Linear(H, H)
        self.mix_maps = nn.Conv2d(H, H, 1)
        self.way, self.order = way, order

    def forward(self, x):
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, H, D).permute(2, 0, 3, 1, 4)
        return x + self.attend(q, k, v).transpose(1, 2).flatten(2)

    def attend(self, q, k, v):
        count = len(q)
        if self.order == "folded":
            q, k, v = (part.reshape(-1, N, D) for part in (q, k, v))
            weights = self.way(self, q @ k.mT / math.sqrt(D))
            self.used = weights.view(count, H, N, -1)
            return (weights @ v).view(count, H, N, D)
        if self.order == "heads outside":
            q, k, v = (part.transpose(0, 1).reshape(-1, N, D) for part in (q, k, v))
            weights = self.way(self, torch.bmm(q, k.mT) / math.sqrt(D))
            self.used = weights.view(H, count, N, -1).transpose(0, 1)
            return (weights @ v).view(H, count, N, D).transpose(0, 1)
        if self.order == "heads first":
            q, k, v = (part.transpose(0, 1) for part in (q, k, v))
            weights = self.way(self, q @ k.mT / math.sqrt(D))
            self.used = weights.transpose(0, 1)
            return (weights @ v).transpose(0, 1)
        self.used = self.way(self, q @ k.mT / math.sqrt(D))
        return self.used @ v


def softmax(module, scores):
    return scores.softmax(-1)


def cleaned(module, scores):
    weights = scores.masked_fill(~WITHIN, -math.inf).softmax(-1)
    return torch.where(weights.isnan(), 0.0, weights)


def best_two(module, scores):
    weights = scores.softmax(-1)
    return weights.masked_fill(weights < weights.topk(2, -1).values[..., -1:], 0.0)


def sink(module, scores):
    return torch.cat([scores, torch.zeros(*scores.shape[:-1], 1)], -1).softmax(-1)[..., :-1]


def sink_in_front(module, scores):
    return torch.cat([torch.zeros(*scores.shape[:-1], 1), scores], -1).softmax(-1)[..., 1:]


def pruned(module, scores):
    return scores.softmax(-1) * torch.tensor([0.0, 1, 1, 1]).view(1, H, 1, 1)


def talking(module, scores):
    mixed = module.mix(scores.permute(0, 2, 3, 1)).softmax(-2)
    return module.mix(mixed).permute(0, 3, 1, 2)


def talking_maps(module, scores):
    return module.mix_maps(module.mix_maps(scores).softmax(-1))


def by_hand(module, scores):
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


WAYS = [
    softmax, cleaned, best_two, sink, sink_in_front, by_hand,
    lambda m, s: s.softmax(-1) * WITHIN,
    lambda m, s: s.softmax(-1).mul_(WITHIN),
    lambda m, s: (s.tanh() * 5).softmax(-1),
    lambda m, s: s.sigmoid(),
    lambda m, s: s.exp(),
    lambda m, s: s.relu().square() / N,
    lambda m, s: s.softmax(-1).softmax(-1),
    lambda m, s: s.softmax(-1) / (1e-9 + s.softmax(-1).sum(-2, keepdim=True)),
    lambda m, s: s.softmax(-2) / s.softmax(-2).sum(-1, keepdim=True),
    lambda m, s: s.softmax(-1) - 0.5 * (2 * s).softmax(-1),
]  # fmt: skip


@pytest.mark.parametrize("order", ["apart", "folded", "heads outside", "heads first"])
@pytest.mark.parametrize("way", WAYS)
def test_what_multiplies_the_values_is_shown(way, order):
    model, x = Attention(way, order).eval(), torch.randn(B, N, H * D)
    with torch.no_grad():
        model(x)
    view = nv.attention(model, x=x, sample=1)
    np.testing.assert_allclose(view.weights, model.used, atol=1e-6)
    np.testing.assert_allclose(view.mean().tiles[0], model.used[1].mean(0), atol=1e-6)
    assert nv.attention(model, x=x, rollout=True).title == "attention rollout · 1 layer"
    turned = nv.attention(model, x=x.flip(0), rollout=True).weights
    np.testing.assert_allclose(turned[::-1], nv.attention(model, x=x, rollout=True).weights, atol=1e-6)


@pytest.mark.parametrize("way", [pruned, talking, talking_maps])
def test_what_happens_between_heads_is_shown(way):
    model, x = Attention(way).eval(), torch.randn(B, N, H * D)
    with torch.no_grad():
        model(x)
    np.testing.assert_allclose(nv.attention(model, x=x).weights, model.used, atol=1e-6)


class Windows(Attention):
    """Each token looks at itself and at the one before, without a product with the values."""

    def attend(self, q, k, v):
        scores = q @ k.mT
        near = torch.stack([scores.diagonal(0, -2, -1), scores.roll(1, -1).diagonal(0, -2, -1)], -1).softmax(
            -1
        )
        return near[..., :1] * v + near[..., 1:] * v.roll(1, -2)


def test_what_attends_and_cannot_be_read_is_named():
    x = torch.randn(B, N, H * D)
    with pytest.raises(
        nv.UnsupportedError, match="the model: it computes a softmax of products of two values"
    ):
        nv.attention(Windows(softmax), x=x)
    model = nn.Sequential(Attention(softmax), Windows(softmax), Attention(softmax))
    view = nv.attention(model, x=x, rollout=True)
    assert view.title == "attention rollout · 2 layers, without '1', which could not be read"
    assert list(view.left_out) == ["1"]
    with pytest.raises(nv.LayerNotFoundError, match=r"no attention was seen in layer '0\.qkv'"):
        nv.attention(model, "0.qkv", x)


class Folded(nn.Module):
    """Attention within halves of the sequence, whose halves are folded into the batch."""

    def __init__(self, is_known: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.is_known = Attention(softmax), is_known

    def forward(self, x):
        windows = x.reshape(2 * len(x), N, -1) if self.is_known else torch.cat([x[:, :N], x[:, N:]])
        return self.attention(windows).sum(1)


def test_windows_are_no_samples():
    model, x = Folded().eval(), torch.randn(B, 2 * N, H * D)
    with torch.no_grad():
        model(x)
    for window in range(2):
        view = nv.attention(model, "attention", x, sample=1, window=window)
        np.testing.assert_allclose(view.tiles, model.attention.used[2 + window], atol=1e-6)
        assert view.title == f"attention · attention · window {window} of 2"
    with pytest.raises(nv.UnsupportedError, match="within 2 windows"):
        nv.attention(model, x=x, rollout=True)
    with pytest.raises(nv.InputError, match="there are 2, counted from 0"):
        nv.attention(model, x=x, window=2)
    with pytest.raises(nv.InputError, match="looks within no windows"):
        nv.attention(model.attention, x=x[:, :N], window=0)


def test_samples_that_are_not_known_are_refused():
    with pytest.raises(nv.UnsupportedError, match="axis0 4, head 4, query 6, key 6"):
        nv.attention(Folded(is_known=False), x=torch.randn(B, 2 * N, H * D))


class Experts(nn.Module):
    """A choice among experts is a softmax that is summed over, and no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 3), nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        made = torch.stack([expert(x) for expert in self.experts], 2)
        return torch.einsum("bte,bted->btd", self.gate(x).softmax(-1), made)


def test_a_choice_among_experts_is_no_attention():
    with pytest.raises(nv.LayerNotFoundError, match=r"^no attention was seen in the model$"):
        nv.attention(Experts(), x=torch.randn(2, 5, 8))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.attention = nn.Conv2d(3, 8, 8, 8), nn.MultiheadAttention(8, 2, batch_first=True)

    def look(self, image):
        tokens = self.patches(image).flatten(2).mT
        return self.attention(tokens, tokens, tokens)[0]

    def forward(self, first, second):
        return (self.look(first) - self.look(second)).mean(1)


def test_weights_lie_over_the_picture_that_the_call_was_given():
    pictures = torch.zeros(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    for call, picture in enumerate(pictures):
        shown = nv.attention(Siamese(), f"attention:{call}", pictures).over_image().images
        np.testing.assert_allclose(shown[0], picture[0].permute(1, 2, 0))


def test_which_of_several_pictures_is_looked_at_may_not_be_known():
    class Mixed(Siamese):
        def forward(self, first, second):
            return self.look(first + second)

    view = nv.attention(Mixed(), x=(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)))
    with pytest.raises(nv.UnsupportedError, match="which of the 2 pictures"):
        view.over_image()


def test_both_pictures_may_be_in_one_batch():
    class Folded(Siamese):
        def forward(self, first, second):
            return self.look(torch.cat([first, second])).mean(1)

    pictures = torch.zeros(2, 3, 32, 32), torch.full((2, 3, 32, 32), 0.5)
    view = nv.attention(Folded(), x=pictures)
    assert view.images.mean(axis=(1, 2, 3)).tolist() == [0, 0, 0.5, 0.5]
    assert view.over_image().heat.shape == (2, 32, 32)  # of two heads


def test_what_is_only_scaled_by_another_picture_lies_on_its_own():
    class Gated(Siamese):
        def forward(self, first, second):
            return self.look(first * second.mean((2, 3), keepdim=True).sigmoid())

    first, second = torch.zeros(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    assert not nv.attention(Gated(), x=(first, second)).over_image().images.any()


def test_keys_of_one_picture_that_are_asked_for_by_another():
    class Crossed(Siamese):
        def forward(self, first, second):
            asking, asked = (self.patches(image).flatten(2).mT for image in (first[..., :16], second))
            return self.attention(asking, asked, asked)[0].mean(1)

    first, second = torch.zeros(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    assert (nv.attention(Crossed(), x=(first, second)).over_image().images == 0.5).all()
