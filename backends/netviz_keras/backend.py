"""The `Backend` of Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from netviz_core.backend_api import (
    AxisArray,
    AxisBook,
    LossReading,
    OriginOf,
    ParameterForm,
    RecorderLike,
    Replacement,
    Seed,
    Source,
    StandIn,
    TracedCall,
)

from .counting import example_of, parameter_count, parameters_of
from .engines import ENGINE
from .inputs import images_among, prepare
from .layers import KerasLayer, walk
from .listening import Listener, explain, listening
from .outputs import output_names
from .passes import build, unchanged
from .stored import names_in_files, save_weights
from .submodel import sub_model

if TYPE_CHECKING:
    from pathlib import Path


class KerasBackend:
    """Speaks netviz' words for every Keras model and layer, whatever framework Keras runs on."""

    name = "keras"
    path_separator = "/"
    weight_suffixes = (".weights.h5", ".keras")

    def accepts(self, model: object) -> bool:
        """Whether `model` is a model, or a layer, which is a small one."""
        return isinstance(model, keras.Layer)

    def layers(self, model: Any) -> Iterator[KerasLayer]:
        """Yield the layers under their names, joined by ``/``; that of `model` itself is left out."""
        return walk(model)

    def build(self, model: Any, inputs: Any) -> None:
        """Have the model make the layers and weights that it makes only when it first sees an input."""
        build(model, prepare(model, inputs, AxisBook()))

    def run(self, model: Any, inputs: Any, recorder: RecorderLike | None = None) -> Any:
        """Make one forward pass with ``training=False``; no variable of the model is changed."""
        book = AxisBook()
        args, kwargs = prepare(model, inputs, book)
        build(model, (args, kwargs))
        with unchanged(model, (args, kwargs)), keras.StatelessScope(), ENGINE.no_gradients():
            if recorder is None:
                return model(*args, **kwargs, training=False)
            layers = list(walk(model))
            direct = sub_model(model, layers, recorder, args)
            if direct is not None:
                output, ran = direct.run(args[0], recorder, book), None
            else:
                listener = Listener(layers, recorder, book)
                with listening(listener):
                    output, ran = model(*args, **kwargs, training=False), listener.ran
            explain(layers, recorder, ran)
            return output

    def run_replaced(
        self,
        model: Any,
        inputs: Any,
        recorder: RecorderLike,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """Put other values in place on the way, see `SupportsReplacement`."""
        from .replacing import run_replaced

        return run_replaced(model, inputs, recorder, replacement, instead)

    @contextmanager
    def record(self, model: Any, recorder: RecorderLike) -> Iterator[None]:
        """Tell `recorder` of every call of the layers it wants while the context is open."""
        layers = list(walk(model))
        listener = Listener(layers, recorder, AxisBook())
        try:
            with listening(listener):
                yield
        finally:
            explain(layers, recorder, listener.ran)

    @contextmanager
    def perturbed(self, model: Any) -> Iterator[None]:
        """Perturb the random state, see `netviz_core.backend_api.SupportsRandomness`."""
        states = [state for state in model.variables if state.path.endswith("seed_generator_state")]
        before = [keras.ops.convert_to_numpy(state) for state in states]
        try:
            for state, value in zip(states, before, strict=True):
                state.assign(value + 1)
            yield
        finally:
            for state, value in zip(states, before, strict=True):
                state.assign(value)

    def gradients(
        self, model: Any, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
    ) -> None:
        """Pull what `seed` asks of the output back to the layers' outputs, see `SupportsGradients`."""
        from .gradients import pull_back

        pull_back(model, inputs, seed, activations, gradients)

    def gradients_of_weights(self, model: Any, inputs: Any, seed: Seed) -> list[tuple[str, str, np.ndarray]]:
        """The same back to the weights, see `SupportsGradientsOfWeights`."""
        from .gradients import gradients_of_weights

        return gradients_of_weights(model, inputs, seed)

    def attention(self, model: Any, inputs: Any, recorder: RecorderLike) -> None:
        """Tell of the weights of Keras' attention layers, and of attention made of operations, see `SupportsAttention`.

        Where attention goes over several axes, their positions are flattened into one axis of queries and
        one of keys; axes that are not attended to are flattened into the batch.
        """
        from .attention import observe

        observe(model, inputs, recorder)

    def origins(self, model: Any, inputs: Any, told: Callable[[OriginOf], None]) -> Mapping[str, Source]:
        """Tell where in the inputs lies what layers return, see `SupportsOrigins`."""
        from .origins import origins

        return origins(model, inputs, told)

    def images(self, model: Any, inputs: Any) -> AxisArray | None:
        """The first images among the inputs, laid out as the model takes them, see `SupportsImages`."""
        return images_among(model, inputs)

    def losses(self, model: Any, loss: Any, output: Any, targets: Any) -> LossReading:
        """The loss of each sample; without `loss` the one that the model was compiled with, see `SupportsLosses`."""
        from .losses import by_sample

        return by_sample(model, loss, output, targets)

    def own_reading(self, model: Any, leaf: str) -> str:
        """How the loss of a compiled model reads a part of the output, see `SupportsOwnReading`."""
        from .losses import own_reading

        return own_reading(model, leaf)

    def image_range(self, model: Any, inputs: Any) -> tuple[float, float] | None:
        """The range that a ``Rescaling`` or ``Normalization`` of the model is made for, see `SupportsImageRange`."""
        from .image_range import image_range

        return image_range(model, inputs)

    def own_losses(self, model: Any) -> Any:
        """The losses that the model was compiled with, one or one for each output, see `SupportsOutputs`."""
        return getattr(model, "loss", None)

    def output_names(self, model: Any) -> dict[str, str]:
        """The parts of a functional model's output by Keras' names, see `SupportsOutputs`."""
        return output_names(model)

    def parameter_count(self, model: Any) -> int:
        """Keras' own ``count_params()``, see `SupportsParameterCount`."""
        return parameter_count(model)

    def parameters_of(self, layer: KerasLayer) -> Iterator[ParameterForm]:
        """A layer's own variables, see `netviz_core.backend_api.SupportsParameterForms`."""
        return parameters_of(layer.native)

    def names_in_files(self, model: Any) -> Iterator[Mapping[str, Any]]:
        """The model's variables by their names in files, see `SupportsWeightFiles`."""
        return names_in_files(model)

    def save_weights(self, model: Any, path: Path, suffix: str) -> None:
        """Write the weights, or with ``.keras`` the whole model."""
        save_weights(model, path, suffix)

    def example_of(self, model: Any, shapes: Sequence[Sequence[int]] | None) -> Any:
        """Inputs of these shapes, or of those that the model declares, see `SupportsInputForms`."""
        return example_of(model, shapes)

    def trace(self, model: Any, inputs: Any) -> Iterable[TracedCall]:
        """Tell what ran, in order, see `SupportsGraph`."""
        from .trace import trace

        return trace(model, inputs)

    def demo(
        self,
        images: np.ndarray[Any, Any],
        labels: np.ndarray[Any, Any],
        progress: Callable[[int, int, float], None],
    ) -> tuple[keras.Model, keras.Model]:
        """Train the demo's small network, see `netviz_core.backend_api.SupportsDemo`."""
        from .demo import train

        return train(images, labels, progress)
