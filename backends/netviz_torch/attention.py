"""The weights with which attention looks from query to key, however a model computes them.

Attention that PyTorch computes in one piece is computed once more, with its weights kept. Attention
that a model writes out itself is known by what it is: a softmax whose axis is then summed over by a
batched matrix product.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from netviz_core.backend_api import CaptureError, HeldValue, Observation, Ready, RecorderLike

from .axes import AxisFollower
from .listening import watching
from .passes import evaluation
from .tensors import dtype_name, numpy_bytes, to_numpy
from .watch import Watch, memory_of

AXES = ("batch", "head", "query", "key")

aten = torch.ops.aten


def record_attention(model: Any, inputs: Any, recorder: RecorderLike) -> None:
    """See `netviz_core.backend_api.SupportsAttention`."""
    running = Running()
    seen = SeenAttention(running, recorder)
    watch = AttentionWatch(seen)
    with evaluation(model, inputs, watch) as (module, forward):
        watch.parameters = {memory_of(parameter) for parameter in module.parameters()}
        with running.following(module, recorder), watching(watch), FusedAttention(seen), torch.no_grad():
            forward()


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
        self.in_fused = False
        """Whether an operation is running that has been seen as a whole."""

    @property
    def is_wanted(self) -> bool:
        """Whether anybody asked for the layer that is running."""
        return self._running.innermost in self._recorder.paths

    def require_room(self, *shape: int) -> None:
        """Refuse weights that would be too many, before they are computed."""
        self._recorder.require_room(self._running.innermost, 4 * math.prod(shape))

    def add(self, weights: torch.Tensor) -> None:
        """Keep weights whose last three axes are head, query and key, and the others batch."""
        if weights.ndim == 3:
            weights = weights.unsqueeze(0)
        weights = weights.detach().flatten(0, -4)
        observation = Observation(
            "", Ready(to_numpy(weights)), AXES, dtype_name(weights.dtype), numpy_bytes(weights)
        )
        self._recorder.add(self._running.innermost, [observation])

    def miss(self, reason: str) -> None:
        """Say why the weights of the layer that is running were not seen."""
        self._recorder.miss(self._running.innermost, reason, "unsupported")

    @contextmanager
    def as_a_whole(self) -> Iterator[None]:
        """Do not look for attention among the operations within."""
        before, self.in_fused = self.in_fused, True
        try:
            yield
        finally:
            self.in_fused = before


class FusedAttention(TorchFunctionMode):
    """While active, sees the attention that PyTorch computes in one piece.

    That any such mode is active keeps `torch.nn.MultiheadAttention` and the layers of transformers
    from their fused kernels, which would hide it.
    """

    def __init__(self, seen: SeenAttention) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        weights = _WEIGHTS_OF.get(func)
        if weights is None or self._seen.in_fused:
            return func(*args, **kwargs)
        with self._seen.as_a_whole():
            if self._seen.is_wanted:
                weights(self._seen, *args, **kwargs)
            return func(*args, **kwargs)


def _multi_head_weights(seen: SeenAttention, *args: Any, **kwargs: Any) -> None:
    """Compute the attention of ``nn.MultiheadAttention`` once more, so that what the model gets is its own."""
    bound = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    bound.arguments.update(need_weights=True, average_attn_weights=False, training=False)
    _, weights = F.multi_head_attention_forward(*bound.args, **bound.kwargs)
    assert weights is not None, "they were asked for"
    seen.add(weights)


def _scaled_dot_product_weights(
    seen: SeenAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> None:
    if query.is_nested or key.is_nested:
        seen.miss("its queries and keys are ragged (nested) tensors, for which no weights are computed")
        return
    seen.require_room(*query.shape[:-1], key.shape[-2])
    dtype = torch.promote_types(query.dtype, torch.float32)
    with torch._C._DisableTorchDispatch():
        query, key = query.to(dtype), key.to(dtype)
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~allowed, -math.inf)
        if attn_mask is not None:
            hidden = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if hidden else scores + attn_mask
        weights = scores.softmax(-1).masked_fill(scores.isneginf().all(-1, keepdim=True), 0.0)
        seen.add(weights if weights.ndim > 3 else _with_one_head(weights))


def _with_one_head(weights: torch.Tensor) -> torch.Tensor:
    return weights.unsqueeze(-3)


_WEIGHTS_OF: dict[Any, Callable[..., None]] = {
    F.multi_head_attention_forward: _multi_head_weights,
    F.scaled_dot_product_attention: _scaled_dot_product_weights,
    aten.scaled_dot_product_attention: _scaled_dot_product_weights,
    aten.scaled_dot_product_attention.default: _scaled_dot_product_weights,
}


@dataclass(frozen=True)
class Softmax:
    """The result of a softmax, of which it is not known yet whether it is attention."""

    number: int
    axis: int
    value: HeldValue

    def label(self, axis: int) -> str:
        """A name for one of its axes that nothing else has."""
        return f"{self.number}:{axis}"

    def arranged(self, beside: str | None, length: int) -> torch.Tensor:
        """The weights, with the axes (batch …, head, query, key).

        Parameters
        ----------
        beside : str or None
            The label of the axis that stood beside that of the softmax in the product, the query's, if known.
        length : int
            Its length.
        """
        weights = torch.from_numpy(self.value.numpy())
        others = [position for position in reversed(range(weights.ndim)) if position != self.axis]
        labels = {self.label(position): position for position in others}
        fitting = (position for position in others if weights.shape[position] == length)
        query = labels.get(beside or "", next(fitting, others[0]))
        leading = [position for position in reversed(others) if position != query]
        weights = weights.permute(*leading, query, self.axis)
        return weights if weights.ndim > 3 else _with_one_head(weights)


class AttentionWatch(Watch):
    """While active, also sees the attention that a model writes out itself."""

    def __init__(self, seen: SeenAttention) -> None:
        super().__init__(AxisFollower())
        self.parameters: set[int] = set()
        """The memory of the model's parameters."""
        self._seen = seen
        self._labels = AxisFollower()
        self._softmaxes: dict[int, Softmax] = {}
        self._count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if self._seen.in_fused:
            return result
        if _hides_weights(func):
            self._seen.miss(f"{func} computes its attention without showing the weights")
            return result
        if not isinstance(func, torch._ops.OpOverload):
            return result
        self._labels.after(func, args, result)
        with torch._C.DisableTorchFunction():
            if func.overloadpacket is aten._softmax and result.ndim > 2:
                self._expect(result, args[1] % result.ndim)
            elif func.overloadpacket in _PRODUCTS:
                self._look_at(*args[-2:])
        return result

    def _expect(self, result: torch.Tensor, axis: int) -> None:
        self._count += 1
        softmax = Softmax(self._count, axis, self.hold(result))
        self._softmaxes[softmax.number] = softmax
        self._labels.name(result, tuple(softmax.label(position) for position in range(result.ndim)))

    def _look_at(self, left: torch.Tensor, right: torch.Tensor) -> None:
        """See whether a product sums over the axis of a softmax. A product with a parameter is a layer."""
        for factor, other, summed, kept in ((left, right, -1, -2), (right, left, -2, -1)):
            names = self._labels.get(factor)
            if names is None or memory_of(other) in self.parameters:
                continue
            number = (names[summed] or "").partition(":")[0]
            softmax = self._softmaxes.get(int(number)) if number.isdecimal() else None
            if softmax is not None and names[summed] == softmax.label(softmax.axis):
                del self._softmaxes[softmax.number]
                self._report(softmax, names[kept], factor.shape[kept])

    def _report(self, softmax: Softmax, beside: str | None, length: int) -> None:
        if not self._seen.is_wanted:
            return
        with torch._C._DisableTorchDispatch():
            try:
                self._seen.add(softmax.arranged(beside, length))
            except CaptureError as error:
                self._seen.miss(str(error))


_PRODUCTS = frozenset({aten.bmm, aten.baddbmm})

_HIDING = re.compile(
    "flash_?att|flex_attention|efficient_attention|varlen_att|cudnn_attention|fmha|"
    "_scaled_dot_product|_native_multi_head|_transform_encoder_layer"
)


@cache
def _hides_weights(func: Any) -> bool:
    """Whether an operator computes attention in one piece, from the name it goes by."""
    return _HIDING.search(str(func)) is not None
