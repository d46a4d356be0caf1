"""The demo's network learns."""

from __future__ import annotations

import numpy as np
import torch

from netviz_torch import TorchBackend


def test_the_demo_learns_without_touching_the_random_state():
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 640)
    images = np.zeros((640, 8, 8, 1), np.float32)
    images[np.arange(640), labels % 8, labels // 2, 0] = 1
    before, steps = torch.get_rng_state(), []
    untrained, trained = TorchBackend().demo(
        images, labels, lambda step, total, loss: steps.append((step, total))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert steps[-1][0] == steps[-1][1] == len(steps)

    def accuracy(model):
        with torch.no_grad():
            return (model(torch.from_numpy(images.transpose(0, 3, 1, 2))).argmax(1).numpy() == labels).mean()

    assert accuracy(untrained) < 0.5
    assert accuracy(trained) > 0.95
