"""Pulls what is asked of a model's output back to what its layers returned."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from netviz_core.backend_api import (
    AxisArray,
    HeldValue,
    InputError,
    Observation,
    Ready,
    Recorder,
    Seed,
    UnsupportedError,
    leaves,
    replaced,
    widened,
)

from .axes import AxisFollower
from .modules import kind_of
from .observe import is_tensor, observed, unfold
from .passes import evaluation
from .tensors import dtype_name, is_transformed, numpy_bytes, to_numpy
from .unwrap import unwrapped
from .watch import Watch
from .weights import weights_of

aten = torch.ops.aten


def pull_back(model: Any, inputs: Any, seed: Seed, activations: Recorder, gradients: Recorder) -> None:
    """See `netviz_core.backend_api.SupportsGradients`."""
    watch = ScoreWatch(AxisFollower())
    with torch.inference_mode(False), evaluation(model, inputs, watch) as (module, forward):
        _refuse_inference_tensors(module)
        with (
            observed(module, activations, watch),
            tapped(module, gradients, watch) as taps,
            torch.enable_grad(),
        ):
            output = forward()
        starts, derivatives = _started(output, seed, watch)
        edges = [leaf.edge for tap in taps for leaf in tap.leaves if leaf.edge is not None]
        pulled = (
            torch.autograd.grad(starts, edges, derivatives, allow_unused=True)
            if starts and edges
            else [None] * len(edges)
        )
        is_cut = any(gradient is None for gradient in pulled) and _has_gap(starts)
        if is_cut and all(gradient is None for gradient in pulled):
            raise UnsupportedError(_why_not_differentiable(output, _parts_of(output, watch)))
        following = iter(pulled)
        for tap in taps:
            found = [(leaf, next(following) if leaf.edge else None) for leaf in tap.leaves]
            _report(tap, found, is_cut, gradients)
    for path, entry in activations.coverage().items():
        if entry.status != "captured":
            gradients.miss(path, entry.reason, entry.status)


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
def tapped(module: nn.Module, recorder: Recorder, watch: Watch) -> Iterator[list[Tap]]:
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


def _refuse_inference_tensors(module: nn.Module) -> None:
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_inference():
            raise UnsupportedError(
                f"{name!r} was made under torch.inference_mode(), so that nothing can be differentiated "
                f"through it; build or load the model outside of that"
            )


@dataclass(frozen=True)
class Score:
    """A tensor of which derivatives are asked, as it was and as a place in the graph of the pass."""

    value: HeldValue
    edge: GradientEdge
    dtype: torch.dtype


class ScoreWatch(Watch):
    """While active, also remembers what goes into softmaxes and sigmoids.

    Of the score of one class it can be asked what it depends on; a probability depends on all classes.
    """

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__(follower)
        self._scores: dict[int, tuple[weakref.ref[torch.Tensor], Score]] = {}

    def score(self, tensor: torch.Tensor) -> Score | None:
        """What a softmax or sigmoid made this tensor of; None if neither made it."""
        reference, score = self._scores.get(id(tensor), (None, None))
        return score if reference is not None and reference() is tensor else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        packet = getattr(func, "overloadpacket", None)
        if packet in _PROBABILITIES and args[0].requires_grad and not is_transformed(args[0]):
            score = Score(self.hold(args[0]), get_gradient_edge(args[0]), args[0].dtype)
            self._scores[id(result)] = weakref.ref(result), score
        elif packet is aten.clone and (passed_on := self.score(args[0])) is not None:
            self._scores[id(result)] = weakref.ref(result), passed_on
        return result


_PROBABILITIES = frozenset({aten._softmax, aten._log_softmax, aten.sigmoid})


def _parts_of(output: Any, watch: Watch) -> dict[str, torch.Tensor]:
    """The tensors in the model's output, by leaf."""
    return dict(leaves(output, is_tensor, lambda part: unfold(part, watch.follower)))


def _has_gap(starts: list[GradientEdge]) -> bool:
    """Whether an operation of which PyTorch knows no derivative lies on a way back, such as a quantized one."""
    waiting, seen = [edge.node for edge in starts], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if node.name().endswith("NotImplemented"):
                return True
            waiting += [before for before, _ in node.next_functions]
    return False


