"""Tensors out of fastai's types, onto a device, and out of whatever an input may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from netviz_core.backend_api import AxisArray


def plain(value: Any) -> Any:
    """Take fastai's types off the tensors in `value`.

    fastai's own ``CastToTensor`` does so before each pass: a type that follows a tensor through every
    operation is of no use to a model, and hides what happens to it.
    """
    return _mapped(value, lambda tensor: tensor.as_subclass(torch.Tensor) if _is_fastais(tensor) else tensor)


def on_device(value: Any, device: torch.device | None) -> Any:
    """Move the tensors in `value`, which keep their types; those without values stay, for others to refuse."""

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.is_meta else tensor.to(device)

    return value if device is None else _mapped(value, moved)


def as_tensor(value: Any) -> Any:
    """A plain tensor of an input; None where it is no array."""
    if isinstance(value, AxisArray):
        value = value.canonical().values
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value))
    return plain(value).detach() if isinstance(value, torch.Tensor) else None


def _is_fastais(tensor: torch.Tensor) -> bool:
    return any(cls.__module__.partition(".")[0] == "fastai" for cls in type(tensor).__mro__)


def _mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(part, change) for part in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(part, change) for part in value)
    return value
