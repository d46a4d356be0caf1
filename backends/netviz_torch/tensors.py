"""The tensors of PyTorch, of any form: what memory they have, and the numbers that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch

from netviz_core.backend_api import UnsupportedError

from .unwrap import loaded_class


def is_tensor(value: object) -> bool:
    """Whether `value` is one array of numbers, and not a ragged batch of several."""
    return isinstance(value, torch.Tensor) and not value.is_nested


def is_array(value: object) -> bool:
    """Whether a value is a tensor, or NumPy's numbers, which a model may return, too."""
    return is_tensor(value) or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc")


def has_memory(tensor: torch.Tensor) -> bool:
    """Whether a tensor's numbers lie in memory of its own, rather than in that of others that it wraps."""
    return (
        tensor.layout == torch.strided
        and type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
        and not is_transformed(tensor)
    )


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether it is inside a ``torch.func`` transform, which hides its values."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def with_memory(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensors in whose memory the numbers lie: itself, or those that it wraps, as far as they are known."""
    if has_memory(tensor):
        yield tensor
    elif tensor.layout == torch.sparse_coo:
        yield tensor._values()
    elif tensor.layout in SPARSE:
        yield tensor.values()
    elif not is_transformed(tensor):
        for part in vars(tensor).values():
            if isinstance(part, torch.Tensor):
                yield from with_memory(part)


SPARSE = frozenset({torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})
"""The layouts of tensors that keep their values apart from the places at which these stand."""


def own_memory(tensor: torch.Tensor) -> int:
    """The memory of a tensor that has some."""
    return int(tensor.untyped_storage()._cdata)


def memory_of(tensor: torch.Tensor) -> int:
    """What a tensor has in common with all others that share its memory."""
    within = tensor if has_memory(tensor) else next(with_memory(tensor), None)
    return -id(tensor) if within is None else own_memory(within)


