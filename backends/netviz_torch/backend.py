"""The `Backend` of PyTorch."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from netviz_core.errors import NetvizError
from netviz_core.recorder import Recorder
from netviz_core.weights import Weight

from .axes import AxisFollower
from .config import config_of
from .inputs import check_runnable, explain, prepare
from .modules import kind_of, native_class
from .observe import observed
from .state import unchanged
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

    def accepts(self, model: object) -> bool:
        """Whether `model` is a module or an exported program."""
        return isinstance(model, (nn.Module, *_loaded_class("torch.export", "ExportedProgram")))

    def layers(self, model: nn.Module) -> Iterator[TorchLayer]:
        """Yield the modules under their own names, see `torch.nn.Module.named_modules`."""
        for path, module in _unwrapped(model).named_modules():
            yield TorchLayer(path, module)

    def run(self, model: nn.Module, inputs: Any, recorder: Recorder | None = None) -> Any:
        """Make one forward pass with ``eval()`` and ``no_grad()``, and leave everything as it was."""
        module = _unwrapped(model)
        check_runnable(module)
        follower = AxisFollower()
        args, kwargs = prepare(module, inputs, follower)
        watch = Watch(follower)
        with unchanged(watch, module, args, kwargs), observed(module, recorder, watch), torch.no_grad():
            with suppress(NotImplementedError):  # an exported program has no modes
                module.eval()
            try:
                return module(*args, **kwargs)
            except NetvizError:
                raise
            except Exception as error:
                to_blame = explain(error, module, (*args, *kwargs.values()))
                if to_blame is not None:
                    raise to_blame from error
                raise

    @contextmanager
    def record(self, model: nn.Module, recorder: Recorder) -> Iterator[None]:
        """Tell `recorder` of every call of the layers it wants while the context is open."""
        with observed(_unwrapped(model), recorder, Watch(AxisFollower())):
            yield

    def to_numpy(self, tensor: torch.Tensor) -> np.ndarray:
        """A tensor as NumPy, see `netviz_core.protocols.SupportsTensors`."""
        return to_numpy(tensor)

    def demo(
        self, images: np.ndarray, labels: np.ndarray, progress: Callable[[int, int, float], None]
    ) -> tuple[nn.Module, nn.Module]:
        """Train the demo's small network, see `netviz_core.protocols.SupportsDemo`."""
        from .demo import train

        return train(images, labels, progress)


def _unwrapped(model: Any) -> nn.Module:
    """The user's own module within ``torch.compile``, data-parallel wrappers and exported programs."""
    while True:
        if isinstance(model, _loaded_class("torch._dynamo.eval_frame", "OptimizedModule")):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(model, _loaded_class("torch.export", "ExportedProgram")):
            if model not in _unflattened:
                _unflattened[model] = torch.export.unflatten(model)
            model = _unflattened[model]
        else:
            return model


def _loaded_class(module: str, name: str) -> tuple[type, ...]:
    """A class that is slow to import, if it is imported: else nothing can be of it."""
    return (getattr(sys.modules[module], name),) if module in sys.modules else ()


_unflattened: weakref.WeakKeyDictionary[Any, nn.Module] = weakref.WeakKeyDictionary()
"""An exported program is given its layers once."""
