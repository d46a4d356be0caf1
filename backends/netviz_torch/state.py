"""What a model and its process hold, and how it is put back when a pass is over."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from netviz_core.backend_api import Keeper

from .tensors import SPARSE, has_memory, is_same_place
from .watch import Watch


@contextmanager
def unchanged(watch: Watch, *roots: Any) -> Iterator[None]:
    """Put back whatever changes inside: modes, attributes, tensors, gradients, random generators.

    Parameters
    ----------
    watch : Watch
        It sees the writes to tensors, and must not be active any more when this context closes.
    *roots : object
        The model and its arguments; whatever they hold is looked after, see `netviz_core.backend_api.Keeper`.
    """
    keeper = TorchKeeper(watch)
    keeper.keep(*roots)
    with _random_state():
        try:
            yield
        finally:
            watch.put_back()
            keeper.put_back()


_HOOKS = frozenset(vars(nn.Module())) - {"_parameters", "_buffers", "_modules"}
_KEPT_HOOKS = tuple(name for name in _HOOKS if isinstance(vars(nn.Module())[name], dict))


class TorchKeeper(Keeper):
    """Looks after tensors and modules too."""

    tools = Keeper.tools | {"torch", "numpy"}

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def keep_native(self, value: Any) -> bool:
        """Look after a tensor, a module, a random generator, or what holds tensors."""
        if isinstance(value, torch.Tensor):
            self._keep_tensor(value)
        elif isinstance(value, torch.jit.ScriptModule):
            # It keeps its attributes in C++.
            if hasattr(value, "training"):  # a frozen one has no modes
                self.undo(value.train, value.training)
            self.reach((*value.children(), *value.parameters(recurse=False), *value.buffers(recurse=False)))
        elif isinstance(value, nn.Module):
            self.undo(_put_back_hooks, vars(value), _hooks_of(vars(value)))
            self.keep_dict(vars(value), _HOOKS)
            self.keep_class(type(value))
        elif isinstance(value, torch.Generator):
            self.undo(value.set_state, value.get_state())
        elif _is_of_model(value):
            self.keep_dict(vars(value))
        else:
            return False
        return True

    def _keep_tensor(self, tensor: torch.Tensor) -> None:
        memory, grad = tensor.detach(), tensor.grad if tensor.is_leaf else None
        self._watch.own(memory)
        self.undo(_reset_tensor, tensor, memory, tensor.requires_grad, grad)
        if grad is not None:
            self.reach((grad,))


def _is_of_model(value: Any) -> bool:
    """Whether an object of PyTorch's own is no tool: it holds tensors, generators or data."""
    home, own = str(type(value).__module__), getattr(value, "__dict__", None)
    if not home.startswith("torch.") or not isinstance(own, dict):
        return False
    return home.startswith("torch.utils.data.") or any(
        isinstance(part, (torch.Tensor, torch.Generator)) for part in own.values()
    )


def _reset_tensor(
    tensor: torch.Tensor, memory: torch.Tensor, requires_grad: bool, grad: torch.Tensor | None
) -> None:
    is_moved = (
        has_memory(tensor)
        and not tensor.is_meta
        and not (has_memory(memory) and is_same_place(tensor, memory))
    )
    if is_moved or tensor.layout in SPARSE:  # which get other memory when they are written to
        tensor.data = memory
    if tensor.is_leaf:
        if tensor.requires_grad != requires_grad:
            tensor.requires_grad_(requires_grad)
        if tensor.grad is not grad:
            tensor.grad = grad


@contextmanager
def perturbed() -> Iterator[None]:
    """Perturb the state of all random generators; then restore it."""
    with _random_state():
        seed = int(torch.randint(2**31, ()))
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield


@contextmanager
def _random_state() -> Iterator[None]:
    python, numpy_state, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    gpus = torch.cuda.get_rng_state_all() if on_gpu else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


def _hooks_of(attributes: dict[str, Any]) -> dict[str, dict[Any, Any]]:
    """A module's hooks, kind by kind."""
    if not any(map(attributes.get, _KEPT_HOOKS)):
        return {}
    return {name: dict(hooks) for name in _KEPT_HOOKS if (hooks := attributes.get(name))}


def _put_back_hooks(attributes: dict[str, Any], before: dict[str, dict[Any, Any]]) -> None:
    """Take away the hooks that a model gave itself during the pass, and bring back those that it took away."""
    present = _hooks_of(attributes)
    if not present and not before:
        return
    for name in present.keys() | before.keys():
        if present.get(name) != before.get(name):
            attributes[name].clear()
            attributes[name].update(before.get(name, {}))
