"""Computes once more, with its weights kept, the attention that PyTorch computes in one piece."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .attention_seen import SeenAttention
from .axis_parts import Axes, Parts, agreed, whole

aten = torch.ops.aten


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
    query, key = args[:2]
    of_query, of_key = (seen.lineages.or_unknown(tensor).axes for tensor in (query, key))
    batch = (agreed(of_query[1], of_key[1]),) if query.ndim == 3 else ()
    with torch._C._DisableTorchDispatch():
        head = whole("feature", weights.shape[-3])
        seen.add(weights, (*batch, head, of_query[0], _of_length(of_key[0], key.shape[0], weights.shape[-1])))


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
    axes = _axes_of_product(seen, query, key)
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
        if weights.ndim != len(axes):
            axes = tuple(whole("", length) for length in weights.shape)
        seen.add(weights, axes)


def _axes_of_product(seen: SeenAttention, query: torch.Tensor, key: torch.Tensor) -> Axes:
    of_query, of_key = (seen.lineages.or_unknown(tensor).axes for tensor in (query, key))
    if len(of_query) != len(of_key):
        return (*of_query[:-1], of_key[-2])
    leading = tuple(
        agreed(mine, theirs) if mine_length == their_length else mine if mine_length > 1 else theirs
        for mine, theirs, mine_length, their_length in zip(
            of_query[:-2], of_key[:-2], query.shape, key.shape, strict=False
        )
    )
    return (*leading, of_query[-2], of_key[-2])


def _of_length(parts: Parts, before: int, length: int) -> Parts:
    return parts if before == length else whole("", length)


_WEIGHTS_OF: dict[Any, Callable[..., None]] = {
    F.multi_head_attention_forward: _multi_head_weights,
    F.scaled_dot_product_attention: _scaled_dot_product_weights,
    aten.scaled_dot_product_attention: _scaled_dot_product_weights,
    aten.scaled_dot_product_attention.default: _scaled_dot_product_weights,
}
