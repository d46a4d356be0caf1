"""Finds the user's own module within what PyTorch wraps around models."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import torch
from torch import nn


def unwrapped(model: Any) -> nn.Module:
    """The user's own module within ``torch.compile``, data-parallel wrappers and exported programs."""
    while True:
        if isinstance(model, loaded_class("torch._dynamo.eval_frame", "OptimizedModule")):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif isinstance(model, loaded_class("torch.export", "ExportedProgram")):
            if model not in _unflattened:
                _unflattened[model] = torch.export.unflatten(model)
            model = _unflattened[model]
        else:
            module: nn.Module = model
            return module


def loaded_class(module: str, name: str) -> tuple[type[Any], ...]:
    """A class that is slow to import, if it is imported: else nothing can be of it."""
    return (getattr(sys.modules[module], name),) if module in sys.modules else ()


_unflattened: weakref.WeakKeyDictionary[Any, nn.Module] = weakref.WeakKeyDictionary()
"""An exported program is given its layers once."""
