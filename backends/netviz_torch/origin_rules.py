"""What PyTorch's operations do to the places of elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch._ops import OpOverload

from netviz_core.backend_api import Origin, Origins, leaves, placing

from .tensors import is_tensor

OriginOfTensor = Callable[[Any], Origin]
Rule = Callable[[Origins, OriginOfTensor, Sequence[Any], list[torch.Tensor]], "list[Origin] | None"]
"""From the origins of arguments to those of results; None where it cannot be said."""


def _as_tensor(ends: np.ndarray[Any, Any]) -> torch.Tensor:
    """The ends of stretches as a tensor; what is repeated without memory stays so."""
    once = tuple(slice(1) if step == 0 else slice(None) for step in ends.strides)
    return torch.from_numpy(np.array(ends[once])).expand(ends.shape)


def written_through(origin: Origin, base: torch.Tensor, written: Origin, view: torch.Tensor) -> Origin:
    """The origin of a tensor after something was written to a view of it."""
    numbers = torch.arange(base.untyped_storage().nbytes() // base.element_size())
    at_base, at_view = (
        numbers.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).numpy().reshape(-1)
        for tensor in (base, view)
    )

    def move(ends: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        memory = np.zeros(len(numbers), np.float32)
        memory[at_base] = ends[0].reshape(-1)
        memory[at_view] = ends[1].reshape(-1)
        return np.reshape(memory[at_base], tuple(base.shape))

    return placing.moved((origin, written), (base.shape, view.shape), move)


def _viewed(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    return [placing.reshaped(of(args[0]), results[0].shape)]


def _restrided(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    """The memory of a tensor seen otherwise."""
    given, made = args[0], results[0]
    origin = of(given)
    if given is made:  # its form before is not known any more
        kept = {key: ends for key, ends in origin.items() if ends.low.shape == made.shape}
        return [kept] if len(kept) == len(origin) else None
    return [written_through({}, made, origin, given)]


def _same(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    """Norms, softmax, copies: each element stays where it is."""
    return [placing.broadcast(of(args[0]), results[0].shape)] if args[0].shape == results[0].shape else None


def _pointwise(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    given = [of(tensor) for _, tensor in leaves(tuple(args), is_tensor)]
    return [placing.joined(filter(None, given), results[0].shape)]


def _copied_into(
    origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]
) -> Any:
    return [placing.joined((of(args[1]),), results[0].shape)]


def _moving(func: Any, *places: int) -> Rule:
    """What only moves elements: done to the places of the arguments at `places` too."""

    def rule(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
        tensors: list[torch.Tensor] = []
        for place in places:
            tensors += args[place] if isinstance(args[place], (list, tuple)) else [args[place]]
        if any(of(part) for part in _others(args, places)):
            return None  # which element goes where depends on the input

        def move(ends: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
            following = iter(map(_as_tensor, ends))
            changed = [
                argument
                if place not in places
                else [next(following) for _ in argument]
                if isinstance(argument, (list, tuple))
                else next(following)
                for place, argument in enumerate(map(_on_cpu, args))
            ]
            done = func(*changed)
            return [tensor.numpy() for tensor in (done if isinstance(done, (list, tuple)) else (done,))]

        return [move_nth(number, tensors, of, move) for number in range(len(results))]

    return rule


def move_nth(
    number: int,
    tensors: Sequence[torch.Tensor],
    of: OriginOfTensor,
    move: Callable[[list[np.ndarray[Any, Any]]], list[np.ndarray[Any, Any]]],
) -> Origin:
    """Where the elements of one of several results lie."""
    return placing.moved(
        list(map(of, tensors)), [tensor.shape for tensor in tensors], lambda ends: move(ends)[number]
    )


def _others(args: Sequence[Any], places: Sequence[int]) -> list[torch.Tensor]:
    rest = tuple(argument for place, argument in enumerate(args) if place not in places)
    return [tensor for _, tensor in leaves(rest, is_tensor)]


def _on_cpu(argument: Any) -> Any:
    if isinstance(argument, torch.Tensor):
        return argument.cpu()
    if isinstance(argument, (list, tuple)) and any(isinstance(part, torch.Tensor) for part in argument):
        return [part.cpu() if isinstance(part, torch.Tensor) else part for part in argument]
    return argument


def _concatenated(
    origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]
) -> Any:
    parts = [part for part in args[0] if tuple(part.shape) != (0,)]
    dim = args[1] if len(args) > 1 else 0
    return [placing.concatenated(list(map(of, parts)), [part.shape for part in parts], dim)]


def _picking(func: OpOverload) -> Rule | None:
    """The largest along an axis, or all in order: values and their indices."""
    arguments = func._schema.arguments
    place = next((place for place, argument in enumerate(arguments) if argument.name == "dim"), None)
    if place is None:
        return _reduced
    if arguments[place].kwarg_only:
        return None  # rules are given what goes by its position

    def rule(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
        given, index = args[0], results[1].cpu()
        dim: Any = args[place] if len(args) > place else arguments[place].default_value
        if index.ndim < given.ndim:
            return [placing.hull(of(given), {dim % given.ndim}, keepdims=False)] * 2
        found = placing.moved(
            [of(given)], [given.shape], lambda ends: _as_tensor(ends[0]).gather(dim, index).numpy()
        )
        return [found, found]

    return rule


def _reduced(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    """Sums, averages, maxima along axes."""
    given, rank = args[0], results[0].ndim
    dims = next((argument for argument in args[1:] if isinstance(argument, (int, list, tuple))), None)
    is_whole = dims is None or dims == [] or isinstance(dims, bool)
    named = range(given.ndim) if is_whole else [dims] if isinstance(dims, int) else dims
    chosen = {dim % given.ndim for dim in named or ()} if given.ndim else set()
    if rank not in (given.ndim, given.ndim - len(chosen)):
        return None
    found = placing.hull(of(given), chosen, keepdims=rank == given.ndim)
    return [found] * len(results)


def _normed(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    """A norm along axes, whose order stands before them."""
    return _reduced(origins, of, (args[0], *args[2:]), results)


def _product(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    left, right = args[-2:]
    if min(left.ndim, right.ndim) < 2:
        return None
    found = placing.multiplied(of(left), of(right), results[0].shape)
    return (
        [placing.joined((found, of(args[0])), results[0].shape)]
        if len(args) == 3 and of(args[0])
        else [found]
    )


def _added_product(
    origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]
) -> Any:
    return _product(origins, of, args[:3], results)


def _linear(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    return [placing.broadcast(placing.hull(of(args[0]), (-1,)), results[0].shape)]


def _attention(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    query, _, value = args[:3]
    rows, rank = results[0].ndim - 2, results[0].ndim
    summed = (
        (-2, -1) if query.shape[:-2] == value.shape[:-2] else (-3, -2, -1)
    )  # values of several heads of queries
    return [
        placing.paired(
            placing.hull(of(query), (-1,)), placing.hull(of(value), summed), {rows}, {rank}, results[0].shape
        )
    ]


def _embedding(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    index = args[1]
    found = placing.moved([of(index)], [index.shape], lambda ends: ends[0][..., np.newaxis])
    return [placing.broadcast(found, results[0].shape)] if not of(args[0]) else None


def _convolution(
    origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]
) -> Any:
    given, made = args[0], results[0]
    if of(args[1]) or given.ndim != made.ndim:
        return None
    found = origins.convolved(of(given), given.shape, made.shape, range(2, made.ndim), channel=1)
    return [found]


def _resized(spatial: int) -> Rule:
    """Pooling and enlarging of the last axes."""

    def rule(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
        given, made = args[0], results[0]
        axes = range(made.ndim - spatial, made.ndim)
        found = origins.convolved(of(given), given.shape, made.shape, axes)
        return [found] * len(results)

    return rule


def _transformed(
    origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]
) -> Any:
    """A Fourier transform along axes."""
    return [placing.broadcast(placing.hull(of(args[0]), args[1]), results[0].shape)]


def _padded(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    return [placing.with_margins(of(args[0]), _margins(args[1], args[0].ndim))]


def _margins(pad: Sequence[int], rank: int) -> list[tuple[int, int]]:
    """What is put before and behind each axis; torch tells of the last axis first."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return [(0, 0)] * (rank - len(pairs)) + pairs


