"""Weights that are computed from others whenever a layer runs: parametrizations, norms and masks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .kinds import is_quantized

Compute = Callable[[], torch.Tensor]


def effective_tensors(module: nn.Module) -> Iterator[tuple[str, Compute]]:
    """Yield the name of every computed weight of a module, and what computes it as evaluation would."""
    parametrizations = getattr(module, "parametrizations", None)
    if isinstance(parametrizations, nn.ModuleDict):
        for name, parametrization in parametrizations.items():
            yield name, partial(_evaluated, parametrization)
    if is_quantized(module):
        yield from _unpacked(module)
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm):
            yield hook.name, partial(hook.compute_weight, module)
        elif isinstance(hook, SpectralNorm):
            yield hook.name, partial(hook.compute_weight, module, do_power_iteration=False)
        elif isinstance(hook, BasePruningMethod):
            yield hook._tensor_name, partial(hook.apply_mask, module)


def computed_from(module: nn.Module) -> frozenset[str]:
    """The names of the tensors that a module's computed weights are computed from."""
    suffixes = ("_orig", "_mask", "_g", "_v", "_u")
    return frozenset(name + suffix for name, _ in effective_tensors(module) for suffix in suffixes)


def is_trained(module: nn.Module) -> bool:
    """Whether an optimizer is meant to change what a module's computed weights are computed from."""
    return any(parameter.requires_grad for parameter in module.parameters())


def _unpacked(module: nn.Module) -> Iterator[tuple[str, Compute]]:
    """What PyTorch's quantized layers tell when they are asked, each of a single weight or of all by name."""
    for name in ("weight", "bias", "get_weight", "get_bias"):
        method: Any = getattr(module, name, None)
        told = method() if inspect.ismethod(method) else None
        if isinstance(told, torch.Tensor):  # a reference layer rounds its weight as it runs
            yield name.removeprefix("get_"), method
        elif told is not None:
            for key in (key for key, tensor in told.items() if tensor is not None):
                yield key, partial(_entry, method, key)


def _entry(method: Callable[[], Any], name: str) -> Any:
    return method()[name]


def _evaluated(parametrization: nn.Module) -> torch.Tensor:
    """A spectral norm takes a step of its power iteration whenever it is asked in training mode."""
    with _evaluation_mode(parametrization), torch.no_grad():
        computed: torch.Tensor = parametrization()
    return computed


@contextmanager
def _evaluation_mode(module: nn.Module) -> Iterator[None]:
    modes = [(child, child.training) for child in module.modules()]
    try:
        for child, _ in modes:
            child.training = False
        yield
    finally:
        for child, training in modes:
            child.training = training
