"""The `Backend` of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from netviz_core.capture import Observation, Recorder
from netviz_core.errors import NetvizError
from netviz_core.structure import leaves
from netviz_core.weights import Weight

from .axes import DEFINING_KINDS, AxisFollower, defined_axes
from .inputs import check_runnable, explain, prepare
from .modules import config_of, kind_of, native_class
from .state import unchanged
from .watch import Watch
from .weights import dtype_name, weights_of


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
        """Whether `model` is a module."""
        return isinstance(model, nn.Module)

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
        with unchanged(module, watch):
            for argument in (*args, *kwargs.values()):
                if isinstance(argument, torch.Tensor):
                    watch.own(argument)
            with _observed(module, recorder, watch), torch.no_grad(), _no_fused_attention():
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
        with _observed(_unwrapped(model), recorder, Watch(AxisFollower())):
            yield

    def demo(
        self, images: np.ndarray, labels: np.ndarray, progress: Callable[[int, int, float], None]
    ) -> tuple[nn.Module, nn.Module]:
        """Train the demo's small network, see `netviz_core.protocols.SupportsDemo`."""
        from .demo import train

        return train(images, labels, progress)


def _unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module within ``torch.compile`` and data-parallel wrappers."""
    while True:
        if isinstance(model, torch._dynamo.eval_frame.OptimizedModule):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


@contextmanager
def _observed(module: nn.Module, recorder: Recorder | None, watch: Watch) -> Iterator[None]:
    """Report what modules return to `recorder`, and keep it safe from later writes."""
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    try:
        if recorder is not None:
            for path, child in module.named_modules():
                kind = kind_of(child)
                wanted = path in recorder.paths
                if wanted or kind in DEFINING_KINDS:
                    hook = _hook(path if wanted else None, kind, recorder, watch)
                    hooks.append(child.register_forward_hook(hook))
        with watch:
            yield
    finally:
        for handle in hooks:
            handle.remove()
        watch.settle()


def _hook(path: str | None, kind: str, recorder: Recorder, watch: Watch) -> Callable[..., None]:
    follower = watch.follower

    def after_call(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        found = list(leaves(output, _is_tensor))
        if kind in DEFINING_KINDS and found:
            first = next((argument for argument in args if _is_tensor(argument)), None)
            names = defined_axes(module, kind, follower.get(first), found[0][1])
            if names is not None:
                follower.name(found[0][1], names)
        if path is not None:
            recorder.add(path, [_observation(leaf, tensor, watch) for leaf, tensor in found])

    return after_call


def _observation(leaf: str, tensor: torch.Tensor, watch: Watch) -> Observation:
    return Observation(
        leaf, watch.hold(tensor), watch.follower.axes(tensor), dtype_name(tensor.dtype), _numpy_bytes(tensor)
    )


def _numpy_bytes(tensor: torch.Tensor) -> int:
    narrow = tensor.is_floating_point() and tensor.element_size() < 4
    return tensor.numel() * (4 if narrow else tensor.element_size())


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


@contextmanager
def _no_fused_attention() -> Iterator[None]:
    """Let the layers inside a transformer encoder run one by one, so that they can be seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
