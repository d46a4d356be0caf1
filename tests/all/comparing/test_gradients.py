"""With a loss the gradients of weights are compared, and nothing is made of what has no effect on them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

L = keras.layers
RANDOM = np.random.default_rng(0)
TARGETS = np.arange(4)


def images() -> nv.AxisArray:
    return nv.images(RANDOM.normal(size=(4, 10, 10, 3)).astype("float32"))


def compared(a: Any, b: Any, x: Any) -> nv.Comparison:
    return nv.compare(a, b, x, loss="cross_entropy", targets=TARGETS)


def flattening() -> tuple[Any, Any, Any]:
    a = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4)).eval()
    b = keras.Sequential([L.Input((10, 10, 3)), L.Conv2D(8, 3), L.ReLU(), L.Flatten(), L.Dense(4)])
    return a, b, images()


def pooling() -> tuple[Any, Any, Any]:
    """Among equal zeros the two pools pick another one, where the ReLU lets nothing through."""
    a = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    ).eval()
    b = keras.Sequential(
        [
            *(L.Input((10, 10, 3)), L.Conv2D(8, 3, padding="same"), L.ReLU(), L.ZeroPadding2D(1)),
            *(L.MaxPooling2D(3, 2), L.Conv2D(8, 3), L.ReLU(), L.GlobalAveragePooling2D(), L.Dense(4)),
        ]
    )
    return a, b, images()


class LastStep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def last_step() -> tuple[Any, Any, Any]:
    b = keras.Sequential([L.Input((7, 6)), L.GRU(5), L.Dense(4)])
    return LastStep().eval(), b, RANDOM.normal(size=(4, 7, 6)).astype("float32")


class Detached(nn.Module):
    def __init__(self, is_detached: bool = True) -> None:
        super().__init__()
        self.p, self.q, self.head = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(5, 4)
        self.is_detached = is_detached

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.q(x)
        return self.head(self.p(x) + (q.detach() if self.is_detached else q))


def detached() -> tuple[Any, Any, Any]:
    given = L.Input((6,))
    q = L.Lambda(keras.ops.stop_gradient)(L.Dense(5, name="q")(given))
    b = keras.Model(given, L.Dense(4, name="head")(L.Dense(5, name="p")(given) + q))
    return Detached().eval(), b, RANDOM.normal(size=(4, 6)).astype("float32")


RIGHT = (flattening, pooling, last_step, detached)


@pytest.mark.parametrize("made", RIGHT)
def test_a_port_that_trains_alike_raises_no_alarm(made: Any) -> None:
    torch.manual_seed(0)
    a, b, x = made()
    nv.copy_weights(a, b)
    for pair in ((a, b), (b, a)):
        found = compared(*pair, x)
        assert found.agrees, str(found)
        trained = [one for one in found.pairs if one.weights]
        assert trained
        assert all(one.gradient is not None and one.gradient.within for one in trained)


def test_a_branch_that_one_side_alone_detaches_is_found() -> None:
    torch.manual_seed(0)
    a, (_, b, x) = Detached(is_detached=False), detached()
    nv.copy_weights(a, b)
    found = compared(a, b, x)
    assert found.first_divergence is not None
    assert found.first_divergence.status == "gradient"


def test_weights_that_one_side_does_not_train_are_said() -> None:
    torch.manual_seed(0)
    a, b, x = flattening()
    nv.copy_weights(a, b)
    a[0].requires_grad_(False)
    found = compared(a, b, x)
    assert found.agrees, str(found)
    assert "a does not train 0.bias, 0.kernel" in " ".join(found.as_far_as)
    assert not a[0].weight.requires_grad


def test_what_comes_back_to_weights_is_what_the_framework_says() -> None:
    torch.manual_seed(0)
    a, b, x = flattening()
    nv.copy_weights(a, b)

    def seed(parts: Any) -> dict[str, np.ndarray]:
        return {"": np.ones(parts[""].shape, np.float32)}

    a(torch.tensor(x.canonical().values)).sum().backward()
    told = nv.wrap(b).adapter.gradients_of_weights(b, x, seed)
    found = {(path, name): values for path, name, values in told}
    kernel = found[b.layers[0].name, "kernel"]
    np.testing.assert_allclose(kernel, a[0].weight.grad.numpy(), rtol=1e-4, atol=1e-3)