def _started(output: Any, seed: Seed, watch: ScoreWatch) -> tuple[list[GradientEdge], list[torch.Tensor]]:
    """The places in the graph from which to go back, and the derivatives to start with."""
    parts = _parts_of(output, watch)
    if not any(tensor.requires_grad for tensor in parts.values()):
        raise UnsupportedError(_why_not_differentiable(output, parts))
    scores = {name: watch.score(tensor) for name, tensor in parts.items()}
    wanted = seed(
        {
            name: AxisArray(
                to_numpy(tensor) if (score := scores[name]) is None else score.value.numpy(),
                watch.follower.axes(tensor),
            )
            for name, tensor in parts.items()
        }
    )
    starts, derivatives = [], []
    for name, derivative in wanted.items():
        tensor, score = parts[name], scores[name]
        if not tensor.requires_grad:
            raise UnsupportedError(_why_not_differentiable(output, {name: tensor}))
        if np.shape(derivative) != tuple(tensor.shape):
            raise InputError(
                f"a derivative of shape {np.shape(derivative)} was given for the model's output of "
                f"shape {tuple(tensor.shape)}"
            )
        edge, dtype = (score.edge, score.dtype) if score else (get_gradient_edge(tensor), tensor.dtype)
        starts.append(edge)
        derivatives.append(torch.tensor(np.asarray(derivative)).to(tensor.device, dtype))
    return starts, derivatives


def _why_not_differentiable(output: Any, parts: Mapping[str, torch.Tensor]) -> str:
    if not parts:
        return f"the model returned a {type(output).__name__}, in which no tensor was found to differentiate"
    numbers = [tensor for tensor in parts.values() if tensor.is_floating_point() or tensor.is_complex()]
    if not numbers:
        dtypes = ", ".join(sorted({dtype_name(tensor.dtype) for tensor in parts.values()}))
        return f"the model's output is {dtypes}, which cannot be differentiated; let it return scores instead"
    return (
        "the model's output cannot be differentiated: it does not depend on the layers asked for, or is computed "
        "under torch.no_grad(), after .detach() or by an operation without a derivative, such as a quantized one"
    )


def _report(
    tap: Tap, pulled: list[tuple[TappedLeaf, torch.Tensor | None]], is_cut: bool, recorder: Recorder
) -> None:
    reason = ""
    if tap.in_no_grad:
        reason = (
            "it ran inside the model's own torch.no_grad() or inference_mode(), so that it has no gradient"
        )
    elif not pulled:
        reason = "what it returned can have no gradient: it is ragged, or no float"
    elif is_cut and any(gradient is None for _, gradient in pulled):
        reason, pulled = "behind it lies an operation without a derivative, such as a quantized one", []
    if reason:
        recorder.miss(tap.path, reason, "unsupported")
    recorder.add(tap.path, [_observation(leaf, gradient) for leaf, gradient in pulled])


def _observation(leaf: TappedLeaf, gradient: torch.Tensor | None) -> Observation:
    if gradient is None:
        values = to_numpy(torch.zeros(leaf.shape, dtype=getattr(torch, leaf.dtype)))
    else:
        values = to_numpy(gradient)
    return Observation(leaf.name, Ready(values), leaf.axes, leaf.dtype, leaf.nbytes)


def weight_gradients(model: Any) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
    """See `netviz_core.backend_api.SupportsWeightGradients`.

    A weight that is computed from others has no gradient of its own; the parameters that it is computed
    from have, under the layers of their parametrization.
    """
    module = unwrapped(model)
    parameters = {id(parameter): parameter for parameter in module.parameters()}
    seen = set()
    for path, child in module.named_modules():
        for name, weight in weights_of(child, kind_of(child)).items():
            native, _ = weight.identity
            parameter = parameters.get(native)
            if parameter is None or parameter.grad is None or weight.identity in seen:
                continue
            seen.add(weight.identity)
            gradient = weight.layout.to_canonical(to_numpy(parameter.grad))
            yield path, name, np.array(widened(gradient), order="C")
