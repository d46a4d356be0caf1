"""Taps on what layers return: equal tensors that nobody else holds, with respect to which derivatives are taken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from netviz_core.backend_api import RecorderLike, leaves, replaced

from .axes import AxisFollower
from .tensors import dtype_name, is_tensor, is_transformed, numpy_bytes
from .watch import Watch


@dataclass(frozen=True)
class TappedLeaf:
    """One tensor that a layer returned, as a place in the graph of the pass."""

    name: str
    edge: GradientEdge | None
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


@dataclass(frozen=True)
class Tap:
    """One call of a layer."""

    path: str
    leaves: list[TappedLeaf]
    in_no_grad: bool = False


@contextmanager
def tapped(module: nn.Module, recorder: RecorderLike, watch: Watch) -> Iterator[list[Tap]]:
    """Make what the layers wanted return differentiable, and note where in the graph it stands."""
    taps: list[Tap] = []
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for path, child in module.named_modules():
            if isinstance(child, torch.jit.ScriptModule):
                continue
            if isinstance(child, nn.RNNBase):
                hooks.append(child.register_forward_pre_hook(_let_cudnn_go_back))
            if path in recorder.paths:
                hooks.append(child.register_forward_hook(_tap(path, taps, watch.follower)))
        yield taps
    finally:
        for handle in hooks:
            handle.remove()


def _tap(path: str, taps: list[Tap], follower: AxisFollower) -> Callable[..., Any]:
    thread = threading.get_ident()

    def after_call(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if threading.get_ident() != thread:
            return output
        if not torch.is_grad_enabled():
            taps.append(Tap(path, [], in_no_grad=True))
            return output
        tapped_leaves: list[TappedLeaf] = []
        passed_on: list[torch.Tensor] = []
        for name, tensor in leaves(output, is_tensor):
            if _can_have_gradient(tensor):
                leaf, tensor = _tapped_leaf(name, tensor, follower, make_differentiable=path != "")
                tapped_leaves.append(leaf)
            passed_on.append(tensor)
        taps.append(Tap(path, tapped_leaves))
        others = iter(passed_on)
        return replaced(output, is_tensor, lambda _: next(others)) if tapped_leaves else output

    return after_call


def _tapped_leaf(
    name: str, tensor: torch.Tensor, follower: AxisFollower, make_differentiable: bool
) -> tuple[TappedLeaf, torch.Tensor]:
    """The leaf, and an equal tensor to be passed on in its place.

    That tensor stands for this call alone: a layer that returns its own input shares it with others. And
    the graph knows it as it is now, whatever is written to it later.
    """
    axes = follower.axes(tensor)
    if make_differentiable and not tensor.requires_grad:
        tensor = tensor.detach().requires_grad_()
    passed_on = tensor.clone()
    edge = get_gradient_edge(passed_on) if passed_on.requires_grad else None
    dtype = dtype_name(tensor.dtype)
    return TappedLeaf(name, edge, axes, tuple(tensor.shape), dtype, numpy_bytes(tensor)), passed_on


def _can_have_gradient(tensor: torch.Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and not is_transformed(tensor)


def _let_cudnn_go_back(module: nn.RNNBase, args: tuple[Any, ...]) -> None:
    """On a GPU, cuDNN keeps what its backward pass needs only in training mode; without dropout they agree."""
    if next(module.parameters()).is_cuda:
        module.training, module.dropout = True, 0.0
