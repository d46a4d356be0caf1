"""One score of a sigmoid speaks of two classes, wherever the sigmoid stands and whatever form it leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

X = torch.rand(3, 3, 10, 10, generator=torch.Generator().manual_seed(0))
SIGMOIDS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "as it is": torch.sigmoid,
    "squeezed": lambda scores: torch.sigmoid(scores).squeeze(1),
    "reshaped": lambda scores: scores.sigmoid().reshape(-1),
    "one column": lambda scores: scores.sigmoid()[:, 0],
    "before": lambda scores: torch.sigmoid(scores.squeeze(1)),
    "expit": torch.special.expit,
    "logarithm": F.logsigmoid,
    "other precision": lambda scores: torch.sigmoid(scores).double(),
}


class Net(nn.Module):
    def __init__(self, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 1), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.head(self.conv(x).relu().mean((2, 3))))


def evidence(model: Net, sign: int) -> np.ndarray:
    with torch.no_grad():
        activations = model.conv(X)
        derivative = model.head.weight[0][:, None, None] * (activations > 0) / 64
        weights = derivative.mean((2, 3), keepdim=True)
        return np.maximum(sign * (weights * activations).sum(1).numpy(), 0)


@pytest.mark.parametrize("spelling", SIGMOIDS)
def test_both_classes_can_be_asked_for(spelling):
    model = Net(SIGMOIDS[spelling])
    scores = Net(lambda scores: scores)(X).detach().numpy()[:, 0]
    for target, sign in ((1, 1), (0, -1)):
        found = nv.cam(model, X, "conv", target)
        np.testing.assert_allclose(found.maps, evidence(model, sign), atol=1e-6)
        np.testing.assert_allclose(found.shares, 1 / (1 + np.exp(-sign * scores)), rtol=1e-5)
        assert found.captions == (str(target),) * 3
        assert found.labels == tuple(f"{target} / {share:.2f}" for share in found.shares)
    assert nv.cam(model, X, "conv").target == tuple((scores > 0).astype(int))


def test_a_number_is_no_class():
    model = Net(lambda score: score)
    assert nv.cam(model, X, "conv").captions == ("output",) * 3
    with pytest.raises(nv.InputError, match="no sigmoid was seen"):
        nv.cam(model, X, "conv", 1)


def test_the_foreground_and_background_of_a_mask_of_one_channel():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Sigmoid())
    maps = [nv.cam(model, X, "0", target, mask=np.ones((10, 10), bool)).maps for target in (0, 1)]
    assert not np.allclose(*maps)
