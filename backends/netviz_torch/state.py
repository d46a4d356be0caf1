"""Keeps a model exactly as it came across a forward pass in evaluation mode."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from .watch import Watch


@contextmanager
def unchanged(module: nn.Module, watch: Watch) -> Iterator[None]:
    """Put back whatever changes inside: modes, attributes, buffers, parameters, random generators.

    `watch` must not be active any more when this context closes.
    """
    modes = [(child, child.training) for child in module.modules()]
    attributes = [namespace for child, _ in modes for namespace in _namespaces(child)]
    for _, before in attributes:
        for value in before.values():
            if isinstance(value, torch.Tensor):
                watch.own(value)
    with _random_state():
        try:
            yield
        finally:
            watch.put_back()
            for namespace, before in attributes:
                _restore(namespace, before)
            for child, training in modes:
                if child.training != training:
                    child.training = training


def _namespaces(module: nn.Module) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Where a module keeps attributes, parameters, buffers and children, and what is there now."""
    if isinstance(module, torch.jit.ScriptModule):
        # It keeps them in C++; the tensors themselves are what can change.
        tensors = dict((*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)))
        yield tensors, dict(tensors)
        return
    for namespace in (vars(module), module._parameters, module._buffers, module._modules):
        yield namespace, dict(namespace)


def _restore(present: dict[str, Any], before: dict[str, Any]) -> None:
    for key in [key for key in present if key not in before]:
        del present[key]
    for key, value in before.items():
        if present.get(key, present) is not value:
            present[key] = value


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
