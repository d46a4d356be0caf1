"""The layers of a PyTorch model under unique paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from netviz_core.backend_api import ShownLayer, Weight

from .config import config_of
from .kinds import kind_of, native_class, own_parameters
from .unwrap import unwrapped
from .weights import weights_of


@dataclass(frozen=True, repr=False)
class TorchLayer(ShownLayer):
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
        own = self.native.parameters() if self.kind == "container" else own_parameters(self.native)
        return any(parameter.requires_grad for parameter in own)


def walk(model: Any) -> Iterator[TorchLayer]:
    """Yield the modules under their own names, see `torch.nn.Module.named_modules`."""
    for path, module in unwrapped(model).named_modules():
        yield TorchLayer(path, module)
