"""Names for the axes of what layers return, followed from operation to operation.

A name is known only from the operation that made the axis (a convolution, a recurrent layer)
and is carried through operations whose effect on axes is known. Whatever else happens to a
tensor, its names are forgotten rather than guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from netviz_core.backend_api import SPATIAL_AXES, Book, InputError, Names, reshaped

from .tensors import is_same_view

aten = torch.ops.aten


class AxisFollower(Book[Names]):
    """Knows the names of the axes of the tensors that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: set[tuple[int, ...]] = set()
        self._is_time_first = False

    def note_layers(self, module: nn.Module) -> None:
        """Remember whether a model has layers that say of themselves that samples are not along the first axis."""
        self._is_time_first = any(
            getattr(child, "batch_first", True) is False
            for child in module.modules()
            # Asked in vain, a module takes its time.
            if "batch_first" in vars(child) or hasattr(type(child), "batch_first")
        )

    def note_input(self, tensor: torch.Tensor) -> None:
        """Remember the shape of one of the model's own inputs; of tokens also that they are the samples'.

        Other tokens, such as positions that a model counts itself, are nobody's.
        """
        self._inputs.add(tuple(tensor.shape))
        if tensor.ndim and not tensor.is_floating_point() and self.get(tensor) is None:
            self.note(tensor, self.assumed(tensor))

    def require_batch(self, tensor: torch.Tensor, rank_of_sample: int, remedy: str = "x[None]") -> None:
        """Refuse a model's input, as it was given or changed in its values alone, that has no batch axis.

        Raises
        ------
        InputError
        """
        if (
            tensor.dim() == rank_of_sample
            and tuple(tensor.shape) in self._inputs
            and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        ):
            raise InputError(
                f"the input of shape {tuple(tensor.shape)} has no batch axis: the model takes it for one sample; "
                f"give {remedy}"
            )

    def get(self, tensor: Any) -> Names | None:
        """The names of a tensor's axes, as far as they are known."""
        names = super().get(tensor)
        if (
            names is None
            and isinstance(tensor, torch.Tensor)
            and type(tensor) not in (torch.Tensor, nn.Parameter)
        ):
            return self._of_other_type(tensor)
        return names

    def _of_other_type(self, tensor: torch.Tensor) -> Names | None:
        """The names of a tensor that was given a class of its own, which torch does without an operation."""
        for reference, names in list(self._known.values()):
            known = reference()
            if known is not None and is_same_view(known, tensor):
                return names
        return None

    def axes(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """A name for each axis: its own, or one that says its position."""
        names = self.get(tensor)
        if names is None:
            names = self.assumed(tensor)
        return tuple(name or f"axis{position}" for position, name in enumerate(names))

    def assumed(self, tensor: torch.Tensor) -> Names:
        """The names of axes of which nothing is known: samples come first.

        But for sequences of features or tokens in a model with layers that take steps first: whether they are
        transposed before these layers is known only later.
        """
        rank_of_sequences = 3 if tensor.is_floating_point() else 2
        is_known = not (self._is_time_first and tensor.ndim == rank_of_sequences)
        return (("batch" if is_known else None,) + (None,) * (tensor.ndim - 1)) if tensor.ndim else ()

    def after(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        """Name the result of an operation, if its effect on axes is known."""
        gives_other_axes, rule = _effect_of(func)
        if gives_other_axes:
            self._known.pop(id(result), None)
        if rule is None:
            return
        output = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(output, torch.Tensor):
            names = rule(self, args, output)
            if names is not None and len(names) == output.ndim:
                self.note(output, names)

    def flattened(self, tensor: Any, result: Any, start: int = 0, end: int = -1) -> None:
        """Name the result of ``flatten``, of which the operations below tell no more than the lengths of axes."""
        names = self.get(tensor)
        if names and isinstance(result, torch.Tensor) and result is not tensor:
            merged = _flattened(names, start, end)
            if len(merged) == result.ndim:
                self.note(result, merged)


Rule = Callable[[AxisFollower, tuple[Any, ...], torch.Tensor], Names | None]


def _same_shape(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    """Elementwise operations: what operands of the result's shape know of its axes and none knows otherwise."""
    agreed: Names | None = None
    for operand in args:
        for tensor in operand if isinstance(operand, (list, tuple)) else (operand,):
            names = follower.get(tensor)
            if names is not None and tensor.shape == output.shape:
                agreed = names if agreed is None else _agreed(agreed, names)
    return agreed


def _agreed(first: Names, second: Names) -> Names:
    """Both together; a name that they give to different axes, as an MLP-Mixer makes features of places, is none's."""
    both = tuple(a or b if None in (a, b) or a == b else None for a, b in zip(first, second, strict=True))
    return tuple(None if both.count(name) > 1 else name for name in both)


def _same_rank(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    """Pooling, padding, concatenation: lengths may change, axes do not."""
    first = args[0][0] if isinstance(args[0], (list, tuple)) and args[0] else args[0]
    names = follower.get(first)
    return names if names is not None and len(names) == output.ndim else None


def _convolution(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    return ("batch", "channel", *SPATIAL_AXES[5 - output.ndim :])


def _permute(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    return tuple(names[position] for position in args[1]) if names is not None else None


def _transpose(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    if names is None:
        return None
    swapped = list(names)
    first, second = args[1], args[2]
    swapped[first], swapped[second] = swapped[second], swapped[first]
    return tuple(swapped)


def _t(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    return names[::-1] if names is not None else None


def _view(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    return reshaped(tuple(args[0].shape), names, tuple(output.shape)) if names is not None else None


def _flattened(names: Names, start: int, end: int) -> Names:
    """What ``flatten`` makes of axes: one of which nothing is known, or channels if it is all but the batch."""
    rank = len(names)
    start, end = start % rank, end % rank
    if start == end:
        return names
    if start == 1 and end == rank - 1 and names[0] == "batch" and None not in names:
        return ("batch", "channel")
    return (*names[:start], None, *names[end + 1 :])


def _unsqueeze(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    if names is None:
        return None
    position = args[1] % output.ndim
    return (*names[:position], None, *names[position:])


def _squeeze(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    if names is None or len(args) < 2:
        return None
    dims = {dim % len(names) for dim in (args[1] if isinstance(args[1], (list, tuple)) else [args[1]])}
    gone = {dim for dim in dims if args[0].shape[dim] == 1}
    return tuple(name for position, name in enumerate(names) if position not in gone)


def _reduction(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    if names is None or len(args) < 2 or args[1] is None:
        return None
    if output.ndim == len(names):
        return names
    dims = {dim % len(names) for dim in (args[1] if isinstance(args[1], (list, tuple)) else [args[1]])}
    return tuple(name for position, name in enumerate(names) if position not in dims)


def _select(follower: AxisFollower, args: tuple[Any, ...], output: torch.Tensor) -> Names | None:
    names = follower.get(args[0])
    if names is None:
        return None
    position = args[1] % len(names)
    return (*names[:position], *names[position + 1 :])


_RULES: dict[Any, Rule] = {
    aten.convolution: _convolution,
    aten.permute: _permute,
    aten.transpose: _transpose,
    aten.t: _t,
    aten.view: _view,
    aten._unsafe_view: _view,
    aten.reshape: _view,
    aten._reshape_alias: _view,
    aten.unsqueeze: _unsqueeze,
    aten.squeeze: _squeeze,
    aten.mean: _reduction,
    aten.sum: _reduction,
    aten.amax: _reduction,
    aten.max: _reduction,
    aten.select: _select,
    **dict.fromkeys(
        (
            aten.clone, aten.detach, aten.alias, aten._to_copy, aten.contiguous, aten.native_dropout,
            aten.native_batch_norm, aten._native_batch_norm_legit, aten._native_batch_norm_legit_no_training,
            aten._batch_norm_impl_index, aten.cudnn_batch_norm, aten._batch_norm_with_update,
            aten._batch_norm_no_update, aten.native_layer_norm, aten.native_group_norm, aten._fused_rms_norm,
            aten._softmax, aten._log_softmax, aten.copy_, aten.glu, aten.roll, aten.flip,
        ),
        _same_shape,
    ),
    **dict.fromkeys(
        (
            aten.max_pool2d_with_indices, aten.max_pool3d_with_indices, aten.avg_pool2d, aten.avg_pool3d,
            aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d, aten.adaptive_max_pool2d,
            aten.adaptive_max_pool3d, aten.constant_pad_nd, aten.reflection_pad2d, aten.replication_pad2d,
            aten.upsample_nearest2d, aten.upsample_bilinear2d, aten.upsample_bicubic2d, aten.cat, aten.slice,
            aten.expand, aten.fractional_max_pool2d, aten.pixel_shuffle,
        ),
        _same_rank,
    ),
}  # fmt: skip


@cache
def _effect_of(func: Any) -> tuple[bool, Rule | None]:
    """Whether an operation gives its argument other axes in place, and how the axes of its result are found."""
    rule = _RULES.get(func.overloadpacket)
    if rule is None and torch.Tag.pointwise in func.tags:
        rule = _same_shape
    return torch.Tag.inplace_view in func.tags, rule


def defined_axes(
    module: nn.Module, kind: str, names: Names | None, leaf: str, output: torch.Tensor, assumed: Names
) -> Names | None:
    """The names that a module itself gives to a part of its output, where operations alone do not tell.

    Parameters
    ----------
    module : torch.nn.Module
    kind : str
    names : tuple of str or None
        Those of its first input, if known.
    leaf : str
        Which part of its output, see `netviz_core.backend_api.leaves`.
    output : torch.Tensor
        That part.
    assumed : tuple of str or None
        What its names are as far as nothing else tells them.
    """
    rank = output.ndim
    if kind in _KEEPING_KINDS or type(module).__module__ in _KEEPING_HOMES:
        return names if names is not None and len(names) == rank else None
    if kind == "dense":
        return (*_leading(names if names is not None and len(names) == rank else assumed), "channel")
    if kind == "embedding":
        return (*(names or (None,) * (rank - 1)), "channel")
    if isinstance(module, nn.RNNCellBase):
        return ("batch", "channel") if rank == 2 else ("channel",)
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
        return _sequence_axes(module, leaf, rank)
    if isinstance(module, nn.Flatten) and module.start_dim == 1 and rank == 2:
        return ("batch", "channel")
    return None


def _sequence_axes(module: nn.RNNBase | nn.MultiheadAttention, leaf: str, rank: int) -> Names | None:
    if leaf == "0":
        leading = ("batch", "time") if module.batch_first else ("time", "batch")
        return {3: (*leading, "channel"), 2: ("time", "channel")}.get(rank)
    if leaf == "0.data":
        return (None, "channel")
    if isinstance(module, nn.MultiheadAttention):
        return {4: ("batch", "head", "query", "key"), 3: ("batch", "query", "key"), 2: ("query", "key")}.get(
            rank
        )
    if leaf.startswith("1"):
        return {3: (None, "batch", "channel"), 2: (None, "channel")}.get(rank)
    return None


def _leading(names: Names) -> Names:
    """All names but the last; what was the channel before, as in an MLP-Mixer, is none any more."""
    return tuple(None if name == "channel" else name for name in names[:-1])


_KEEPING_KINDS = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "activation", "dropout", "pool"}
)
_KEEPING_HOMES = frozenset(
    f"torch.nn.modules.{home}" for home in ("padding", "upsampling", "pixelshuffle", "channelshuffle")
)
"""Modules that give their output the axes of their input, whatever operations they are made of."""

_DEFINING_KINDS = _KEEPING_KINDS | {"dense", "embedding", "lstm", "gru", "rnn", "attention", "reshape"}


def defines_axes(module: nn.Module, kind: str) -> bool:
    """Whether `defined_axes` may have something to say of what a module returns."""
    return kind in _DEFINING_KINDS or type(module).__module__ in _KEEPING_HOMES
