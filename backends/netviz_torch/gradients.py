"""Pulls what is asked of a model's output back to what its layers returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from netviz_core.backend_api import (
    AxisArray,
    InputError,
    Observation,
    Ready,
    RecorderLike,
    Scores,
    Seed,
    UnsupportedError,
    leaves,
    widened,
)

from .axes import AxisFollower
from .kinds import kind_of
from .listening import observed, unfold
from .passes import evaluation
from .scores import Score, ScoreWatch
from .taps import Tap, TappedLeaf, tapped
from .tensors import dtype_name, is_tensor, to_numpy
from .unwrap import unwrapped
from .watch import Watch
from .weights import weights_of


def pull_back(
    model: Any, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
) -> None:
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


def _refuse_inference_tensors(module: nn.Module) -> None:
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_inference():
            raise UnsupportedError(
                f"{name!r} was made under torch.inference_mode(), so that nothing can be differentiated "
                f"through it; build or load the model outside of that"
            )


def _parts_of(output: Any, watch: Watch) -> dict[str, torch.Tensor]:
    """The tensors in the model's output, by leaf."""
    return dict(leaves(output, is_tensor, lambda part: unfold(part, watch.follower)))


def _has_gap(starts: list[GradientEdge]) -> bool:
    """Whether an operation of which PyTorch knows no derivative lies on a way back, such as a quantized one."""
    waiting: list[Node | None] = [edge.node for edge in starts]
    seen: set[Node] = set()
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
        {name: _scored(tensor, scores[name], watch.follower.axes(tensor)) for name, tensor in parts.items()}
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
        shape = tensor.shape if score is None else score.value.shape
        derivatives.append(torch.tensor(np.asarray(derivative)).reshape(shape).to(tensor.device, dtype))
    return starts, derivatives


def _scored(tensor: torch.Tensor, score: Score | None, axes: tuple[str, ...]) -> AxisArray:
    """A part of the output, as scores where a softmax or sigmoid made it of any."""
    if score is None:
        return AxisArray(to_numpy(tensor), axes)
    return Scores(score.value.numpy().reshape(tuple(tensor.shape)), axes, score.squashed_by)


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
    tap: Tap, pulled: list[tuple[TappedLeaf, torch.Tensor | None]], is_cut: bool, recorder: RecorderLike
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


def gradients_of_weights(model: Any, inputs: Any, seed: Seed) -> list[tuple[str, str, np.ndarray[Any, Any]]]:
    """See `netviz_core.backend_api.SupportsGradientsOfWeights`."""
    watch = ScoreWatch(AxisFollower())
    with torch.inference_mode(False), evaluation(model, inputs, watch) as (module, forward):
        _refuse_inference_tensors(module)
        with observed(module, None, watch), torch.enable_grad():
            output = forward()
        starts, derivatives = _started(output, seed, watch)
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        found = (
            torch.autograd.grad(starts, parameters, derivatives, allow_unused=True)
            if starts and parameters
            else [None] * len(parameters)
        )
        by_parameter = {
            id(parameter): torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(parameters, found, strict=True)
        }
        return [(path, name, gradient) for path, name, gradient, _ in _by_weight(module, by_parameter)]


def weight_gradients(model: Any) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
    """See `netviz_core.backend_api.SupportsWeightGradients`.

    A weight that is computed from others has no gradient of its own; the parameters that it is computed
    from have, under the layers of their parametrization.
    """
    module = unwrapped(model)
    left = {id(parameter): parameter.grad for parameter in module.parameters() if parameter.grad is not None}
    seen = set()
    for path, name, gradient, identity in _by_weight(module, left):
        if identity not in seen:
            seen.add(identity)
            yield path, name, gradient


def _by_weight(
    module: nn.Module, gradients: Mapping[int, torch.Tensor]
) -> Iterator[tuple[str, str, np.ndarray[Any, Any], Any]]:
    """Gradients of parameters, known by their ids, as those of weights, with the identity of each."""
    for path, child in module.named_modules():
        for name, weight in weights_of(child, kind_of(child)).items():
            identity = weight.identity
            assert isinstance(identity, tuple), "of a tensor and the part of it that the weight is"
            if identity[0] in gradients:
                gradient = weight.layout.to_canonical(to_numpy(gradients[identity[0]]))
                yield path, name, np.array(widened(gradient), order="C"), identity
