"""Knows where a model takes numbers out of tensors, and which tensors are constants: neither can be followed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import chain
from typing import Any

import torch
from torch import nn

from netviz_core.backend_api import Book, TensorForm

from .words import name_of

_TAKING_OUT = frozenset(
    "numpy array tolist item float int complex dlpack data_ptr cuda_array_interface untyped_storage storage".split()
)
_PUTTING_IN = frozenset(
    "tensor as_tensor asarray from_numpy frombuffer from_dlpack full fill scalar_tensor".split()
)


class Excursions:
    """What is known of numbers that leave tensors and come back while a model runs."""

    def __init__(self, module: nn.Module) -> None:
        self._taken: dict[Hashable, TensorForm] = {}
        self._put_in: set[Hashable] = set()
        self._constants = Book[bool]()
        held = (part for child in module.modules() for part in vars(child).values())
        tensors = (part for part in held if isinstance(part, torch.Tensor))
        self._remember(chain(module.parameters(), module.buffers(), tensors))

    @property
    def taken(self) -> bool:
        """Whether anything that stems from the model's input was taken out of tensors."""
        return bool(self._taken)

    @property
    def lost(self) -> tuple[TensorForm, ...]:
        """What was taken out, and never seen to come back."""
        return tuple(form for identity, form in self._taken.items() if identity not in self._put_in)

    def put_in(self) -> tuple[TensorForm, ...]:
        """What a tensor of unknown origin may stem from: all that was taken out."""
        self._put_in.update(self._taken)
        return tuple(self._taken.values())

    def note(
        self,
        func: Callable[..., Any],
        inputs: tuple[TensorForm, ...],
        given: Iterable[torch.Tensor],
        results: Iterable[torch.Tensor],
    ) -> None:
        """Look at an operation: whether it takes numbers out, or makes a constant."""
        results, name = list(results), name_of(func)
        if not results and name in _TAKING_OUT:
            self._taken.update((form.identity, form) for form in inputs)
        may_come_back = self._taken and name in _PUTTING_IN
        if not inputs and not may_come_back and all(map(self.is_constant, given)):
            self._remember(results)

    def is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is known not to stem from the model's input."""
        return self._constants.get(tensor) is not None

    def _remember(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            self._constants.note(tensor, True)
