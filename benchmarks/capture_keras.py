"""What a capture of all convolutions of a Keras ResNet-50 costs, beside ``predict`` and beside doing it by hand.

Run it as ``python benchmarks/capture_keras.py``, with ``KERAS_BACKEND`` set to choose what Keras runs on. By
hand means one sub-model and one ``predict`` for each layer, as tutorials show it; it is timed for a few of the
layers, and the time for all of them is worked out from that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
from turns import in_turns

import netviz_core as nv

ROUNDS = 15
BY_HAND = 5


def seconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_hand(model: keras.Model, path: str, x: np.ndarray) -> np.ndarray:
    """The output of one layer, as tutorials get it."""
    return keras.Model(model.inputs, model.get_layer(path).output).predict(x, verbose=0)


def main() -> None:
    """Measure everything in one run, pass and capture in turns."""
    model = keras.applications.ResNet50(weights=None)
    x = np.random.default_rng(0).random((4, 224, 224, 3), dtype=np.float32)
    paths = [layer.path for layer in nv.wrap(model).select(kind="conv2d")]
    model(x, training=False)

    first = seconds(lambda: nv.capture(model, x, paths))
    compiling = seconds(lambda: nv.capture(model, x, paths))
    step = len(paths) // BY_HAND
    some = [seconds(lambda path=path: by_hand(model, path, x)) for path in paths[::step]]
    tutorial = statistics.mean(some) * len(paths)
    model.predict(x, verbose=0)

    print(f"ResNet-50 on {keras.backend.backend()}, batch 4, {len(paths)} convolutions")
    print(f"first capture                {first:7.3f} s, the second, which compiles, {compiling:.3f} s")
    print(f"a sub-model for each layer   {tutorial:7.3f} s")
    in_turns(
        "captures from then on",
        {
            "call": lambda: np.asarray(model(x, training=False)),
            "capture": lambda: nv.capture(model, x, paths),
            "predict": lambda: model.predict(x, verbose=0),
        },
        ROUNDS,
    )


if __name__ == "__main__":
    main()
