"""The words for Keras' operations in the vocabulary that all backends share."""

from __future__ import annotations

from typing import Any

from netviz_core.backend_api import word_for

_NAMES_OF_WORD = {
    "divide": "TrueDivide FloorDivide DivideNoNan",
    "matmul": "Dot Inner Vdot Tensordot",
    "concatenate": "Append Hstack Vstack Dstack",
    "split": "Hsplit Vsplit Dsplit ArraySplit",
    "slice": "GetItem Diagonal",
    "gather": "Take TakeAlongAxis",
    "scatter": "ScatterUpdate SliceUpdate",
    "where": "Select",
    "reshape": "View",
    "flatten": "Ravel",
    "transpose": "Swapaxes Moveaxis",
    "broadcast": "BroadcastTo",
    "flip": "Fliplr Flipud",
    "unfold": "ExtractPatches",
    "pad": "PadImages",
    "crop": "CropImages",
    "product": "Prod",
    "max": "Amax Nanmax",
    "min": "Amin Nanmin",
    "mean": "Average Nanmean",
    "sum": "Nansum",
    "variance": "Var Nanvar",
    "std": "Nanstd",
    "cumulative_sum": "Cumsum Nancumsum",
    "maximum": "Fmax",
    "minimum": "Fmin",
    "abs": "Absolute Fabs",
    "cast": "SaturateCast",
    "interpolate": "Resize",
    "fft": "FFT2 RFFT",
    "inverse_fft": "IFFT2 IRFFT",
    "distance": "CDist",
    "attention": "DotProductAttention",
    "pixel_shuffle": "DepthToSpace",
}
"""Keras' names where they are not the words themselves."""

_WORDS = {name: word for word, names in _NAMES_OF_WORD.items() for name in names.split()}
_CONVOLUTIONS = {"Conv": "conv{}d", "DepthwiseConv": "conv{}d", "ConvTranspose": "conv{}d_transpose"}
_MOVING = frozenset("ConvertToTensor Copy StopGradient Identity".split())
_LOOKING = frozenset("EmptyLike FullLike Ndim OnesLike Size ZerosLike".split())


def word_of(operation: Any, rank: int) -> str:
    """The word for an operation on tensors of `rank`; Keras' own name in small letters where there is none."""
    name = type(operation).__name__
    if name in _CONVOLUTIONS:
        return _CONVOLUTIONS[name].format(rank - 2)
    return _WORDS.get(name) or word_for(name) or operation.name.rstrip("0123456789").rstrip("_")


def moves_only(operation: Any) -> bool:
    """Whether an operation returns the same numbers in the same order."""
    return type(operation).__name__ in _MOVING


def only_looks(operation: Any) -> bool:
    """Whether what an operation returns depends on no more than the shape of a tensor."""
    return type(operation).__name__ in _LOOKING
