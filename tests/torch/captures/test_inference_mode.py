"""Under ``torch.inference_mode()`` everything is as outside."""

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.bn, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 2)

    def forward(self, x):
        out = self.bn(self.a(x))
        out += x
        return self.fc(self.pool(self.relu(out)).flatten(1))


class Sequential(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.attend = nn.Embedding(9, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.lstm, self.conv = nn.LayerNorm(8), nn.LSTM(8, 6, batch_first=True), nn.Conv1d(6, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, tokens):
        h = self.embed(tokens)
        h = nn.functional.dropout(self.norm(h + self.attend(h, h, h)[0]), training=self.training)
        h, _ = self.lstm(h)
        return self.fc(self.conv(h.mT).mean(-1)).softmax(-1)


@pytest.mark.parametrize("is_made_inside", [False, True])
@pytest.mark.parametrize(
    ("make", "x"),
    [(Convolutional, torch.rand(2, 3, 8, 8)), (Sequential, torch.zeros(2, 7, dtype=torch.long))],
)
def test_as_outside(make, x, is_made_inside):
    model = make().eval()
    asked = [nv.graph, nv.summary, nv.health]
    outside, told = nv.capture(model, x), [str(ask(model, x)) for ask in asked]
    with torch.inference_mode():
        given = x.clone() if is_made_inside else x
        inside = nv.capture(model, given)
        assert {key: inside[key].axes for key in inside} == {key: outside[key].axes for key in outside}
        assert [str(ask(model, given)) for ask in asked] == told
        assert nv.compare(model, model, given).agrees


def test_heat_for_images_made_inside():
    model = Convolutional().eval()
    with torch.inference_mode():
        assert nv.cam(model, torch.rand(2, 3, 8, 8)).heat.shape == (2, 8, 8)


def test_what_cannot_be_differentiated_is_named():
    with torch.inference_mode():
        model = Convolutional().eval()
        with pytest.raises(nv.UnsupportedError, match="was made under"):
            nv.cam(model, torch.rand(2, 3, 8, 8))


def test_what_was_made_inside_is_followed_inside():
    def made():
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        return nn.Sequential(*layers).eval(), torch.rand(2, 3, 8, 8)

    want = nv.cam(*made(), method="eigen-cam")
    with torch.inference_mode():
        model, x = made()
        found = nv.cam(model, x, method="eigen-cam")
        with pytest.raises(nv.UnsupportedError, match=r"was made under torch\.inference_mode"):
            nv.cam(model, x)
    assert found.layer == want.layer
    np.testing.assert_allclose(found.heat, want.heat, atol=1e-5)
