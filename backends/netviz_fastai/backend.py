"""The `Backend` of fastai: a Learner is its model, seen by the torch backend, and its data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from fastai.learner import Learner

from netviz_core import get_backend
from netviz_core.backend_api import (
    AxisArray,
    Backend,
    InputError,
    Layer,
    LossReading,
    OriginOf,
    ParameterForm,
    RecorderLike,
    Replacement,
    Seed,
    Source,
    StandIn,
    SupportsAttention,
    SupportsGradients,
    SupportsGradientsOfWeights,
    SupportsGraph,
    SupportsInputForms,
    SupportsLosses,
    SupportsOrigins,
    SupportsParameterCount,
    SupportsParameterForms,
    SupportsRandomness,
    SupportsReplacement,
    SupportsSaving,
    SupportsTensors,
    SupportsWeightGradients,
    TracedCall,
)

from . import data, display
from .items import through_transforms
from .losses import is_fastais, losses, prediction, reading_of
from .tensors import on_device, plain


class _TorchBackend(
    Backend,
    SupportsAttention,
    SupportsGradients,
    SupportsGradientsOfWeights,
    SupportsGraph,
    SupportsInputForms,
    SupportsLosses,
    SupportsOrigins,
    SupportsParameterCount,
    SupportsParameterForms,
    SupportsRandomness,
    SupportsReplacement,
    SupportsSaving,
    SupportsTensors,
    SupportsWeightGradients,
    Protocol,
):
    """What the torch backend does for this one."""


class FastaiBackend:
    """Speaks netviz' words for every ``fastai.learner.Learner``.

    Inputs may also be items: whatever the Learner's own transforms take, see `items.through_transforms`.
    """

    name = "fastai"
    path_separator = "."

    def __init__(self) -> None:
        self._torch = cast(_TorchBackend, get_backend("torch"))

    def accepts(self, model: object) -> bool:
        """Whether `model` is a Learner; a module that fastai defines is torch's."""
        return isinstance(model, Learner)

    def layers(self, model: Learner) -> Iterable[Layer]:
        """Yield the modules of the Learner's model."""
        return self._torch.layers(model.model)

    def run(self, model: Learner, inputs: Any, recorder: RecorderLike | None = None) -> Any:
        """Make one forward pass; returns what the Learner's loss would see of the output."""
        return plain(prediction(model, self._torch.run(model.model, _arguments(model, inputs), recorder)))

    def record(self, model: Learner, recorder: RecorderLike) -> AbstractContextManager[None]:
        """Tell `recorder` of every call of the model's layers while the context is open."""
        return self._torch.record(model.model, recorder)

    def to_numpy(self, tensor: Any) -> np.ndarray:
        """A tensor of one of fastai's types as NumPy."""
        return self._torch.to_numpy(plain(tensor))

    def perturbed(self, model: Learner) -> AbstractContextManager[None]:
        """Perturb the random state, see `netviz_core.backend_api.SupportsRandomness`."""
        return self._torch.perturbed(model.model)

    def gradients(
        self, model: Learner, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
    ) -> None:
        """Make a pass forward and one back, see `netviz_core.backend_api.SupportsGradients`."""
        self._torch.gradients(model.model, _arguments(model, inputs), seed, activations, gradients)

    def gradients_of_weights(
        self, model: Learner, inputs: Any, seed: Seed
    ) -> Iterable[tuple[str, str, np.ndarray]]:
        """The same back to the weights, see `netviz_core.backend_api.SupportsGradientsOfWeights`."""
        return self._torch.gradients_of_weights(model.model, _arguments(model, inputs), seed)

    def weight_gradients(self, model: Learner) -> Iterator[tuple[str, str, np.ndarray]]:
        """What a backward pass left, see `netviz_core.backend_api.SupportsWeightGradients`."""
        return self._torch.weight_gradients(model.model)

    def attention(self, model: Learner, inputs: Any, recorder: RecorderLike) -> None:
        """Tell of attention weights, see `netviz_core.backend_api.SupportsAttention`."""
        self._torch.attention(model.model, _arguments(model, inputs), recorder)

    def run_replaced(
        self,
        model: Learner,
        inputs: Any,
        recorder: RecorderLike,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """Put other values in place on the way, see `netviz_core.backend_api.SupportsReplacement`."""
        return self._torch.run_replaced(
            model.model, _arguments(model, inputs), recorder, replacement, instead
        )

    def trace(self, model: Learner, inputs: Any) -> Iterable[TracedCall]:
        """Tell what ran, see `netviz_core.backend_api.SupportsGraph`."""
        return self._torch.trace(model.model, _arguments(model, inputs))

    def origins(self, model: Learner, inputs: Any, told: Callable[[OriginOf], None]) -> Mapping[str, Source]:
        """Tell where in the inputs lies what layers return, see `netviz_core.backend_api.SupportsOrigins`."""
        return self._torch.origins(model.model, _arguments(model, inputs), told)

    def parameter_count(self, model: Learner) -> int:
        """How many unique parameters the Learner's model has."""
        return self._torch.parameter_count(model.model)

    def parameters_of(self, layer: Layer) -> Iterable[ParameterForm]:
        """A module's own parameters, see `netviz_core.backend_api.SupportsParameterForms`."""
        return self._torch.parameters_of(layer)

    @property
    def weight_suffixes(self) -> tuple[str, ...]:
        """Those of PyTorch."""
        return self._torch.weight_suffixes

    def save_weights(self, model: Learner, path: Path, suffix: str) -> None:
        """Write the state dict of the Learner's model."""
        self._torch.save_weights(model.model, path, suffix)

    def example_of(self, model: Learner, shapes: Sequence[Sequence[int]] | None) -> Any:
        """Inputs of these shapes; by default a batch of the Learner's own data."""
        return self.example(model) if shapes is None else self._torch.example_of(model.model, shapes)

    def images(self, model: Learner, inputs: Any) -> AxisArray | None:
        """The images among the inputs as people know them, in [0, 1]."""
        return display.images(model, through_transforms(model, inputs))

    def losses(self, model: Learner, loss: Any, output: Any, targets: Any) -> LossReading:
        """The loss of each sample; by default the Learner's own."""
        loss = model.loss_func if loss is None else loss
        if loss is None:
            raise InputError("this Learner has no loss function; give loss=, or set learner.loss_func")
        scores = plain(prediction(model, output))
        if is_fastais(loss):
            return losses(loss, scores, targets)
        return self._torch.losses(model.model, loss, scores, plain(targets))

    def own_reading(self, model: Learner, leaf: str) -> str:
        """How the Learner's loss reads the output, see `SupportsOwnReading`."""
        return reading_of(model.loss_func)

    def example(self, model: Learner) -> Any:
        """The inputs of the first validation batch; of the first of training data where there is none."""
        return data.example(model)

    def examples(self, model: Learner) -> Iterator[tuple[Any, Any]]:
        """The validation data as pairs of inputs and targets."""
        return data.examples(model)

    def class_names(self, model: Learner) -> Sequence[str] | None:
        """The vocabulary of the targets, where they are classes."""
        return display.class_names(model)

    def describe(self, model: Learner, inputs: Any) -> Sequence[str] | None:
        """One line for each text or row of a table."""
        return display.describe(model, through_transforms(model, inputs))


def _arguments(learner: Learner, inputs: Any) -> Any:
    """The inputs as the torch backend takes them, on the model's device."""
    return on_device(plain(through_transforms(learner, inputs)), data.device_of(learner))
