"""Follows the parts of axes from operation to operation: what a reshape folds together stays known, part by part.

An axis is a row of parts, the outermost first. Each part runs over an origin: the samples of the input, the features
that a layer made, the places of a map, the scores of a query. Splitting and folding axes splits and joins parts, so
that the heads that a model has folded into its batch can be told from the samples.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import torch

aten = torch.ops.aten


@dataclass(eq=False)
class Origin:
    """What made an axis.

    Parameters
    ----------
    kind : str
        ``sample``, ``feature`` (made by weights), ``place`` (on a map), ``given`` (an axis of the input),
        ``choice`` (one of several tensors), or empty where it is not known.
    length : int
    roots : frozenset of int
        The scores to whose axis it belongs, also after a cut, a selection or a concatenation.
    """

    kind: str
    length: int
    roots: frozenset[int] = field(default_factory=frozenset)


class Part(NamedTuple):
    """Every ``stride``-th place of an origin, ``length`` of them."""

    origin: Origin
    stride: int
    length: int


Parts = tuple[Part, ...]
Axes = tuple[Parts, ...]


def whole(kind: str, length: int, roots: frozenset[int] = frozenset()) -> Parts:
    """An axis of which nothing is known but what made it."""
    return () if length == 1 and not roots else (Part(Origin(kind, length, roots), 1, length),)


def kind_of_axis(parts: Parts) -> str:
    """What all parts of an axis are; empty if they differ."""
    kinds = {part.origin.kind for part in parts}
    return kinds.pop() if len(kinds) == 1 else ""


def roots_of(parts: Parts) -> frozenset[int]:
    """The scores to which an axis belongs."""
    return frozenset().union(*(part.origin.roots for part in parts))


def reshaped(axes: Axes, shape: Sequence[int]) -> Axes:
    """The parts of each axis after a reshape; those of axes that cut through parts are not known."""
    waiting = [part for parts in axes for part in parts]
    made: list[Parts] = []
    for length in shape:
        taken: list[Part] = []
        wanted = length
        while waiting and (wanted > 1 or (not taken and waiting[0].length == 1)):
            part = waiting.pop(0)
            if wanted % part.length == 0:
                taken.append(part)
                wanted //= part.length
            elif part.length % wanted == 0:
                inner = part.length // wanted
                taken.append(Part(part.origin, part.stride * inner, wanted))
                waiting.insert(0, Part(part.origin, part.stride, inner))
                wanted = 1
            else:
                return (*made, *(whole("", rest) for rest in shape[len(made) :]))
        made.append(_joined(taken))
    return tuple(made)


def _joined(parts: Sequence[Part]) -> Parts:
    """Parts that lie within each other as they once did are one again."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last is not None and last.origin is part.origin and last.stride == part.stride * part.length:
            joined[-1] = Part(part.origin, part.stride, last.length * part.length)
        else:
            joined.append(part)
    return tuple(joined)


@dataclass
class Lineage:
    """What is known of one tensor.

    Parameters
    ----------
    axes : tuple
        The parts of each axis.
    is_product : bool
        Whether it is one of two values that both depend on the input.
    is_scores : bool
        Whether it descends from a sum of such products, as the scores of queries and keys do.
    is_weights : bool
        Whether it descends from a softmax, or from a curve that was put on scores.
    """

    axes: Axes
    is_product: bool = False
    is_scores: bool = False
    is_weights: bool = False


