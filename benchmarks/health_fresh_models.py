"""Whether freshly initialised published models give alarms.

    python benchmarks/health_fresh_models.py [torchvision] [keras] [name …]

All of torchvision's classifiers of pictures and all of keras.applications, with random values, on four noise
pictures of the smallest size, from 32 up, that the model takes, forward and backward from a cross entropy.
One line for each model: how many layers were looked at and, for each kind of alarm or warning, of how many
layers it was said and what of the first. The smallest models come first.
"""

from __future__ import annotations

import gc
import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from netviz_core import Health, health

SIZES = (32, 64, 75, 96, 128, 224, 331)
CLASSES = 10
BATCH = 4

Made = tuple[str, Callable[[int], Any], Callable[[int], tuple[int, ...]]]
"""A model's name, what makes it for pictures of a size, and the shape of these."""


def main() -> None:
    warnings.simplefilter("ignore")
    sources: dict[str, Callable[[], Iterator[Made]]] = {"torchvision": torchvision, "keras": applications}
    asked = sys.argv[1:]
    names = {name for name in asked if name not in sources}
    with_alarm = count = 0
    for source in [name for name in asked if name in sources] or sources:
        for name, make, shape in sources[source]():
            if names and name not in names:
                continue
            start = time.perf_counter()
            size, found = looked_at(make, shape)
            count += 1
            with_alarm += not found.is_healthy
            seconds = time.perf_counter() - start
            print(f"{source} {name} ({size} px, {len(found.rows)} layers, {seconds:.0f} s): {said(found)}")
            sys.stdout.flush()
    print(f"{count} models, {with_alarm} with an alarm")


def looked_at(make: Callable[[int], Any], shape: Callable[[int], tuple[int, ...]]) -> tuple[int, Health]:
    """The health of a model at the smallest size that it takes."""
    errors = []
    targets = np.arange(BATCH)
    for size in SIZES:
        x = np.random.default_rng(0).standard_normal((BATCH, *shape(size))).astype(np.float32)
        try:
            return size, health(make(size), x, loss="cross_entropy", targets=targets)
        except (RuntimeError, ValueError, AssertionError) as error:
            errors.append(f"{size}: {error}")
        finally:
            forget()
    raise ValueError("no size is taken; " + "; ".join(errors))


def said(found: Health) -> str:
    """No alarm, or what was said of how many layers."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in found.rows:
        if row.status != "ok":
            kind = re.sub(r"-?\d[\d.,e+-]*", "…", row.reason)
            reasons.setdefault((row.status, kind), []).append(f"{row.path or 'output'}: {row.reason}")
    parts = [f"{status} of {len(rows)} ({rows[0]})" for (status, _), rows in reasons.items()]
    return "; ".join([found.cause or "no alarm" if found.is_healthy else found.cause, *parts]).strip("; ")


def forget() -> None:
    gc.collect()
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()


def torchvision() -> Iterator[Made]:
    import torch
    from torchvision_models import models

    torch.set_num_threads(2)
    cost = {
        name: parameter_count(models.get_model_weights(name)) for name in models.list_models(module=models)
    }

    def maker(name: str) -> Callable[[int], Any]:
        # These two are built for one size of picture.
        sized = {"vit": "image_size", "maxvit": "input_size"}.get(name.partition("_")[0])

        def make(size: int) -> Any:
            torch.manual_seed(0)
            options = {} if sized is None else {sized: (size, size) if sized == "input_size" else size}
            return models.get_model(name, num_classes=CLASSES, **options)

        return make

    for name in sorted(cost, key=cost.__getitem__):
        yield name, maker(name), lambda size: (3, size, size)


def parameter_count(weights: Any) -> int:
    """The number that torchvision tells of a model."""
    return max(weight.meta["num_params"] for weight in weights)


def applications() -> Iterator[Made]:
    import keras

    makers = {name: maker for name, maker in vars(keras.applications).items() if inspect.isfunction(maker)}

    def sized(name: str) -> Callable[[int], Any]:
        def make(size: int) -> Any:
            keras.utils.set_random_seed(0)
            return makers[name](weights=None, input_shape=(size, size, 3), classes=CLASSES)

        return make

    for name in sorted(makers):
        yield name, sized(name), lambda size: (size, size, 3)


if __name__ == "__main__":
    main()
