"""A pass of netviz' own leaves a model as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from .inputs import Arguments
from .layers import walk
from .tensors import as_numpy, no_gradients


@contextmanager
def losses_kept(model: Any) -> Iterator[None]:
    """Put back what the last call of the user's own added to ``model.losses``."""
    layers = [layer.native for layer in walk(model) if isinstance(layer.native, keras.Layer)]
    before = [(layer, list(layer._losses)) for layer in layers]
    try:
        yield
    finally:
        for layer, losses in before:
            layer._losses.clear()
            layer._losses.extend(losses)


def build(model: Any, arguments: Arguments) -> None:
    """Run the model once if it, or a layer of it, is not built, and change nothing else."""
    if all(getattr(layer.native, "built", True) for layer in walk(model)):
        return
    args, kwargs = arguments
    try:
        with keras.StatelessScope(), no_gradients():
            model(*args, **kwargs, training=False)
    except ValueError as error:
        if "stateless scope" not in str(error):
            raise
        # A layer makes a variable of a ready value, for which Keras has to run in earnest.
        before = [(variable, as_numpy(variable.value).copy()) for variable in model.non_trainable_variables]
        with no_gradients():
            model(*args, **kwargs, training=False)
        for variable, value in before:
            variable.assign(value)
        model._clear_losses()
