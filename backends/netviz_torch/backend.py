"""The `Backend` of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from netviz_core.backend_api import (
    AxisArray,
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

from .attention import record_attention
from .axes import AxisFollower
from .counting import example_of, parameter_count, parameters_of
from .files import WEIGHT_SUFFIXES, save_weights
from .gradients import gradients_of_weights, pull_back, weight_gradients
from .inputs import images_in
from .layers import TorchLayer, walk
from .listening import observed
from .losses import take_losses
from .origins import origins
from .passes import evaluation
from .replacing import run_replaced
from .state import perturbed
from .tensors import to_numpy
from .trace import trace
from .unwrap import loaded_class, unwrapped
from .watch import Watch

if TYPE_CHECKING:
    from pathlib import Path


class TorchBackend:
    """Speaks netviz' words for every ``torch.nn.Module``."""

    name = "torch"
    path_separator = "."
    weight_suffixes = WEIGHT_SUFFIXES

    def accepts(self, model: object) -> bool:
        """Whether `model` is a module or an exported program."""
        return isinstance(model, (nn.Module, *loaded_class("torch.export", "ExportedProgram")))

    def layers(self, model: nn.Module) -> Iterator[TorchLayer]:
        """Yield the modules under their own names, see `torch.nn.Module.named_modules`."""
        return walk(model)

    def run(self, model: nn.Module, inputs: Any, recorder: RecorderLike | None = None) -> Any:
        """Make one forward pass with ``eval()`` and ``no_grad()``, and leave everything as it was."""
        watch = Watch(AxisFollower())
        with (
            evaluation(model, inputs, watch) as (module, forward),
            observed(module, recorder, watch),
            torch.no_grad(),
        ):
            return forward()

    @contextmanager
    def record(self, model: nn.Module, recorder: RecorderLike) -> Iterator[None]:
        """Tell `recorder` of every call of the layers it wants while the context is open."""
        follower = AxisFollower()
        follower.note_layers(unwrapped(model))
        with observed(unwrapped(model), recorder, Watch(follower)):
            yield

    def run_replaced(
        self,
        model: nn.Module,
        inputs: Any,
        recorder: RecorderLike,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """Put other values in place on the way, see `netviz_core.backend_api.SupportsReplacement`."""
        return run_replaced(model, inputs, recorder, replacement, instead)

    def to_numpy(self, tensor: torch.Tensor) -> np.ndarray:
        """A tensor as NumPy, see `netviz_core.backend_api.SupportsTensors`."""
        return to_numpy(tensor)

    def perturbed(self, model: nn.Module) -> AbstractContextManager[None]:
        """Perturb the random state, see `netviz_core.backend_api.SupportsRandomness`."""
        return perturbed()

    def gradients(
        self, model: nn.Module, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
    ) -> None:
        """Make a pass forward and one back, see `netviz_core.backend_api.SupportsGradients`."""
        pull_back(model, inputs, seed, activations, gradients)

    def gradients_of_weights(
        self, model: nn.Module, inputs: Any, seed: Seed
    ) -> list[tuple[str, str, np.ndarray]]:
        """The same back to the weights, see `netviz_core.backend_api.SupportsGradientsOfWeights`."""
        return gradients_of_weights(model, inputs, seed)

    def weight_gradients(self, model: nn.Module) -> Iterator[tuple[str, str, np.ndarray]]:
        """What a backward pass left, see `netviz_core.backend_api.SupportsWeightGradients`."""
        return weight_gradients(model)

    def attention(self, model: nn.Module, inputs: Any, recorder: RecorderLike) -> None:
        """Tell of attention weights, see `netviz_core.backend_api.SupportsAttention`."""
        record_attention(model, inputs, recorder)

    def parameter_count(self, model: nn.Module) -> int:
        """How many unique parameters there are, see `netviz_core.backend_api.SupportsParameterCount`."""
        return parameter_count(model)

    def parameters_of(self, layer: TorchLayer) -> Iterator[ParameterForm]:
        """A module's own parameters, see `netviz_core.backend_api.SupportsParameterForms`."""
        return parameters_of(layer.native)

    def names_in_files(self, model: nn.Module) -> Iterator[Mapping[str, torch.Tensor]]:
        """The model's state dict, see `netviz_core.backend_api.SupportsWeightFiles`."""
        state = unwrapped(model).state_dict(keep_vars=True)
        yield {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}

    def save_weights(self, model: nn.Module, path: Path, suffix: str) -> None:
        """Write the state dict, with ``torch.save`` or as safetensors."""
        save_weights(model, path, suffix)

    def example_of(self, model: nn.Module, shapes: Sequence[Sequence[int]] | None) -> Any:
        """Inputs of these shapes, see `netviz_core.backend_api.SupportsInputForms`."""
        return example_of(model, shapes)

    def trace(self, model: nn.Module, inputs: Any) -> Iterable[TracedCall]:
        """Tell what ran, see `netviz_core.backend_api.SupportsGraph`."""
        return trace(model, inputs)

    def origins(
        self, model: nn.Module, inputs: Any, told: Callable[[OriginOf], None]
    ) -> Mapping[str, Source]:
        """Tell where in the inputs lies what layers return, see `netviz_core.backend_api.SupportsOrigins`."""
        return origins(model, inputs, told)

    def images(self, model: nn.Module, inputs: Any) -> AxisArray | None:
        """Which of the inputs are images, see `netviz_core.backend_api.SupportsImages`."""
        return images_in(inputs)

    def losses(self, model: nn.Module, loss: Any, output: Any, targets: Any) -> LossReading:
        """The loss of each sample, see `netviz_core.backend_api.SupportsLosses`."""
        return take_losses(loss, output, targets)

    def demo(
        self, images: np.ndarray, labels: np.ndarray, progress: Callable[[int, int, float], None]
    ) -> tuple[nn.Module, nn.Module]:
        """Train the demo's small network, see `netviz_core.backend_api.SupportsDemo`."""
        from .demo import train

        return train(images, labels, progress)