def is_same_view(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors are the same numbers of the same memory, place by place."""
    return has_memory(left) and has_memory(right) and is_same_place(left, right)


def is_same_place(left: torch.Tensor, right: torch.Tensor) -> bool:
    """The same of two tensors that have memory."""
    if left.dtype != right.dtype:
        return False
    if left.is_quantized:
        places = [(memory_of(one), one.storage_offset(), one.shape, one.stride()) for one in (left, right)]
        return places[0] == places[1]
    return left.is_set_to(right) and left.is_conj() == right.is_conj() and left.is_neg() == right.is_neg()


@cache
def dtype_name(dtype: torch.dtype) -> str:
    """The dtype's name without the framework's: ``float32``."""
    return str(dtype).removeprefix("torch.")


NATIVE_TO_NUMPY = frozenset(
    {torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bool}
    | {
        getattr(torch, name)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    }
)


def numpy_bytes(tensor: torch.Tensor) -> int:
    """The size of the array that `to_numpy` makes."""
    if tensor.dtype in NATIVE_TO_NUMPY:
        return tensor.numel() * tensor.element_size()
    return tensor.numel() * (8 if tensor.is_complex() else 4)


def as_it_lies(tensor: torch.Tensor) -> np.ndarray:
    """The same as `to_numpy`, read-only, and without a trace: ``Tensor.numpy`` forbids its memory to be resized."""
    if has_memory(tensor) and tensor.device.type == "cpu" and tensor.dtype in NATIVE_TO_NUMPY:
        tensor = tensor.detach()
        if not tensor.is_conj() and not tensor.is_neg():
            return np.from_dlpack(tensor)
    return to_numpy(tensor)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as NumPy, sharing its memory where that is possible.

    Narrow floats become float32, quantized and sparse tensors dense ones, those that wrap others what they
    stand for.

    Raises
    ------
    UnsupportedError
        If it does not tell its numbers.
    """
    require_numbers(tensor)
    described = f"a {type(tensor).__name__} of dtype {dtype_name(tensor.dtype)}"
    try:
        if tensor.layout == torch.strided and not has_memory(tensor):
            tensor = told_by(tensor)
        tensor = tensor.detach()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout != torch.strided:
            tensor = tensor.to_dense()
        if tensor.dtype == torch.complex32:
            tensor = tensor.to(torch.complex64)
        elif tensor.dtype not in NATIVE_TO_NUMPY:
            tensor = tensor.to(torch.float32)
        return tensor.cpu().resolve_conj().resolve_neg().numpy()
    except Exception as error:  # whatever another library's tensor makes of being read
        reason = str(error).partition("\n")[0]
        raise UnsupportedError(f"{described} cannot be brought to NumPy: {reason}") from error


def require_numbers(tensor: torch.Tensor) -> None:
    """Refuse a tensor of which there is no array, before anything is done with it.

    Raises
    ------
    UnsupportedError
    """
    if is_transformed(tensor):
        raise UnsupportedError("it ran inside a torch.func transform, which hides its values")
    if tensor.is_meta:
        raise UnsupportedError(
            "the tensor is on the meta device and has no values; move the model with to_empty() and load its weights"
        )
    if tensor.is_nested:
        raise UnsupportedError("the tensor is ragged (nested), which no array can be")
    dtype = tensor.dtype
    is_narrow = dtype.is_floating_point and "float4" not in dtype_name(dtype)
    if dtype not in NATIVE_TO_NUMPY and not (is_narrow or dtype.is_complex or tensor.is_quantized):
        raise UnsupportedError(
            f"the tensor is of dtype {dtype_name(dtype)}, whose numbers PyTorch does not tell"
        )


def told_by(tensor: torch.Tensor) -> torch.Tensor:
    """What a tensor that wraps others stands for, as an ordinary one; only the tensor itself knows."""
    if is_distributed(tensor):
        return _held_here(tensor)
    reason = ""
    for way in (_dequantized, _copied, _converted):
        try:
            with torch.no_grad(), torch._C._EnableTorchFunction():  # hooks run without
                told = way(tensor)
        except Exception as error:  # whatever another library's tensor makes of being asked
            reason = reason or f": {str(error).partition(chr(10))[0]}"
            continue
        if told is not None and has_memory(told) and not told.is_meta and told.shape == tensor.shape:
            return told
    raise UnsupportedError(f"it does not tell which numbers it stands for{reason}")


def is_distributed(tensor: torch.Tensor) -> bool:
    """Whether it may be spread over processes."""
    return isinstance(tensor, loaded_class("torch.distributed.tensor", "DTensor"))


def _dequantized(tensor: torch.Tensor) -> torch.Tensor | None:
    knows_how = type(tensor).dequantize is not torch.Tensor.dequantize
    return tensor.dequantize() if knows_how else None


def _copied(tensor: torch.Tensor) -> torch.Tensor | None:
    """What the tensor's own operations see. Twice, since with some nothing at all is written."""
    told, again = (
        torch.full(tensor.shape, fill, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
        for fill in (0, 1)
    )
    if not has_memory(told) or not has_memory(again):
        return None
    is_certain = np.array_equal(to_numpy(told), to_numpy(again), equal_nan=True)
    return told if is_certain else None


def _converted(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.to(torch.float64).to(tensor.dtype) if tensor.is_floating_point() else None


def _held_here(tensor: Any) -> torch.Tensor:
    """A distributed tensor, if this process holds all of it: to gather it, all processes would have to take part."""
    mesh = tensor.device_mesh
    if mesh.size() > 1 and not all(placement.is_replicate() for placement in tensor.placements):
        raise UnsupportedError(
            f"it is spread over {mesh.size()} processes, of which this one holds a part; gather it in all of them "
            f"with full_tensor(), or the model's weights with "
            f"torch.distributed.checkpoint.state_dict.get_model_state_dict"
        )
    local: torch.Tensor = tensor.to_local()
    return local if has_memory(local) else told_by(local)