def _windows(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    """Windows of a map, one behind the other."""
    given, kernel, dilation, (down, right), stride = args
    framed = placing.with_margins(of(given), _margins([right, right, down, down], given.ndim))
    shape = (*given.shape[:-2], given.shape[-2] + 2 * down, given.shape[-1] + 2 * right)

    def move(ends: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        return np.asarray(torch.ops.aten.im2col(_as_tensor(ends[0]), kernel, dilation, [0, 0], stride))

    return [placing.moved([framed], [shape], move)]


_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        """
        clone detach alias _to_copy contiguous lift_fresh native_dropout native_batch_norm _native_batch_norm_legit
        _native_batch_norm_legit_no_training _batch_norm_impl_index cudnn_batch_norm _batch_norm_with_update
        _batch_norm_no_update native_layer_norm native_group_norm _fused_rms_norm _softmax _log_softmax cumsum
        """.split(),
        _same,
    ),
    **dict.fromkeys(
        "hardswish hardsigmoid _prelu_kernel prelu masked_fill rrelu_with_noise".split(), _pointwise
    ),
    **dict.fromkeys(
        """
        mean sum amax amin var std var_mean prod any all argmax argmin logsumexp nansum _safe_softmax
        max min nanmean count_nonzero
        """.split(),
        _reduced,
    ),
    **dict.fromkeys("linalg_vector_norm norm".split(), _normed),
    **dict.fromkeys("mm bmm matmul".split(), _product),
    **dict.fromkeys("addmm baddbmm".split(), _added_product),
    **dict.fromkeys(
        """
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable scaled_dot_product_attention
        """.split(),
        _attention,
    ),
    **dict.fromkeys(
        "_adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d max_pool2d_with_indices".split(), _resized(2)
    ),
    **dict.fromkeys("upsample_nearest2d upsample_bilinear2d upsample_bicubic2d".split(), _resized(2)),
    **dict.fromkeys(
        "_upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_nearest_exact2d".split(), _resized(2)
    ),
    **dict.fromkeys("fractional_max_pool2d".split(), _resized(2)),
    **dict.fromkeys(
        "_adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d max_pool3d_with_indices".split(), _resized(3)
    ),
    **dict.fromkeys("upsample_nearest3d upsample_trilinear3d".split(), _resized(3)),
    **dict.fromkeys(
        "avg_pool1d max_pool1d_with_indices upsample_nearest1d upsample_linear1d".split(), _resized(1)
    ),
    **dict.fromkeys("_fft_r2c _fft_c2c _fft_c2r".split(), _transformed),
    "cat": _concatenated,
    "linear": _linear,
    "embedding": _embedding,
    "convolution": _convolution,
    **dict.fromkeys(
        """
        constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
        replication_pad3d
        """.split(),
        _padded,
    ),
    "im2col": _windows,
    "as_strided": _restrided,
    "copy": _copied_into,
}