class LineageFollower:
    """Knows the lineage of the tensors that are alive and depend on the model's input."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], Lineage]] = {}

    def get(self, tensor: Any) -> Lineage | None:
        """What is known of a tensor; None if it does not depend on the input."""
        reference, lineage = self._known.get(id(tensor), (None, None))
        return lineage if reference is not None and reference() is tensor else None

    def set(self, tensor: torch.Tensor, lineage: Lineage) -> None:
        """Say what is known of a tensor."""
        key = id(tensor)
        self._known[key] = weakref.ref(tensor, lambda _: self._known.pop(key, None)), lineage

    def or_unknown(self, tensor: torch.Tensor) -> Lineage:
        """What is known of a tensor, or that nothing is known of its axes."""
        return self.get(tensor) or Lineage(tuple(whole("", length) for length in tensor.shape))

    def after(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Follow one operation."""
        operands = list(_tensors((*args, *kwargs.values())))
        followed = [lineage for tensor in operands if (lineage := self.get(tensor)) is not None]
        if not followed:
            return
        rule = _rule_of(func)
        for place, tensor in enumerate(_tensors(result if isinstance(result, (list, tuple)) else (result,))):
            if (
                not tensor.is_floating_point()
                and rule is _elementwise
                and any(operand.is_floating_point() for operand in operands)
            ):
                continue  # a comparison: what it says is no value
            axes = rule(self, func, args, tensor, place) if rule is not None else None
            if axes is None or len(axes) != tensor.ndim:
                axes = tuple(whole("", length) for length in tensor.shape)
            self.set(tensor, self._descending(func, followed, axes, rule))

    def _descending(self, func: Any, followed: list[Lineage], axes: Axes, rule: Rule | None) -> Lineage:
        is_product = any(one.is_product for one in followed)
        rooted = any(roots_of(parts) for parts in axes)
        if rule in (
            _matrix_product,
            _convolution,
        ):  # a mix of heads leaves what stands along queries and keys
            mixed = followed[0].axes[-1 if rule is _matrix_product else 1]
            keeps = len(followed) == 1 and rooted and not roots_of(mixed)
        else:
            keeps = rule is not None and rule is not _embedding
        return Lineage(
            axes,
            (func.overloadpacket in _MULTIPLYING and len(followed) > 1)
            or (keeps and is_product and rule is not _reduction),
            (rule is _reduction and is_product)
            or ((keeps or rule is None) and any(one.is_scores for one in followed)),
            keeps and rooted and any(one.is_weights for one in followed),
        )

    def merged(self, tensors: Sequence[Any], shape: Sequence[int]) -> Axes | None:
        """The axes of what is made of tensors place by place, by the rules of broadcasting."""
        axes: list[Parts] = [() for _ in shape]
        found = False
        for tensor in tensors:
            lineage = self.get(tensor)
            if lineage is None or tensor.ndim > len(shape):
                continue
            found = True
            for position, parts in enumerate(lineage.axes, start=len(shape) - tensor.ndim):
                if tensor.shape[position - len(shape)] == shape[position]:
                    axes[position] = agreed(axes[position], parts)
        if not found:
            return None
        return tuple(parts or whole("", length) for parts, length in zip(axes, shape, strict=True))


Rule = Callable[[LineageFollower, Any, tuple[Any, ...], torch.Tensor, int], "Axes | None"]


