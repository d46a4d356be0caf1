"""Tells a recorder of attention weights: whose they are, and which of their axes are samples, heads, queries, keys."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from netviz_core.backend_api import CaptureError, Observation, Ready, RecorderLike

from .axis_parts import Axes, Part, Parts, lengths
from .lineage import LineageFollower
from .tensors import dtype_name, numpy_bytes, to_numpy


class Running:
    """Knows which of a model's layers is running."""

    def __init__(self) -> None:
        self._paths: list[str] = []

    @property
    def innermost(self) -> str:
        """The path of the innermost layer that has been called and has not returned yet."""
        return self._paths[-1] if self._paths else ""

    @contextmanager
    def following(self, module: nn.Module, recorder: RecorderLike) -> Iterator[None]:
        """Follow the calls of a model's layers while the context is open."""
        hooks: list[torch.utils.hooks.RemovableHandle] = []
        try:
            for path, child in module.named_modules():
                if isinstance(child, torch.jit.ScriptModule):
                    recorder.miss(path, "TorchScript hides what it computes; look at the unscripted model")
                    continue
                hooks.append(child.register_forward_pre_hook(lambda *_, path=path: self._paths.append(path)))
                hooks.append(child.register_forward_hook(lambda *_: self._leave(), always_call=True))
            yield
        finally:
            for handle in hooks:
                handle.remove()

    def _leave(self) -> None:
        self._paths.pop()


class SeenAttention:
    """Tells a recorder of attention weights, under the layer that is running."""

    def __init__(self, running: Running, recorder: RecorderLike) -> None:
        self._running = running
        self._recorder = recorder
        self.lineages = LineageFollower()
        self.samples = 1
        """How many the input has."""
        self.in_fused = False
        """Whether an operation is running that has been seen as a whole."""

    @property
    def path(self) -> str:
        """The layer that is running."""
        return self._running.innermost

    @property
    def is_wanted(self) -> bool:
        """Whether anybody asked for the layer that is running."""
        return self.path in self._recorder.paths

    def require_room(self, *shape: int) -> None:
        """Refuse weights that would be too many, before they are computed."""
        self._recorder.require_room(self.path, 4 * math.prod(shape))

    def add(self, weights: torch.Tensor, axes: Axes, query: int = -2, key: int = -1) -> None:
        """Keep weights.

        Parameters
        ----------
        weights : torch.Tensor
        axes : tuple
            The parts of each of its axes.
        query, key : int
            Which of them those of queries and keys are.
        """
        if not self.is_wanted:
            return
        try:
            values, names = self._arranged(weights.detach(), axes, query, key)
            array = to_numpy(values)
            observation = Observation("", Ready(array), names, dtype_name(values.dtype), numpy_bytes(values))
            self._recorder.add(self.path, [observation])
        except CaptureError as error:
            self.miss(str(error))

    def miss(self, reason: str, path: str | None = None) -> None:
        """Say why the weights of a layer, by default the one that is running, were not seen."""
        self._recorder.miss(self.path if path is None else path, reason, "unsupported")

    @contextmanager
    def as_a_whole(self) -> Iterator[None]:
        """Do not look for attention among the operations within."""
        before, self.in_fused = self.in_fused, True
        try:
            yield
        finally:
            self.in_fused = before

    def _arranged(
        self, weights: torch.Tensor, axes: Axes, query: int, key: int
    ) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Weights with the axes (batch, window if there are any, head, query, key), taken apart by what made them."""
        query, key = query % weights.ndim, key % weights.ndim
        roles = _roles(axes, query, key, self.samples)
        parts = [(axis, part) for axis, of_axis in enumerate(axes) for part in of_axis]
        weights = weights.reshape([part.length for _, part in parts])
        order = [parts.index(entry) for role in roles[:-1] for entry in role]
        sizes = [lengths([part for _, part in role]) for role in roles[:-1]]
        weights = weights.permute(order).reshape(sizes)
        names = ["batch", "window", "head", "query", "key"]
        if not roles.samples_are_known and not _all_equal(weights):
            names[0] = "axis0"
        if sizes[1] == 1:
            weights = weights.squeeze(1)
            del names[1]
        return weights, tuple(names)


Place = tuple[int, Part]
"""A part, and the axis where it stands."""


class Roles(NamedTuple):
    """Which parts of the axes of weights are what."""

    samples: Sequence[Place]
    windows: Sequence[Place]
    heads: Sequence[Place]
    queries: Sequence[Place]
    keys: Sequence[Place]
    samples_are_known: bool


def _roles(axes: Axes, query: int, key: int, samples: int) -> Roles:
    queries = [(query, part) for part in _of_queries(axes[query])]
    keys = [(key, part) for part in axes[key]]
    leading = [
        (axis, part)
        for axis, parts in enumerate(axes)
        for part in parts
        if axis != key and (axis, part) not in queries
    ]
    of_samples = _of_kind(leading, "sample")
    heads = _of_kind(leading, "feature")
    others = [place for place in leading if place not in of_samples and place not in heads]
    tokens_first = not of_samples and bool(_of_kind([*queries, *keys], "sample"))
    if not heads and others and _is_undivided(others[-1][1]) and not (tokens_first and len(others) == 1):
        heads = [others.pop()]
    is_known = tokens_first or lengths([part for _, part in of_samples]) == samples
    if tokens_first or not is_known:
        # What stands first is the batch where tokens do not; else nobody knows what it is.
        of_samples, others = sorted([*of_samples, *others], key=lambda place: place[0]), []
    return Roles(of_samples, others, heads, queries, keys, is_known)


def _of_queries(parts: Parts) -> Parts:
    """The parts of the axis of queries: without the samples and heads that a product has put before them."""
    own = tuple(part for part in parts if part.origin.kind not in ("sample", "feature"))
    return own or parts


def _of_kind(places: Sequence[Place], kind: str) -> list[Place]:
    return [place for place in places if place[1].origin.kind == kind]


def _is_undivided(part: Part) -> bool:
    """Whether an axis stands as it was given, before that of queries, where heads stand by custom."""
    return part.origin.kind in ("given", "") and part.length == part.origin.length


def _all_equal(weights: torch.Tensor) -> bool:
    """Whether it is the same for all samples, whichever these are."""
    return len(weights) == 1 or bool((weights == weights[:1]).all())