_MOVING: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        """
        permute transpose t unsqueeze squeeze expand slice select split split_with_sizes unsafe_split
        unsafe_split_with_sizes unbind stack flip roll rot90 repeat index index_select gather unfold diagonal
        pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle repeat_interleave masked_select tril
        triu view_as_real view_as_complex movedim take
        """.split(),
        (0,),
    ),
    "index_put": (0, 2),
    "_unsafe_index": (0,),
    "scatter": (0, 3),
    "slice_scatter": (0, 1),
    "select_scatter": (0, 1),
    "masked_scatter": (0, 2),
}
_PICKING = frozenset("sort topk median mode kthvalue cummax cummin".split())
_VIEWS = frozenset({"view", "_unsafe_view", "reshape", "_reshape_alias"})


def _nothing(origins: Origins, of: OriginOfTensor, args: Sequence[Any], results: list[torch.Tensor]) -> Any:
    """A new tensor of the same form."""
    return [{} for _ in results]


def rule_of(func: OpOverload) -> Rule | None:
    """What an operation does to places; None where it is not known."""
    name = func._schema.name.partition("::")[2]
    if name.startswith("new_") or name.endswith("_like") or name in ("fill_", "zero_"):
        return _nothing
    name = name[:-1] if func._schema.is_mutable and name.endswith("_") else name
    if name in _RULES:
        return _RULES[name]
    if name in _PICKING:
        return _picking(func)
    if torch.Tag.pointwise in func.tags:
        return _pointwise
    if name in _VIEWS and func._overloadname != "dtype":
        return _viewed
    if name in _MOVING:
        overload = func if not func._schema.is_mutable else getattr(torch.ops.aten, name, None)
        return _moving(overload, *_MOVING[name]) if overload is not None else None
    return None
