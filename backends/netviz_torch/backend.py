"""The `Backend` of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from netviz_core.backend_api import (
    AxisArray,
    LossReading,
    OriginOf,
    ParameterForm,
    Recorder,
    Seed,
    Source,
    TracedCall,
    Weight,
)

from .attention import record_attention
from .axes import AxisFollower
from .config import config_of
from .counting import example_of, parameter_count, parameters_of
from .gradients import pull_back, weight_gradients
from .inputs import images_in
from .losses import take_losses
from .modules import kind_of, native_class
from .observe import observed
from .origins import origins
from .passes import evaluation
from .state import stirred
from .trace import trace
from .unwrap import loaded_class, unwrapped
from .watch import Watch
from .weights import to_numpy, weights_of


@dataclass(frozen=True)
class TorchLayer:
    """A `Layer` of a PyTorch model."""

    path: str
    native: nn.Module

    @cached_property
    def kind(self) -> str:
        return kind_of(self.native)

    @property
    def type_name(self) -> str:
        return native_class(self.native).__name__

    @property
    def weights(self) -> Mapping[str, Weight]:
        return weights_of(self.native, self.kind)

    @property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.native, self.kind)

    @property
    def trainable(self) -> bool:
        own = self.native.parameters(recurse=self.kind == "container")
        return any(parameter.requires_grad for parameter in own)


class TorchBackend:
    """Speaks netviz' words for every ``torch.nn.Module``."""

    name = "torch"
    path_separator = "."

    def accepts(self, model: object) -> bool:
        """Whether `model` is a module or an exported program."""
        return isinstance(model, (nn.Module, *loaded_class("torch.export", "ExportedProgram")))

    def layers(self, model: nn.Module) -> Iterator[TorchLayer]:
        """Yield the modules under their own names, see `torch.nn.Module.named_modules`."""
        for path, module in unwrapped(model).named_modules():
            yield TorchLayer(path, module)

    def run(self, model: nn.Module, inputs: Any, recorder: Recorder | None = None) -> Any:
        """Make one forward pass with ``eval()`` and ``no_grad()``, and leave everything as it was."""
        watch = Watch(AxisFollower())
        with (
            evaluation(model, inputs, watch) as (module, forward),
            observed(module, recorder, watch),
            torch.no_grad(),
        ):
            return forward()

    @contextmanager
    def record(self, model: nn.Module, recorder: Recorder) -> Iterator[None]:
        """Tell `recorder` of every call of the layers it wants while the context is open."""
        with observed(unwrapped(model), recorder, Watch(AxisFollower())):
            yield

    def to_numpy(self, tensor: torch.Tensor) -> np.ndarray:
        """A tensor as NumPy, see `netviz_core.backend_api.SupportsTensors`."""
        return to_numpy(tensor)

    def stirred(self, model: nn.Module) -> AbstractContextManager[None]:
        """Draw other random numbers, see `netviz_core.backend_api.SupportsRandomness`."""
        return stirred()

    def gradients(
        self, model: nn.Module, inputs: Any, seed: Seed, activations: Recorder, gradients: Recorder
    ) -> None:
        """Make a pass forward and one back, see `netviz_core.backend_api.SupportsGradients`."""
        pull_back(model, inputs, seed, activations, gradients)

    def weight_gradients(self, model: nn.Module) -> Iterator[tuple[str, str, np.ndarray]]:
        """What a backward pass left, see `netviz_core.backend_api.SupportsWeightGradients`."""
        return weight_gradients(model)

    def attention(self, model: nn.Module, inputs: Any, recorder: Recorder) -> None:
        """Tell of attention weights, see `netviz_core.backend_api.SupportsAttention`."""
        record_attention(model, inputs, recorder)

    def parameter_count(self, model: nn.Module) -> int:
        """How many unique parameters there are, see `netviz_core.backend_api.SupportsParameterCount`."""
        return parameter_count(model)

    def parameters_of(self, layer: TorchLayer) -> Iterator[ParameterForm]:
        """A module's own parameters, see `netviz_core.backend_api.SupportsParameterForms`."""
        return parameters_of(layer.native)

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
