"""The `Backend` of Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from netviz_core.recorder import Recorder

from .axes import AxisBook
from .inputs import Arguments, prepare
from .layers import KerasLayer, walk
from .listening import Listener, explain, listening
from .submodel import sub_model
from .tensors import as_numpy, no_gradients


class KerasBackend:
    """Speaks netviz' words for every Keras model and layer, whatever framework Keras runs on."""

    name = "keras"

    def accepts(self, model: object) -> bool:
        """Whether `model` is a model, or a layer, which is a small one."""
        return isinstance(model, keras.Layer)

    def layers(self, model: Any) -> Iterator[KerasLayer]:
        """Yield the layers under their names, joined by ``/``; that of `model` itself is left out."""
        return walk(model)

    def build(self, model: Any, inputs: Any) -> None:
        """Have the model make the layers and weights that it makes only when it first sees an input."""
        _build(model, prepare(model, inputs, AxisBook()))

    def run(self, model: Any, inputs: Any, recorder: Recorder | None = None) -> Any:
        """Make one forward pass with ``training=False``; no variable of the model is changed."""
        book = AxisBook()
        args, kwargs = prepare(model, inputs, book)
        _build(model, (args, kwargs))
        with _losses_kept(model), keras.StatelessScope(), no_gradients():
            if recorder is None:
                return model(*args, **kwargs, training=False)
            layers = list(walk(model))
            direct = sub_model(model, layers, recorder, args)
            if direct is not None:
                output = direct.run(*args, recorder, book)
            else:
                with listening(Listener(layers, recorder, book)):
                    output = model(*args, **kwargs, training=False)
            explain(layers, recorder)
            return output

    @contextmanager
    def record(self, model: Any, recorder: Recorder) -> Iterator[None]:
        """Tell `recorder` of every call of the layers it wants while the context is open."""
        layers = list(walk(model))
        try:
            with listening(Listener(layers, recorder, AxisBook())):
                yield
        finally:
            explain(layers, recorder)

    def demo(
        self,
        images: np.ndarray[Any, Any],
        labels: np.ndarray[Any, Any],
        progress: Callable[[int, int, float], None],
    ) -> tuple[keras.Model, keras.Model]:
        """Train the demo's small network, see `netviz_core.protocols.SupportsDemo`."""
        from .demo import train

        return train(images, labels, progress)


@contextmanager
def _losses_kept(model: Any) -> Iterator[None]:
    """Put back what the last call of the user's own added to ``model.losses``."""
    layers = [layer.native for layer in walk(model) if isinstance(layer.native, keras.Layer)]
    before = [(layer, list(layer._losses)) for layer in layers]
    try:
        yield
    finally:
        for layer, losses in before:
            layer._losses.clear()
            layer._losses.extend(losses)


def _build(model: Any, arguments: Arguments) -> None:
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
