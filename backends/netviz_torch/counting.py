"""How many parameters PyTorch counts, and inputs made of nothing but their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from netviz_core.backend_api import InputError, ParameterForm

from .kinds import kind_of, own_parameters
from .unwrap import unwrapped


def parameter_count(model: Any) -> int:
    """How many numbers there are in a model's parameters, those that stand in several places once."""
    parameters = unwrapped(model).parameters()
    return sum(tensor.numel() for tensor in parameters if not is_lazy(tensor))


def parameters_of(module: nn.Module) -> Iterator[ParameterForm]:
    """The module's own parameters, see `netviz_core.backend_api.SupportsParameterForms`."""
    for tensor in own_parameters(module):
        if not is_lazy(tensor):
            size = tensor.numel()
            yield ParameterForm(id(tensor), size, size * tensor.element_size(), tensor.requires_grad)


def example_of(model: Any, shapes: Sequence[Sequence[int]] | None) -> Any:
    """Inputs of these shapes, see `netviz_core.backend_api.SupportsInputForms`."""
    if shapes is None:
        raise InputError("a PyTorch model does not say what shape its input has; give x, a batch")
    module = unwrapped(model)
    tensors = chain(module.parameters(), module.buffers())
    reference = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
    takes_tokens = _first_kind(module) == "embedding"
    generator = torch.Generator().manual_seed(0)

    def make(shape: Sequence[int]) -> torch.Tensor:
        if takes_tokens:
            return torch.zeros(*shape, dtype=torch.long, device=reference.device)
        values = torch.randn(*shape, generator=generator, dtype=torch.float32)
        return values.to(reference.device, reference.dtype)

    made = tuple(make(shape) for shape in shapes)
    return made if len(made) > 1 else made[0]


def _first_kind(module: nn.Module) -> str:
    """The kind of the first module that has no others within."""
    return next(kind_of(child) for child in module.modules() if not any(True for _ in child.children()))
