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

from netviz_core.backend_api import Names, RecorderLike, Replacement, StandIn, leaves, replaced

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
    put = _Put(watch)
    with (
        evaluation(model, inputs, watch) as (module, forward),
        observed(module, recorder, watch),
        _replacing(module, recorder, replacement, put),
        _standing_in(module, instead, put),
        torch.no_grad(),
    ):
        return forward()


@contextmanager
def _replacing(
    module: nn.Module, recorder: RecorderLike, replacement: Replacement, put: _Put
) -> Iterator[None]:
    """Hooks that come after those by which the recorder is told."""
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    try:
        for path, child in module.named_modules():
            if path in recorder.paths and not isinstance(child, torch.jit.ScriptModule):
                exchange = _Exchange(path, replacement, put)
                hooks.append(child.register_forward_pre_hook(exchange.before, with_kwargs=True))
                hooks.append(child.register_forward_hook(exchange.after))
        yield
    finally:
        for handle in hooks:
            handle.remove()


@contextmanager
def _standing_in(module: nn.Module, instead: Mapping[str, Sequence[StandIn]], put: _Put) -> Iterator[None]:
    """Let calls hand on what stands in for what they compute; PyTorch's own layers do not even run."""
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    left_out: list[nn.Module] = []
    modules = dict(module.named_modules())
    try:
        for path, stand_ins in instead.items():
            child = modules[path]
            hand_on = _HandOn(stand_ins, put)
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

    def __init__(self, stand_ins: Sequence[StandIn], put: _Put) -> None:
        self._left, self._put = deque(stand_ins), put

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        stand_in = self._left.popleft()
        given = next((value for _, value in leaves((args, kwargs), is_tensor)), None)
        device = given.device if given is not None else None
        names = tuple(None if axis.startswith("axis") else axis for axis in stand_in.axes)
        return self._put.tensor(stand_in.values, getattr(torch, stand_in.dtype), device, names)

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> torch.Tensor:
        return self.forward(*args, output)


class _Exchange:
    """The two hooks of one module."""

    def __init__(self, path: str, replacement: Replacement, put: _Put) -> None:
        self._path, self._replacement, self._put = path, replacement, put
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
            return tensor if values is None else self._put.like(tensor, values)

        return replaced(structure, is_tensor, other)


_TENSORS: dict[tuple[int, torch.dtype], torch.Tensor] = {}
"""Those of the arrays that are put in place, pass after pass, as long as these are there."""


class _Put:
    """Makes the tensors that are put in place in one pass; those of arrays that come in each pass once for all."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._handed: set[tuple[int, torch.dtype]] = set()

    def like(self, tensor: torch.Tensor, values: Any) -> torch.Tensor:
        """A tensor of these values, of the same dtype and device, whose axes are called so where they have names."""
        names = self._watch.follower.get(tensor)
        if not tensor.is_quantized:
            return self.tensor(values, tensor.dtype, tensor.device, names)
        plain = torch.tensor(values, dtype=torch.float32, device=tensor.device)
        return self._named(_quantized_like(tensor, plain), names)

    def tensor(
        self, values: Any, dtype: torch.dtype, device: torch.device | None, names: Names | None
    ) -> torch.Tensor:
        """A tensor of these values that shares no memory with others of this pass."""
        key = id(values), dtype
        if key in self._handed or (device is not None and device.type != "cpu"):
            return self._named(torch.tensor(values, dtype=dtype, device=device), names)
        self._handed.add(key)
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch(), torch.inference_mode(False):
            if key not in _TENSORS:
                _TENSORS[key] = torch.tensor(values, dtype=dtype)
                weakref.finalize(values, _TENSORS.pop, key, None).atexit = False
            self._watch.own(_TENSORS[key])  # so that what is written to it is undone when the pass is over
            return self._named(_TENSORS[key].detach(), names)

    def _named(self, tensor: torch.Tensor, names: Names | None) -> torch.Tensor:
        if names is not None:
            self._watch.follower.note(tensor, names)
        return tensor


def _quantized_like(tensor: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """Floats on the grid of a quantized tensor: one of all its values, or one for each channel."""
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return torch.quantize_per_tensor(plain, tensor.q_scale(), tensor.q_zero_point(), tensor.dtype)
    grids = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
    return torch.quantize_per_channel(plain, *grids, tensor.q_per_channel_axis(), tensor.dtype)
