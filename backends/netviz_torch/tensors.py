"""The tensors of PyTorch: what they are, and how they become NumPy."""

from __future__ import annotations

import numpy as np
import torch

from netviz_core.backend_api import UnsupportedError


def is_tensor(value: object) -> bool:
    """Whether `value` is one array of numbers, and not a ragged batch of several."""
    return isinstance(value, torch.Tensor) and not value.is_nested


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether it is inside a ``torch.func`` transform, which hides its values."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def dtype_name(dtype: torch.dtype) -> str:
    """The dtype's name without the framework's: ``float32``."""
    return str(dtype).removeprefix("torch.")


def numpy_bytes(tensor: torch.Tensor) -> int:
    """The size of the array that `to_numpy` makes of a tensor."""
    narrow = tensor.is_floating_point() and tensor.element_size() < 4
    return tensor.numel() * (4 if narrow else tensor.element_size())


_NATIVE_TO_NUMPY = frozenset(
    {torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bool}
    | {
        getattr(torch, name)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    }
)


def as_it_lies(tensor: torch.Tensor) -> np.ndarray:
    """The same as `to_numpy`, read-only, and without a trace: ``Tensor.numpy`` forbids its memory to be resized."""
    tensor = tensor.detach()
    is_numpys = tensor.device.type == "cpu" and tensor.dtype in _NATIVE_TO_NUMPY and not tensor.is_quantized
    if is_numpys and not tensor.is_conj() and not tensor.is_neg():
        return np.from_dlpack(tensor)
    return to_numpy(tensor)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as NumPy, sharing its memory where that is possible.

    Narrow floats become float32, quantized and sparse tensors dense ones.
    """
    tensor = tensor.detach()
    if tensor.is_meta:
        raise UnsupportedError(
            "the tensor is on the meta device and has no values; move the model with to_empty() and load its weights"
        )
    try:
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout != torch.strided:
            tensor = tensor.to_dense()
        if tensor.dtype == torch.complex32:
            tensor = tensor.to(torch.complex64)
        elif tensor.dtype not in _NATIVE_TO_NUMPY:
            tensor = tensor.to(torch.float32)
        return tensor.cpu().resolve_conj().resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        described = f"{type(tensor).__name__} of dtype {dtype_name(tensor.dtype)}"
        raise UnsupportedError(f"a {described} cannot be brought to NumPy: {error}") from error
