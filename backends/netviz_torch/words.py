"""The words for PyTorch's functions, methods and operators in the vocabulary that all backends share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from netviz_core.backend_api import word_for

Function = Callable[..., Any]

_NAMES_OF_WORD = {
    "subtract": "sub rsub",
    "multiply": "mul",
    "divide": "div rdiv true_divide truediv rtruediv floor_divide floordiv rfloordiv",
    "matmul": "mm bmm mv dot inner rmatmul baddbmm addbmm vdot",
    "outer": "ger",
    "dense": "linear addmm",
    "concatenate": "cat concat hstack vstack dstack column_stack row_stack",
    "split": "chunk tensor_split split_with_sizes unsafe_chunk unsafe_split hsplit vsplit dsplit",
    "unstack": "unbind",
    "slice": "getitem select narrow diagonal",
    "gather": "index_select take take_along_dim masked_select index",
    "scatter": "setitem index_put index_copy index_add scatter_add copy",
    "where": "masked_fill",
    "reshape": "view view_as reshape_as unsafe_view",
    "flatten": "ravel",
    "expand_dims": "unsqueeze",
    "transpose": "permute swapaxes swapdims movedim moveaxis t T mT H mH adjoint",
    "broadcast": "expand expand_as broadcast_to",
    "tile": "repeat",
    "repeat": "repeat_interleave",
    "crop": "center_crop",
    "flip": "fliplr flipud",
    "unfold": "im2col",
    "fold": "col2im",
    "product": "prod",
    "max": "amax",
    "min": "amin",
    "variance": "var",
    "norm": "linalg_norm linalg_vector_norm vector_norm",
    "cumulative_sum": "cumsum",
    "power": "pow rpow float_power",
    "negative": "neg",
    "sign": "sgn",
    "clip": "clamp clamp_min clamp_max",
    "equal": "eq",
    "not_equal": "ne",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "logical_not": "bitwise_not invert",
    "logical_and": "bitwise_and and rand",
    "logical_or": "bitwise_or or ror",
    "logical_xor": "bitwise_xor xor rxor",
    "interpolate": "upsample upsample_nearest upsample_bilinear",
    "grid_sample": "grid_sampler",
    "dropout": "feature_dropout",
    "attention": "scaled_dot_product_attention multi_head_attention_forward",
    "distance": "cdist pairwise_distance",
    "fft": "fft_fft fft_rfft fft_fft2 fft_rfft2 fft_fftn fft_rfftn",
    "inverse_fft": "fft_ifft fft_irfft fft_ifft2 fft_irfft2 fft_ifftn fft_irfftn",
    "cast": "to type type_as float double half bfloat16 int long short char byte bool to_copy",
}
"""PyTorch's names where they are not the words themselves."""

_WORDS = {name: word for word, names in _NAMES_OF_WORD.items() for name in names.split()}

_MOVING = frozenset(
    """
    detach clone contiguous cpu cuda data alias requires_grad pin_memory positive pos real resolve_conj
    resolve_neg as_subclass lift_fresh copy deepcopy tensor as_tensor
    """.split()
)
"""Functions that return the same numbers in the same order."""


@cache
def name_of(func: Function) -> str:
    """A function's own name, without what marks it as private, special, reflected or in place."""
    name: str = getattr(func, "__name__", "") or type(func).__name__
    if name == "__get__":
        name = func.__self__.__name__  # type: ignore[attr-defined]
    name = name.partition(".")[0]
    stripped = name.strip("_")
    if name.startswith("__i") and stripped[1:] in _WORDS | _ARITHMETIC:
        return stripped[1:]
    return stripped


_ARITHMETIC = dict.fromkeys(("add", "matmul", "pow", "mod"), "")


def word_of(func: Function, args: Sequence[Any]) -> str:
    """The word for an operation; the function's own name where there is none."""
    name = name_of(func)
    if name in ("max", "min") and len(args) > 1 and isinstance(args[1], torch.Tensor):
        return f"{name}imum"
    return _WORDS.get(name) or word_for(name) or name


def only_looks(func: Function) -> bool:
    """Whether a function only looks at the form of a tensor, and makes another of it."""
    name = name_of(func)
    return name.endswith("_like") or name.startswith("new_")


def moves_only(func: Function, given: Sequence[torch.Tensor], results: Sequence[torch.Tensor]) -> bool:
    """Whether a function returned what it was given, at most moved or laid out anew."""
    name = name_of(func)
    if _WORDS.get(name) == "cast":
        return all(tensor.dtype == given[0].dtype for tensor in results)
    return name in _MOVING
