"""What cannot be compared is refused in a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

L = keras.layers


def in_keras() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            L.Conv2D(4, 3, activation="relu", name="conv"),
            L.GlobalAveragePooling2D(name="mean"),
            L.Dense(2, name="fc"),
        ]
    )


class InTorch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))


def pictures(count: int = 2, height: int = 8, width: int = 9) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, height, width, 3)).astype(np.float32)


def twins() -> tuple[Any, Any]:
    a, b = in_keras(), InTorch()
    nv.copy_weights(b, a)
    return a, b


def assert_refused(a: Any, b: Any, x: Any, *words: str) -> None:
    for models, given in (((a, b), x), ((b, a), x[::-1] if isinstance(x, tuple) else x)):
        with pytest.raises(nv.InputError) as caught:
            nv.compare(*models, given)
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_inputs_of_another_batch():
    assert_refused(*twins(), (nv.images(pictures(2)), nv.images(pictures(3))), "2", "3", "same samples")


def test_inputs_of_another_shape():
    pair = (nv.images(pictures()), nv.images(pictures(height=10)))
    assert_refused(*twins(), pair, "y", "8", "10", "same")


def test_inputs_of_another_layout_are_the_same_input():
    pair = (nv.images(pictures()), nv.images(np.moveaxis(pictures(), -1, 1), ("batch", "channel", "y", "x")))
    assert nv.compare(*twins(), pair).first_divergence is None
    native = (pictures(), np.ascontiguousarray(np.moveaxis(pictures(), -1, 1)))
    assert nv.compare(*twins(), native).first_divergence is None


def test_one_raw_array_for_two_layouts_is_advised_to_have_names():
    for x in (pictures(), np.ascontiguousarray(np.moveaxis(pictures(), -1, 1))):
        assert_refused(*twins(), x, "nv.images")


def test_a_tuple_of_three():
    assert_refused(*twins(), (pictures(),) * 3, "3", "pair")


def test_models_with_nothing_in_common():
    nothing = keras.Sequential([keras.Input((4,)), L.Dense(5, name="only")])
    x = (nv.images(pictures()), np.ones((2, 4), np.float32))
    with pytest.raises(nv.InputError, match="mapping"):
        nv.compare(nn.Sequential(nn.Conv2d(3, 4, 3)), nothing, x)


class Noisy(InTorch):
    """Adds noise between its layers, whatever its mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc((torch.relu(self.conv(x)) + torch.rand(1)).mean((2, 3)))


@pytest.mark.parametrize("back", [False, True])
def test_a_model_that_is_not_deterministic_is_said_to_be_so(back):
    a, healthy = twins()
    noisy = Noisy()
    noisy.load_state_dict(healthy.state_dict())
    pair = (noisy, a) if back else (a, noisy)
    found = nv.compare(*pair, nv.images(pictures()))
    assert found.first_divergence is not None
    cause = next(each for each in found.causes if each.name == "not deterministic")
    assert cause.confirmed
    assert cause.text.startswith("a is" if back else "b is")
