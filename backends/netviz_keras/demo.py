"""The demo's small network in Keras, and its training on handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

EPOCHS = 10
BATCH = 64
SEED = 0

Progress = Callable[[int, int, float], None]


def train(
    images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], progress: Progress
) -> tuple[keras.Model, keras.Model]:
    """Train the network; see `netviz_core.backend_api.SupportsDemo`."""
    untrained, trained = _network(images.shape[1:]), _network(images.shape[1:])
    trained.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # Keras would shuffle with the process' own random numbers, which are the user's.
    shuffled = np.random.default_rng(SEED)
    order = np.concatenate([shuffled.permutation(len(images)) for _ in range(EPOCHS)])
    trained.fit(
        images[order],
        labels[order],
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        callbacks=[_Steps(progress, -(-len(order) // BATCH))],
    )
    return untrained, trained


def _network(shape: tuple[int, ...]) -> keras.Model:
    """The network with the same random weights each time."""
    layers = keras.layers
    random = {
        name: keras.initializers.GlorotUniform(seed=SEED + position)
        for position, name in enumerate(("conv1", "conv2", "dense1", "dense2"))
    }

    def convolution(filters: int, name: str) -> keras.Layer:
        return layers.Conv2D(filters, 3, padding="same", kernel_initializer=random[name], name=name)

    return keras.Sequential(
        [
            keras.Input(shape, name="image"),
            convolution(16, "conv1"),
            layers.ReLU(name="relu1"),
            layers.MaxPooling2D(name="pool1"),
            convolution(32, "conv2"),
            layers.ReLU(name="relu2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, kernel_initializer=random["dense1"], name="dense1"),
            layers.ReLU(name="relu3"),
            layers.Dense(10, kernel_initializer=random["dense2"], name="dense2"),
        ],
        name="digits",
    )


class _Steps(keras.callbacks.Callback):
    """Tells of each step."""

    def __init__(self, progress: Progress, steps: int) -> None:
        super().__init__()
        self._progress = progress
        self._steps = steps
        self._total = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        # Keras reports the mean over all steps so far.
        total = float((logs or {})["loss"]) * (batch + 1)
        self._progress(batch + 1, self._steps, total - self._total)
        self._total = total
