"""The smallest network of every family of keras.applications, with random weights and small pictures."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np

from .recipe import Architecture

SIDES = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "Xception": 71,
}


def _network(name: str, side: int) -> Any:
    keras.utils.set_random_seed(0)
    return getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=5)


def _pictures(side: int, count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(0, 255, (count, side, side, 3)).astype("float32")


IMAGE = [
    Architecture(f"keras.applications {name}", partial(_network, name, side), partial(_pictures, side))
    for name, side in SIDES.items()
]
