"""Runs layers of PyTorch's own past the watch: what their operations do is known without seeing them."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import _has_any_global_hook

from netviz_core.backend_api import SPATIAL_AXES, Names

from .tensors import has_memory
from .watch import Watch

_LEAST_AXES: dict[type[nn.Module], int] = {nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5, nn.Linear: 2}
"""Of what has fewer, one sample may have been given where a batch should be."""

_LAYERS: tuple[type[nn.Module], ...] = (
    *_LEAST_AXES, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.Mish, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Hardswish,
    nn.Hardsigmoid, nn.Softplus, nn.Softmax, nn.Dropout, nn.Identity, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
)  # fmt: skip
"""Layers that make one new tensor of one, or hand on the same, and write to nothing else.

But for batch norms in training, and for what works in place.
"""

_KNOWN: dict[type[nn.Module], Any] = {
    layer: layer.forward
    for layer in _LAYERS
    if getattr(layer.forward, "__globals__", None) is vars(sys.modules[layer.__module__])
}
"""How they do that, where nobody has given them another way to already."""

_OVERRIDING = frozenset({"forward", "weight", "bias", "running_mean", "running_var"})
"""Attributes of an object by which it does something else than its class says."""


class Unwatched:
    """One such layer, each call of which may go past the modes of a watch, between its first hook and its last.

    Parameters
    ----------
    module : torch.nn.Module
    watch : Watch
        Told which weights are used, and what is about to be written to.
    """

    def __init__(self, module: nn.Module, watch: Watch) -> None:
        self._watch = watch
        self._hooks: tuple[int, ...] = ()
        self._least_axes = _LEAST_AXES.get(type(module), 0)
        self._is_batch_norm = isinstance(module, _BatchNorm)
        self._functions = torch._C.DisableTorchFunction()
        self._operations: Any = None
        self._raised: BaseException | None = None
        is_convolution = self._least_axes > 2
        self.axes: Names = (
            ("batch", "channel", *SPATIAL_AXES[5 - self._least_axes :]) if is_convolution else ()
        )
        """Those of what it returns, where its operations alone would tell them."""

    @staticmethod
    def can_be(module: nn.Module, watch: Watch) -> bool:
        """Whether it is known what a module does, and nobody asks how."""
        return (
            _does_as_its_class(module)
            and not watch.sees_all
            and module._compiled_call_impl is None
            and not _hooks_of(module)
        )

    def begin(self, module: nn.Module) -> None:
        """Take the hooks that the module has now for those of the watch."""
        self._hooks = _hooks_of(module)

    def open(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Let the call about to be made go past the watch, if nothing of it must be seen."""
        self._raised = sys.exc_info()[1]
        if not (self._is_alone(module) and _does_as_its_class(module)):
            return
        self._functions.__enter__()  # by which questions about tensors are called, too
        if not self._is_known(module, args):
            self._functions.__exit__(None, None, None)
            return
        self._operations = torch._C._DisableTorchDispatch()  # holds from here on
        if getattr(module, "inplace", False):
            self._watch.before_write(args[0])

    def close(self) -> bool:
        """End that, when the call is over; whether it went past the watch."""
        if self._operations is None:
            return False
        self._operations.__exit__(None, None, None)
        self._operations = None
        self._functions.__exit__(None, None, None)
        return True

    @property
    def has_failed(self) -> bool:
        """Whether the call is over because of an error."""
        return sys.exc_info()[1] is not self._raised

    def _is_known(self, module: nn.Module, args: tuple[Any, ...]) -> bool:
        """Whether the layer does, with these tensors, what such layers do; notes which weights it uses."""
        given = args[0] if len(args) == 1 else None
        if (
            type(given) is not torch.Tensor
            or not has_memory(given)
            or given.is_nested
            or given.is_inference()
            or given.dim() < self._least_axes
            or (self._is_batch_norm and module.training)
        ):
            return False
        for buffer in module._buffers.values():
            if buffer is not None and type(buffer) is not torch.Tensor:
                return False
        for parameter in module._parameters.values():
            if parameter is not None and type(parameter) is not nn.Parameter:
                return False
            self._watch.note_use(parameter)
        return True

    def _is_alone(self, module: nn.Module) -> bool:
        """Whether nobody else hears this call, or the operations in it."""
        return (
            _hooks_of(module) == self._hooks
            and not (module._backward_hooks or module._backward_pre_hooks or _has_any_global_hook())
            and torch._C._len_torch_dispatch_stack() == 1
            and torch._C._len_torch_function_stack() == 1
            and torch._C._functorch.peek_interpreter_stack() is None
            and not _may_be_heard_saving()
        )


_top_saving: Any = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)


def _may_be_heard_saving() -> bool:
    """Whether somebody may be handed the tensors that autograd saves; before its version 2.8, PyTorch tells nobody."""
    return torch.is_grad_enabled() if _top_saving is None else _top_saving(True) is not None


def _hooks_of(module: nn.Module) -> tuple[int, ...]:
    """Those before and after each call, by the numbers that PyTorch gives them."""
    return (*module._forward_pre_hooks, *module._forward_hooks)


def _does_as_its_class(module: nn.Module) -> bool:
    """Whether a module is one of those known, and neither it nor its class was given another way to work."""
    known = _KNOWN.get(type(module))
    return known is not None and type(module).forward is known and vars(module).keys().isdisjoint(_OVERRIDING)
