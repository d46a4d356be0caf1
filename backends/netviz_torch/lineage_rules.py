"""What each operator does to the parts of axes. Of one that has no rule here, nothing is known afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch

from .axis_parts import Axes, Parts, agreed, cut, kind_of_axis, reshaped, roots_of, whole

aten = torch.ops.aten

AxesOf = Callable[[Any], "Axes | None"]
"""The axes of a tensor, or None if it does not depend on the input."""

Rule = Callable[[AxesOf, Any, tuple[Any, ...], torch.Tensor, int], "Axes | None"]
"""The axes of one result of an operator: given its arguments, the result, and which of the results it is."""


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """The tensors of a structure."""
    if isinstance(values, torch.Tensor):
        if not values.is_nested:
            yield values
    elif isinstance(values, (list, tuple)):
        for part in values:
            yield from tensors_in(part)
    elif isinstance(values, dict):
        yield from tensors_in(list(values.values()))


def merged(axes_of: AxesOf, tensors: Sequence[torch.Tensor], shape: Sequence[int]) -> Axes | None:
    """The axes of what is made of tensors place by place, by the rules of broadcasting."""
    found: list[Parts] = [() for _ in shape]
    is_known = False
    for tensor in tensors:
        axes = axes_of(tensor)
        if axes is None or tensor.ndim > len(shape):
            continue
        is_known = True
        for position, parts in enumerate(axes, start=len(shape) - tensor.ndim):
            if tensor.shape[position - len(shape)] == shape[position]:
                found[position] = agreed(found[position], parts)
    if not is_known:
        return None
    return tuple(parts or whole("", length) for parts, length in zip(found, shape, strict=True))


def elementwise(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    return merged(axes_of, list(tensors_in(args)), output.shape)


def _view(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = axes_of(args[0])
    return reshaped(axes, output.shape) if axes is not None and args[0].numel() == output.numel() else None


def _permute(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = axes_of(args[0])
    return tuple(axes[position] for position in args[1]) if axes is not None else None


def _transpose(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = list(axes_of(args[0]) or ())
    first, second = args[1:3] if len(args) > 2 else (0, -1)
    if axes:
        axes[first], axes[second] = axes[second], axes[first]
    return tuple(axes)


def _unsqueeze(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = list(axes_of(args[0]) or ())
    axes.insert(args[1] % output.ndim, ())
    return tuple(axes)


def _without_axes(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    """`squeeze`, `select` and `unbind`: axes go, and the others stay."""
    axes = axes_of(args[0]) or ()
    given = args[1] if len(args) > 1 else range(len(axes)) if func.overloadpacket is aten.squeeze else 0
    gone = {dim % len(axes) for dim in (given if isinstance(given, (list, tuple, range)) else [given])}
    if func.overloadpacket is aten.squeeze:
        gone = {dim for dim in gone if args[0].shape[dim] == 1}
    return tuple(parts for position, parts in enumerate(axes) if position not in gone)


def reduction(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = axes_of(args[0])
    if axes is None or len(args) < 2 or args[1] is None:
        return None
    gone = {dim % len(axes) for dim in (args[1] if isinstance(args[1], (list, tuple)) else [args[1]])}
    if len(axes) == output.ndim:
        return tuple(() if position in gone else parts for position, parts in enumerate(axes))
    return tuple(parts for position, parts in enumerate(axes) if position not in gone)


def _same_rank(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    """Slices, pads, pooling, selections and repetitions: axes stay, or are cut to another length."""
    axes = axes_of(args[0])
    if axes is None or len(axes) > output.ndim:
        return None
    axes = (*(() for _ in range(output.ndim - len(axes))), *axes)
    before = (1,) * (output.ndim - args[0].ndim) + tuple(args[0].shape)
    moved = _moved_axes(func, args, output.ndim)
    return tuple(
        parts if length == old and position not in moved else cut(parts, length)
        for position, (parts, old, length) in enumerate(zip(axes, before, output.shape, strict=True))
    )


def _moved_axes(func: Any, args: Any, rank: int) -> set[int]:
    """The axes along which an operation puts places into another order."""
    position = _MOVING.get(func.overloadpacket)
    if position is None or len(args) <= position:
        return set() if position is None else {rank - 1}
    dims = args[position] if isinstance(args[position], (list, tuple)) else [args[position]]
    return {dim % rank for dim in dims}


def _cat(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axis = (args[1] if len(args) > 1 else 0) % output.ndim
    parts = [axes[axis] for tensor in args[0] if (axes := axes_of(tensor)) and len(axes) == output.ndim]
    kinds = {kind_of_axis(one) for one in parts if one} or {""}
    roots = frozenset().union(*map(roots_of, parts))
    shape = [1 if position == axis else length for position, length in enumerate(output.shape)]
    made = list(merged(axes_of, args[0], shape) or ())
    if made:
        kind = kinds.pop() if len(kinds) == 1 else ""
        made[axis] = whole("" if kind == "sample" else kind, output.shape[axis], roots)
    return tuple(made)


def _stack(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axis = (args[1] if len(args) > 1 else 0) % output.ndim
    axes = list(merged(axes_of, args[0], args[0][0].shape) or ())
    axes.insert(axis, whole("choice", output.shape[axis]))
    return tuple(axes)


def _map(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    """Features or places made into others: `nn.PixelShuffle`, `nn.Fold`, a map sampled anew."""
    axes = axes_of(args[0])
    if axes is None:
        return None
    return (
        axes[0],
        whole("feature", output.shape[1]),
        *(whole("place", length) for length in output.shape[2:]),
    )


def _windows(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    """`nn.Unfold`: the features of a window, and the windows."""
    axes = axes_of(args[0])
    if axes is None or output.ndim != 3:
        return None
    return axes[0], whole("", output.shape[1]), whole("place", output.shape[2])


def _index(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes, indices = axes_of(args[0]), args[1]
    used = [position for position, index in enumerate(indices) if index is not None]
    if axes is None or len(used) != 1:
        return None
    axis, rank = used[0], indices[used[0]].ndim
    if indices[axis].dtype == torch.bool:
        return None
    chosen = [cut(axes[axis], length) for length in output.shape[axis : axis + rank]]
    return (*axes[:axis], *chosen, *axes[axis + 1 :])


def embedding(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = axes_of(args[1])
    return (*axes, whole("feature", output.shape[-1])) if axes is not None else None


def convolution(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = axes_of(args[0])
    if axes is None or args[0].ndim != output.ndim:
        return None
    pairs = zip(axes[2:], args[0].shape[2:], output.shape[2:], strict=True)
    # What keeps its length has been padded to; an axis made of others, such as one of scores, stays what it is.
    spatial = [
        parts if old == new and (kind_of_axis(parts) == "place" or roots_of(parts)) else whole("place", new)
        for parts, old, new in pairs
    ]
    return (axes[0], whole("feature", output.shape[1]), *spatial)


def matrix_product(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    """A product with a value keeps what it has beside the axis that is summed; weights make features."""
    left, right = args[-2:]
    of_left, of_right = axes_of(left), axes_of(right)
    rows = of_left[-2] if of_left is not None else whole("feature", output.shape[-2])
    columns = of_right[-1] if of_right is not None else whole("feature", output.shape[-1])
    if output.ndim == 2:
        return rows, columns
    return agreed((of_left or ((),))[0], (of_right or ((),))[0]) or whole("", output.shape[0]), rows, columns


def _fused(axes_of: AxesOf, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    query, value = axes_of(args[0]), axes_of(args[2])
    if place or query is None:
        return None
    return (*query[:-1], value[-1] if value is not None else whole("feature", output.shape[-1]))


_MOVING = {aten.roll: 2, aten.flip: 1, aten.gather: 1, aten.index_select: 1, aten.topk: 2, aten.sort: 1}

_RULES: dict[Any, Rule] = {
    aten.permute: _permute,
    aten.transpose: _transpose,
    aten.t: _transpose,
    aten.unsqueeze: _unsqueeze,
    aten.cat: _cat,
    aten.stack: _stack,
    aten.im2col: _windows,
    **dict.fromkeys(
        (aten.col2im, aten.pixel_shuffle, aten.pixel_unshuffle, aten.grid_sampler_2d, aten.grid_sampler_3d), _map
    ),
    aten.index: _index,
    aten.embedding: embedding,
    aten.convolution: convolution,
    **dict.fromkeys((aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias), _view),
    **dict.fromkeys((aten.squeeze, aten.select, aten.unbind), _without_axes),
    **dict.fromkeys((aten.sum, aten.mean, aten.amax, aten.amin, aten.max, aten.logsumexp), reduction),
    **dict.fromkeys((aten.mm, aten.addmm, aten.bmm, aten.baddbmm), matrix_product),
    **dict.fromkeys(
        (
            aten._scaled_dot_product_flash_attention_for_cpu, aten._scaled_dot_product_flash_attention,
            aten._scaled_dot_product_efficient_attention, aten._scaled_dot_product_cudnn_attention,
        ),
        _fused,
    ),
    **dict.fromkeys(
        (
            aten.slice, aten.split, aten.split_with_sizes, aten.expand, aten.repeat, aten.constant_pad_nd,
            aten.roll, aten.flip, aten.gather, aten.index_select, aten.topk, aten.sort,
            aten.max_pool2d_with_indices, aten.avg_pool2d, aten._adaptive_avg_pool2d, aten.max_pool1d,
            aten.avg_pool1d, aten.upsample_nearest2d, aten.upsample_bilinear2d, aten.upsample_bicubic2d,
        ),
        _same_rank,
    ),
    **dict.fromkeys(
        (
            aten.clone, aten.detach, aten.alias, aten._to_copy, aten.contiguous, aten.native_dropout, aten.copy_,
            aten.native_batch_norm, aten._native_batch_norm_legit_no_training, aten.cudnn_batch_norm,
            aten._batch_norm_no_update, aten.native_layer_norm, aten.native_group_norm, aten._fused_rms_norm,
            aten._softmax, aten._log_softmax, aten.cumsum, aten.tril, aten.triu, aten._safe_softmax,
            aten.lift_fresh, aten.hardswish, aten.hardswish_, aten._prelu_kernel, aten.log_sigmoid_forward,
            aten.rrelu_with_noise, aten.masked_scatter,
            aten.scatter, aten.scatter_, aten.index_fill, aten.masked_fill, aten.masked_fill_,
        ),
        elementwise,
    ),
}  # fmt: skip


@cache
def rule_of(func: Any) -> Rule | None:
    """What an operator does to axes, if that is known."""
    rule = _RULES.get(func.overloadpacket)
    return elementwise if rule is None and torch.Tag.pointwise in func.tags else rule
