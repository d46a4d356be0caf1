"""A pass in which other values stand in the place of what layers are given and return."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import nn

from netviz_core.backend_api import RecorderLike, Replacement, StandIn, leaves, replaced

from .axes import AxisFollower
from .listening import observed
from .passes import evaluation
from .tensors import has_memory, is_tensor, is_transformed
from .watch import Watch


def run_replaced(
    model: Any,
    inputs: Any,
    recorder: RecorderLike,
    replacement: Replacement,
    instead: Mapping[str, Sequence[StandIn]],
) -> Any:
    """See `netviz_core.backend_api.SupportsReplacement`."""
    watch = Watch(AxisFollower())
    with (
        evaluation(model, inputs, watch) as (module, forward),
        observed(module, recorder, watch),
        _replacing(module, recorder, replacement, watch),
        _standing_in(module, instead, watch),
        torch.no_grad(),
    ):
        return forward()


@contextmanager
def _replacing(
    module: nn.Module, recorder: RecorderLike, replacement: Replacement, watch: Watch
) -> Iterator[None]:
    """Hooks that come after those by which the recorder is told."""
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for path, child in module.named_modules():
            if path in recorder.paths and not isinstance(child, torch.jit.ScriptModule):
                exchange = _Exchange(path, replacement, watch)
                hooks.append(child.register_forward_pre_hook(exchange.before, with_kwargs=True))
                hooks.append(child.register_forward_hook(exchange.after))
        yield
    finally:
        for handle in hooks:
            handle.remove()


@contextmanager
def _standing_in(module: nn.Module, instead: Mapping[str, Sequence[StandIn]], watch: Watch) -> Iterator[None]:
    """Let calls hand on what stands in for what they compute; PyTorch's own layers do not even run."""
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    left_out: list[nn.Module] = []
    modules = dict(module.named_modules())
    try:
        for path, stand_ins in instead.items():
            child = modules[path]
            hand_on = _HandOn(stand_ins, watch)
            if _does_nothing_else(child):
                child.forward = hand_on.forward  # seen by the call before that of the class
                left_out.append(child)
            else:
                hooks.append(child.register_forward_hook(hand_on.after))
        yield
    finally:
        for handle in hooks:
            handle.remove()
        for child in left_out:
            del child.forward


def _does_nothing_else(module: nn.Module) -> bool:
    """Whether a module is one of PyTorch's own, as it is, so that nobody misses it if it does not run."""
    return type(module).__module__.startswith("torch.nn.modules.") and "forward" not in vars(module)


class _HandOn:
    """What a module hands on, call by call; its own where it is called more often than before."""

    def __init__(self, stand_ins: Sequence[StandIn], watch: Watch) -> None:
        self._left, self._watch = deque(stand_ins), watch

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        stand_in = self._left.popleft()
        given = next((value for _, value in leaves((args, kwargs), is_tensor)), None)
        device = given.device if given is not None else None
        new = _tensor(stand_in.values, getattr(torch, stand_in.dtype), device, self._watch)
        self._watch.follower.name(
            new, tuple(None if axis.startswith("axis") else axis for axis in stand_in.axes)
        )
        return new

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> torch.Tensor:
        return self.forward(*args, output)


class _Exchange:
    """The two hooks of one module."""

    def __init__(self, path: str, replacement: Replacement, watch: Watch) -> None:
        self._path, self._replacement, self._watch = path, replacement, watch
        self._begun, self._ended = count(), count()
        self._thread = threading.get_ident()

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return None
        call = next(self._begun)
        places = {str(place): value for place, value in enumerate(args)}
        new = self._other({**places, **kwargs}, call, is_given=True)
        return tuple(new[place] for place in places), {name: new[name] for name in kwargs}

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if threading.get_ident() != self._thread:
            return None
        return self._other(output, next(self._ended), is_given=False)

    def _other(self, structure: Any, call: int, is_given: bool) -> Any:
        names = iter([name for name, _ in leaves(structure, is_tensor)])

        def other(tensor: torch.Tensor) -> torch.Tensor:
            name = next(names)
            if not has_memory(tensor) or is_transformed(tensor):
                return tensor
            values = self._replacement(self._path, call, name, is_given, tuple(tensor.shape))
            return tensor if values is None else _like(tensor, values, self._watch)

        return replaced(structure, is_tensor, other)


def _like(tensor: torch.Tensor, values: Any, watch: Watch) -> torch.Tensor:
    """A tensor of these values, of the same dtype and device, whose axes are called so where they have names."""
    names = watch.follower.get(tensor)
    if tensor.is_quantized:
        new = _quantized_like(tensor, torch.tensor(values, dtype=torch.float32, device=tensor.device))
    else:
        new = _tensor(values, tensor.dtype, tensor.device, watch)
    if names is not None:
        watch.follower.name(new, names)
    return new


_TENSORS: dict[tuple[int, torch.dtype, torch.device | None], torch.Tensor] = {}
"""Those of the arrays that are put in place, pass after pass, as long as these are there."""


def _tensor(values: Any, dtype: torch.dtype, device: torch.device | None, watch: Watch) -> torch.Tensor:
    """A tensor of these values, in memory that is put back when the pass is over."""
    key = id(values), dtype, device
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch(), torch.inference_mode(False):
        if key not in _TENSORS:
            _TENSORS[key] = torch.tensor(values, dtype=dtype, device=device)
            weakref.finalize(values, _TENSORS.pop, key, None).atexit = False
        watch.own(_TENSORS[key])
        return _TENSORS[key].detach()


def _quantized_like(tensor: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """Floats on the grid of a quantized tensor: one of all its values, or one for each channel."""
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return torch.quantize_per_tensor(plain, tensor.q_scale(), tensor.q_zero_point(), tensor.dtype)
    grids = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return torch.quantize_per_channel(plain, *grids, tensor.q_per_channel_axis(), tensor.dtype)
