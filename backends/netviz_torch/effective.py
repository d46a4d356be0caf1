"""Weights that are computed from others whenever a layer runs: parametrizations, norms and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

Compute = Callable[[], torch.Tensor]


def effective_tensors(module: nn.Module) -> Iterator[tuple[str, Compute]]:
    """Yield the name of every computed weight of a module, and what computes it as evaluation would."""
    parametrizations = getattr(module, "parametrizations", None)
    if isinstance(parametrizations, nn.ModuleDict):
        for name, parametrization in parametrizations.items():
            yield name, partial(_evaluated, parametrization)
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
