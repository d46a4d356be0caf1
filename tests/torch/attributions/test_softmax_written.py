"""A softmax is known by what it computes of what, and a probability that is asked about is said to be one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

X = torch.rand(3, 3, 10, 10, generator=torch.Generator().manual_seed(0))


def shifted(z: torch.Tensor) -> torch.Tensor:
    return z - z.max(-1, keepdim=True).values


def by_hand(z: torch.Tensor) -> torch.Tensor:
    return z.exp() / z.exp().sum(-1, keepdim=True)


def in_place(z: torch.Tensor) -> torch.Tensor:
    z = z + 0
    z -= z.detach().amax(-1, keepdim=True)
    z.exp_()
    return z / z.sum(-1, keepdim=True)


SOFTMAXES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "layer": nn.Softmax(-1),
    "by hand": by_hand,
    "shifted": lambda z: by_hand(shifted(z)),
    "the layer of what is shifted": lambda z: F.softmax(shifted(z), -1),
    "shifted by what is no part of the graph": lambda z: by_hand(z - z.detach().amax(-1, keepdim=True)),
    "in place": in_place,
    "reciprocal": lambda z: z.exp() * z.exp().sum(-1, keepdim=True).reciprocal(),
    "normalized": lambda z: F.normalize(z.exp(), p=1, dim=-1),
    "with a margin": lambda z: z.exp() / (z.exp().sum(-1, keepdim=True) + 1e-9),
    "of logarithms": lambda z: (z - z.logsumexp(-1, keepdim=True)).exp(),
    "logarithm": lambda z: z - z.exp().sum(-1, keepdim=True).log(),
    "of powers": lambda z: torch.e**z / (torch.e**z).sum(-1, keepdim=True),
    "einsum": lambda z: torch.einsum("bc,b->bc", z.exp(), 1 / z.exp().sum(-1)),
    "in double precision": lambda z: by_hand(z.double()),
    "reshaped": lambda z: by_hand(z.reshape(-1, 1, 4)).flatten(1),
    "classes that cannot be": lambda z: F.softmax(
        torch.cat([z, torch.full_like(z[:, :1], -torch.inf)], 1), -1
    ),
}


class Net(nn.Module):
    def __init__(self, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.head(self.conv(x).relu().mean((2, 3))))


@pytest.mark.parametrize("spelling", SOFTMAXES)
def test_the_score_is_asked_for_however_a_softmax_is_written(spelling):
    model, bare = Net(SOFTMAXES[spelling]), Net(lambda scores: scores)
    for target in (None, 0, 3):
        found, expected = (nv.cam(net, X, "conv", target) for net in (model, bare))
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
        assert found.title == expected.title
        shares = F.softmax(bare(X), -1).detach().numpy()[range(3), list(found.target)]
        np.testing.assert_allclose(found.shares, shares, rtol=1e-5)
        assert found.captions == expected.captions == tuple(map(str, found.target))
        assert found.labels == tuple(
            f"{called} / {share:.2f}" for called, share in zip(found.target, shares, strict=True)
        )
        assert expected.shares == (None,) * 3, "of bare scores no probability is known"


@pytest.mark.parametrize(
    "last",
    [
        lambda z: 1 / (1 + (-z).exp()),
        lambda z: z.exp() / (1 + z.exp()),
        lambda z: 0.5 * (1 + torch.tanh(z / 2)),
        lambda z: -F.softplus(-z),
    ],
)
def test_so_is_a_sigmoid_of_each_class_for_itself(last):
    found, expected = (nv.cam(Net(way), X, "conv", 2) for way in (last, lambda z: z))
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)


def test_a_probability_of_which_no_score_is_known_is_said_to_be_one():
    """As that of a sparsemax, or of squares: it depends on all classes, and what speaks for it may be another's."""
    view = nv.cam(Net(lambda z: z**2 / (z**2).sum(-1, keepdim=True)), X, "conv", 1)
    assert "of the probability, which all classes decide" in view.title
    view = nv.cam(Net(lambda z: (z**2 / (z**2).sum(-1, keepdim=True)).log()), X, "conv", 1)
    assert "of the probability, which all classes decide" in view.title
    assert "probability" not in nv.cam(Net(lambda z: z), X, "conv", 1).title
    assert "probability" not in nv.cam(Net(nn.Softmax(-1)), X, "conv", 1, method="eigen-cam").title
