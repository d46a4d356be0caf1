"""What a model and its process hold, and how it is put back when a pass is over."""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import nn

from .watch import Watch


@contextmanager
def unchanged(watch: Watch, *roots: Any) -> Iterator[None]:
    """Put back whatever changes inside: modes, attributes, tensors, gradients, random generators.

    Parameters
    ----------
    watch : Watch
        It sees the writes to tensors, and must not be active any more when this context closes.
    *roots : object
        The model and its arguments; whatever they hold is looked after, to any depth.
    """
    undo = list(_undoing(watch, roots))
    with _random_state():
        try:
            yield
        finally:
            watch.put_back()
            for step in undo:
                step()


_ATOMS = frozenset({bool, int, float, str, type(None), type, torch.dtype, torch.device})
_HOOKS = vars(nn.Module()).keys() - {"_parameters", "_buffers", "_modules"}


def _undoing(watch: Watch, roots: tuple[Any, ...]) -> Iterator[Callable[[], object]]:
    """What to do to bring everything that can be reached from `roots` back to how it is now."""
    waiting, seen = list(roots), set()
    while waiting:
        value = waiting.pop()
        if value is None or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            memory, grad = value.detach(), value.grad if value.is_leaf else None
            watch.own(memory)
            yield partial(_reset_tensor, value, memory, value.requires_grad, grad)
            waiting.append(grad)
        elif _is_namespace(value):
            namespace = value if isinstance(value, dict) else vars(value)
            before = dict(namespace)
            yield partial(_refill_dict, namespace, before)
            waiting += [
                part for name, part in before.items() if type(part) not in _ATOMS and name not in _HOOKS
            ]
        elif isinstance(value, torch.jit.ScriptModule):
            # It keeps its attributes in C++.
            yield partial(value.train, value.training)
            waiting.extend(
                (*value.children(), *value.parameters(recurse=False), *value.buffers(recurse=False))
            )
        elif isinstance(value, (list, deque)):
            yield partial(_refill_list, value, list(value))
            waiting += [part for part in value if type(part) not in _ATOMS]
        elif isinstance(value, set):
            yield partial(_refill_set, value, set(value))
        elif isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, np.ndarray) and value.flags.writeable:
            yield partial(np.copyto, value, value.copy())
        elif isinstance(value, torch.Generator):
            yield partial(value.set_state, value.get_state())


def _is_namespace(value: object) -> bool:
    """Whether it is the model's own store of values, rather than a tool that the model happens to know."""
    if isinstance(value, dict):
        return True
    if isinstance(value, nn.Module):
        return not isinstance(value, torch.jit.ScriptModule)
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return False
    return dataclasses.is_dataclass(value) or any(
        isinstance(part, torch.Tensor) for part in vars(value).values()
    )


def _reset_tensor(
    tensor: torch.Tensor, memory: torch.Tensor, requires_grad: bool, grad: torch.Tensor | None
) -> None:
    if tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_set_to(memory):
        tensor.data = memory
    if tensor.is_leaf:
        if tensor.requires_grad != requires_grad:
            tensor.requires_grad_(requires_grad)
        if tensor.grad is not grad:
            tensor.grad = grad


def _refill_list(present: Any, before: list[Any]) -> None:
    if len(present) != len(before) or not all(map(is_, present, before)):
        present.clear()
        present.extend(before)


def _refill_set(present: set[Any], before: set[Any]) -> None:
    if present != before:
        present.clear()
        present.update(before)


def _refill_dict(present: dict[Any, Any], before: dict[Any, Any]) -> None:
    if present.keys() != before.keys() or not all(map(is_, present.values(), before.values())):
        present.clear()
        present.update(before)


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
