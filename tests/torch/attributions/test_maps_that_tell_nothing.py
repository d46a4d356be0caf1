"""A map that is zero everywhere, and one that lies over no input, are said to be so where they are shown."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_matplotlib.parts.captions import Captions

X = torch.rand(2, 3, 10, 10, generator=torch.Generator().manual_seed(0))
ZERO = "the map is zero everywhere"


class Net(nn.Module):
    """Nothing on a picture speaks for class 0; all places speak alike for class 2, as they are all the same."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        conv, self.head = nn.Conv2d(3, 2, 3), nn.Linear(2, 3, bias=False)
        self.conv = nn.Sequential(conv, nn.ReLU())
        with torch.no_grad():
            conv.weight[1], conv.bias[1] = 0, 1
            self.head.weight.copy_(torch.tensor([[-1.0, 0], [1, 0], [0, 1]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3)))


def in_figure(view: nv.CamOverlay) -> str:
    """All that is written in the figure, with the caption of each picture."""
    figure, ax = plt.subplots(figsize=(9, 5))
    view.plot(ax)
    figure.canvas.draw()
    captions = [
        line
        for artist in ax.get_children()
        if isinstance(artist, Captions)
        for caption in artist._captions
        for line in caption
    ]
    plt.close(figure)
    return " ".join([ax.get_title(), *map(str, captions)]).replace("\n", " ")


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "layer-cam", "cam"])
def test_nothing_speaks_for_a_class(method):
    view = nv.cam(Net(), X, "conv", 0, method)
    assert not view.maps.any()
    assert f"nothing speaks for 0: {ZERO}" in view.title
    assert view.captions == (f"0\n{ZERO}",) * 2
    assert ZERO in in_figure(view)


def test_one_map_of_several_is_zero():
    view = nv.cam(Net(), X, "conv", [[0, 1], [0, 1]])
    assert view.title.endswith("2 of 4 maps are the same everywhere")
    assert view.captions == (f"0\n{ZERO}", "1") * 2


def test_all_places_speak_alike():
    view = nv.cam(Net(), X, "conv", 2)
    assert view.title == "Grad-CAM · conv · the map is 0.01562 everywhere"
    assert nv.cam(Net(), X, "conv", 1).title == "Grad-CAM · conv"


def test_the_worst_examples_say_so_too():
    found = nv.top_losses(Net(), 2, (X, torch.tensor([1, 1])), "cross_entropy", layer="conv")
    assert found.title.endswith(found.captions[0].splitlines()[-1])
    assert all("everywhere" in caption for caption in found.captions)


class Blind(nn.Module):
    """Tokens that look at the class token alone, so that no patch is looked at."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.token = nn.Conv2d(3, 8, 5, 5), nn.Parameter(torch.ones(1, 1, 8))
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = torch.cat([self.token.expand(len(x), -1, -1), self.conv(x).flatten(2).transpose(1, 2)], 1)
        hidden = torch.tensor([False, True, True, True, True]).expand(len(x), -1)
        return self.attn(tokens, tokens, tokens, key_padding_mask=hidden, need_weights=False)[0].mean((1, 2))


@pytest.mark.parametrize("rollout", [False, True])
def test_attention_that_no_patch_is_given(rollout):
    view = nv.attention(Blind(), x=X, rollout=rollout).over_image()
    assert ZERO in view.title
    assert all(ZERO in caption for caption in view.captions)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(a + b).relu().mean((2, 3)))


def test_a_map_that_lies_over_none_of_several_inputs():
    assert "laid over none of the 2 inputs" in nv.cam(Two(), (X, 1 - X), "conv", 1).title
