"""Keeps a model exactly as it came across a forward pass in evaluation mode."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from .watch import Watch


@contextmanager
def unchanged(module: nn.Module, watch: Watch) -> Iterator[None]:
    """Put back whatever changes inside: modes, attributes, buffers, parameters, random generators.

    `watch` must not be active any more when this context closes.
    """
    modules = list(module.modules())
    attributes = [
        (m, dict(vars(m)), dict(m._parameters), dict(m._buffers), dict(m._modules)) for m in modules
    ]
    for tensor in (*module.parameters(), *module.buffers()):
        watch.own(tensor)
    with _random_state():
        try:
            yield
        finally:
            watch.put_back()
            for owner, own, parameters, buffers, children in attributes:
                _restore(vars(owner), own)
                _restore(owner._parameters, parameters)
                _restore(owner._buffers, buffers)
                _restore(owner._modules, children)


def _restore(present: dict, before: dict) -> None:
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