def _tensors(values: Sequence[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def agreed(first: Parts, second: Parts) -> Parts:
    """What two axes that lie on each other are: the one of which more is known."""

    def known(parts: Parts) -> tuple[bool, bool]:
        return bool(roots_of(parts)), all(part.origin.kind for part in parts)

    if not first or not second:
        return first or second
    return second if known(second) > known(first) else first


def cut(parts: Parts, length: int) -> Parts:
    """An axis of another length that was made of this one: its samples are no more than some samples."""
    kind = kind_of_axis(parts)
    return whole("" if kind == "sample" else kind, length, roots_of(parts))


def _axes_of(follower: LineageFollower, tensor: Any) -> Axes | None:
    lineage = follower.get(tensor)
    return lineage.axes if lineage is not None else None


def _elementwise(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    return follower.merged(list(_tensors(args)), output.shape)


def _view(follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes = _axes_of(follower, args[0])
    return reshaped(axes, output.shape) if axes is not None and args[0].numel() == output.numel() else None


def _permute(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    axes = _axes_of(follower, args[0])
    return tuple(axes[position] for position in args[1]) if axes is not None else None


def _transpose(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    axes = list(_axes_of(follower, args[0]) or ())
    first, second = args[1:3] if len(args) > 2 else (0, -1)
    if axes:
        axes[first], axes[second] = axes[second], axes[first]
    return tuple(axes)


def _unsqueeze(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    axes = list(_axes_of(follower, args[0]) or ())
    axes.insert(args[1] % output.ndim, ())
    return tuple(axes)


def _without_axes(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    """`squeeze`, `select` and `unbind`: axes go, and the others stay."""
    axes = _axes_of(follower, args[0]) or ()
    given = args[1] if len(args) > 1 else range(len(axes)) if func.overloadpacket is aten.squeeze else 0
    gone = {dim % len(axes) for dim in (given if isinstance(given, (list, tuple, range)) else [given])}
    if func.overloadpacket is aten.squeeze:
        gone = {dim for dim in gone if args[0].shape[dim] == 1}
    return tuple(parts for position, parts in enumerate(axes) if position not in gone)


def _reduction(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    axes = _axes_of(follower, args[0])
    if axes is None or len(args) < 2 or args[1] is None:
        return None
    gone = {dim % len(axes) for dim in (args[1] if isinstance(args[1], (list, tuple)) else [args[1]])}
    if len(axes) == output.ndim:
        return tuple(() if position in gone else parts for position, parts in enumerate(axes))
    return tuple(parts for position, parts in enumerate(axes) if position not in gone)


def _same_rank(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    """Slices, pads, pooling, selections and repetitions: axes stay, or are cut to another length."""
    axes = _axes_of(follower, args[0])
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


def _cat(follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axis = (args[1] if len(args) > 1 else 0) % output.ndim
    parts = [
        axes[axis] for tensor in args[0] if (axes := _axes_of(follower, tensor)) and len(axes) == output.ndim
    ]
    kinds = {kind_of_axis(one) for one in parts if one} or {""}
    roots = frozenset().union(*map(roots_of, parts))
    shape = [1 if position == axis else length for position, length in enumerate(output.shape)]
    axes = list(follower.merged(args[0], shape) or ())
    if axes:
        kind = kinds.pop() if len(kinds) == 1 else ""
        axes[axis] = whole("" if kind == "sample" else kind, output.shape[axis], roots)
    return tuple(axes)


def _stack(follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axis = (args[1] if len(args) > 1 else 0) % output.ndim
    axes = list(follower.merged(args[0], args[0][0].shape) or ())
    axes.insert(axis, whole("choice", output.shape[axis]))
    return tuple(axes)


def _map(follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    """Features or places made into others: `nn.PixelShuffle`, `nn.Fold`, a map sampled anew."""
    axes = _axes_of(follower, args[0])
    if axes is None:
        return None
    return (
        axes[0],
        whole("feature", output.shape[1]),
        *(whole("place", length) for length in output.shape[2:]),
    )


def _windows(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    """`nn.Unfold`: the features of a window, and the windows."""
    axes = _axes_of(follower, args[0])
    if axes is None or output.ndim != 3:
        return None
    return axes[0], whole("", output.shape[1]), whole("place", output.shape[2])


def _index(follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    axes, indices = _axes_of(follower, args[0]), args[1]
    used = [position for position, index in enumerate(indices) if index is not None]
    if axes is None or len(used) != 1:
        return None
    axis, rank = used[0], indices[used[0]].ndim
    if indices[axis].dtype == torch.bool:
        return None
    chosen = [cut(axes[axis], length) for length in output.shape[axis : axis + rank]]
    return (*axes[:axis], *chosen, *axes[axis + 1 :])


def _embedding(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    axes = _axes_of(follower, args[1])
    return (*axes, whole("feature", output.shape[-1])) if axes is not None else None


def _convolution(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    axes = _axes_of(follower, args[0])
    if axes is None or args[0].ndim != output.ndim:
        return None
    pairs = zip(axes[2:], args[0].shape[2:], output.shape[2:], strict=True)
    # What keeps its length has been padded to; an axis made of others, such as one of scores, stays what it is.
    spatial = [
        parts if old == new and (kind_of_axis(parts) == "place" or roots_of(parts)) else whole("place", new)
        for parts, old, new in pairs
    ]
    return (axes[0], whole("feature", output.shape[1]), *spatial)


def _matrix_product(
    follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int
) -> Axes | None:
    """A product with a value keeps what it has beside the axis that is summed; weights make features."""
    left, right = args[-2:]
    of_left, of_right = _axes_of(follower, left), _axes_of(follower, right)
    rows = of_left[-2] if of_left is not None else whole("feature", output.shape[-2])
    columns = of_right[-1] if of_right is not None else whole("feature", output.shape[-1])
    if output.ndim == 2:
        return rows, columns
    return agreed((of_left or ((),))[0], (of_right or ((),))[0]) or whole("", output.shape[0]), rows, columns


def _fused(follower: LineageFollower, func: Any, args: Any, output: torch.Tensor, place: int) -> Axes | None:
    query, value = _axes_of(follower, args[0]), _axes_of(follower, args[2])
    if place or query is None:
        return None
    return (*query[:-1], value[-1] if value is not None else whole("feature", output.shape[-1]))


_MULTIPLYING = frozenset({aten.mul, aten.mul_})
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
    aten.embedding: _embedding,
    aten.convolution: _convolution,
    **dict.fromkeys((aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias), _view),
    **dict.fromkeys((aten.squeeze, aten.select, aten.unbind), _without_axes),
    **dict.fromkeys((aten.sum, aten.mean, aten.amax, aten.amin, aten.max, aten.logsumexp), _reduction),
    **dict.fromkeys((aten.mm, aten.addmm, aten.bmm, aten.baddbmm), _matrix_product),
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
            aten.lift_fresh, aten.hardswish, aten.hardswish_, aten.hardtanh, aten.hardtanh_, aten.mish, aten.elu, aten.elu_, aten._prelu_kernel, aten.leaky_relu, aten.leaky_relu_, aten.softplus, aten.log_sigmoid_forward, aten.rrelu_with_noise, aten.celu, aten.selu, aten.scatter, aten.scatter_, aten.index_fill, aten.masked_fill, aten.masked_fill_,
        ),
        _elementwise,
    ),
}  # fmt: skip


@cache
def _rule_of(func: Any) -> Rule | None:
    rule = _RULES.get(func.overloadpacket)
    return _elementwise if rule is None and torch.Tag.pointwise in func.tags else rule


def lengths(parts: Sequence[Part]) -> int:
    """How many places some parts have together."""
    return math.prod(part.length for part in parts)
