"""The demo's network learns to read digits."""

from __future__ import annotations

import keras
import numpy as np

import netviz_core as nv

from .conftest import native


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Ten patterns in noise: as easy to tell apart as handwriting, and here without a download."""
    random = np.random.default_rng(0)
    patterns = random.uniform(0, 1, (10, 8, 8, 1))
    labels = random.integers(0, 10, 800)
    images = np.clip(patterns[labels] + random.normal(0, 0.3, (800, 8, 8, 1)), 0, 1)
    return images.astype("float32"), labels


def test_demo() -> None:
    images, labels = digits()
    steps: list[tuple[int, int, float]] = []
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    untrained, trained = nv.get_backend("keras").demo(images, labels, lambda *step: steps.append(step))

    def accuracy(model: keras.Model) -> float:
        return float((native(model(images)).argmax(1) == labels).mean())

    assert accuracy(trained) > 0.95 > 0.5 > accuracy(untrained)
    assert [step for step, _, _ in steps] == list(range(1, len(steps) + 1))
    assert {total for _, total, _ in steps} == {len(steps)}
    assert steps[-1][2] < 0.5 < steps[0][2]
    assert np.random.random() == expected, "the user's own random numbers were used"  # noqa: NPY002
    kinds = {path: layer.kind for path, layer in nv.wrap(trained).layers.items()}
    assert [kinds[name] for name in ("conv1", "conv2", "dense1", "dense2")] == [
        "conv2d",
        "conv2d",
        "dense",
        "dense",
    ]


def test_demo_starts_from_the_same_weights() -> None:
    images, labels = digits()
    models = [nv.get_backend("keras").demo(images[:64], labels[:64], lambda *_: None) for _ in range(2)]
    for one, other in zip(*models, strict=True):
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
