"""What a capture of all convolutions of a Keras ResNet-50 costs, beside ``predict`` and beside a call.

``KERAS_BACKEND`` chooses what Keras runs on. The second capture compiles; what is timed are those after it.
"""

from __future__ import annotations

import keras
import numpy as np

import netviz_core as nv

from .turns import Case, Ways


def resnet50(quick: bool) -> Ways:
    side = 32 if quick else 224
    model = keras.applications.ResNet50(weights=None, input_shape=(side, side, 3), include_top=False)
    x = np.random.default_rng(0).random((4, side, side, 3), dtype=np.float32)
    paths = [layer.path for layer in nv.wrap(model).select(kind="conv2d")]
    return {
        "netviz": lambda: nv.capture(model, x, paths),
        "predict": lambda: model.predict(x, verbose=0),
        "call": lambda: np.asarray(model(x, training=False)),
    }


CASES = [
    Case(
        f"capture, 53 convolutions of Keras' ResNet-50 on {keras.backend.backend()}, batch 4",
        resnet50,
        {"predict": 1.15},
    )
]
