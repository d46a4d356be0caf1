"""On how many published architectures a summary's total is the framework's own.

    python benchmarks/summary_totals.py [torchvision] [keras]

All of torchvision's models of pictures' classes, without values, and all of keras.applications. For each, the
rows must add up to the total, too.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

from netviz_core.summaries.summary import summary

Built = tuple[str, Any, int]
"""A model's name, the model, and the framework's own number of parameters."""


def main() -> None:
    sources: dict[str, Callable[[], Iterator[Built]]] = {"torchvision": torchvision, "keras": applications}
    for source in sys.argv[1:] or sources:
        equal = total = 0
        for name, model, wanted in sources[source]():
            found = summary(model)
            rows = sum(row.own_parameters for row in found.rows)
            total += 1
            if found.total_parameters == wanted == rows:
                equal += 1
            else:
                print(f"  {name}: {wanted:,}, total {found.total_parameters:,}, rows {rows:,}")
        print(f"{source}: {equal} of {total} equal", flush=True)


def torchvision() -> Iterator[Built]:
    import torch
    from torchvision_models import models

    for name in models.list_models(module=models):
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        # A RegNet computes its sizes with tensors, which must have values.
        with torch.device("cpu" if name.startswith("regnet") else "meta"):
            model = models.get_model(name, **options)
        yield name, model, sum(parameter.numel() for parameter in model.parameters())


def applications() -> Iterator[Built]:
    import keras

    makers = {name: maker for name, maker in vars(keras.applications).items() if inspect.isfunction(maker)}
    for name, maker in makers.items():
        model = maker(weights=None)
        yield name, model, model.count_params()
        del model
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()
