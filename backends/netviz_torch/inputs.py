"""Brings an input to the form that a PyTorch model takes, and says what is wrong with one that does not fit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from netviz_core.backend_api import AxisArray, InputError, UnsupportedError, shown

from .axes import AxisFollower
from .kinds import kind_of
from .tensors import dtype_name, to_numpy
from .weights import weights_of


def check_runnable(module: nn.Module) -> None:
    """Refuse a model that has no numbers to compute with.

    Raises
    ------
    UnsupportedError
    """
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if is_lazy(tensor):
            raise UnsupportedError(
                f"{name!r} is not initialised yet; run the model once on an example input, "
                f"which gives lazy modules their shapes"
            )
        if tensor.is_meta:
            raise UnsupportedError(
                f"{name!r} is on the meta device and has no values; "
                f"move the model with to_empty() and load its weights"
            )


def prepare(module: nn.Module, inputs: Any, follower: AxisFollower) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments for the model.

    NumPy arrays become tensors of the model's floating dtype on its device; tensors stay as they are.
    """
    tensors = chain(module.parameters(), module.buffers())
    reference = next((tensor for tensor in tensors if tensor.is_floating_point()), None)

    def convert(value: Any) -> Any:
        if isinstance(value, AxisArray):
            array = value.canonical()
            tensor = _tensor(array.values, reference)
            follower.name(tensor, array.axes)
            return tensor
        if isinstance(value, np.ndarray):
            return _tensor(value, reference)
        if isinstance(value, list):
            return [convert(part) for part in value]
        if isinstance(value, torch.Tensor) and value.is_inference():
            return value.clone()  # through which nothing could be differentiated
        return value

    if inputs is None or isinstance(inputs, (str, bytes, int, float, complex)):
        raise InputError(
            f"{shown(inputs)} was given as input; give an array or a tensor, or a tuple or dict of them"
        )
    if isinstance(inputs, Mapping):  # what a tokenizer of Hugging Face returns is no dict
        converted = {key: convert(value) for key, value in inputs.items()}
        return ((), converted) if _takes_keywords(module, converted) else ((converted,), {})
    if isinstance(inputs, tuple):
        _require_places(module, len(inputs))
        return tuple(convert(part) for part in inputs), {}
    return (convert(inputs),), {}


def images_in(inputs: Any) -> AxisArray | None:
    """The batch of images among a model's inputs, see `netviz_core.backend_api.SupportsImages`."""
    if isinstance(inputs, Mapping):
        inputs = tuple(inputs.values())
    if isinstance(inputs, (tuple, list)):
        return next((found for part in inputs if (found := images_in(part)) is not None), None)
    if isinstance(inputs, AxisArray):
        return inputs if {"batch", "y", "x"} <= set(inputs.axes) else None
    if isinstance(inputs, (np.ndarray, torch.Tensor)) and inputs.ndim == 4 and inputs.shape[1] in (1, 3, 4):
        values = to_numpy(inputs) if isinstance(inputs, torch.Tensor) else inputs
        return AxisArray(np.array(values), ("batch", "channel", "y", "x"))
    return None


def _tensor(values: np.ndarray, reference: torch.Tensor | None) -> torch.Tensor:
    try:
        # A copy, so that a model that works in place does not write into the caller's array.
        tensor = torch.from_numpy(np.array(values, values.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise InputError(
            f"an array of dtype {values.dtype} was given as input, which torch does not know"
        ) from error
    if reference is None:
        return tensor
    return tensor.to(reference.device, reference.dtype if tensor.is_floating_point() else tensor.dtype)


def _require_places(module: nn.Module, count: int) -> None:
    try:
        signature = inspect.signature(module.forward)
        signature.bind(*range(count))
    except TypeError:
        raise InputError(f"{count} inputs were given; the model's forward takes {signature}") from None
    except ValueError:
        return  # a forward without a signature, as that of a scripted module


def _takes_keywords(module: nn.Module, values: dict[Any, Any]) -> bool:
    try:
        inspect.signature(module.forward).bind(**values)
    except (TypeError, ValueError):
        return False
    return True


def explain(error: Exception, module: nn.Module, arguments: tuple[Any, ...]) -> InputError | None:
    """Say where a pass failed: as an `InputError` if the model's own input is to blame.

    Otherwise the error is given a note that names the layer, and is left as it is.
    """
    failed = _innermost(error.__traceback__, module)
    if failed is None:
        return None
    path, layer, received = failed
    kernel = weights_of(layer, kind_of(layer)).get("kernel")
    shapes = ", ".join(_described(argument) for argument in arguments if isinstance(argument, torch.Tensor))
    where = f"layer {path!r} ({kind_of(layer)})"
    if kernel is not None and received is not None and any(received is argument for argument in arguments):
        expected = _expected(kernel.axes, kernel.shape, layer)
        if expected:
            reason = str(error).partition("\n")[0]
            return InputError(f"the input is {_described(received)}; {where} takes {expected}: {reason}")
    given = f"received {_described(received)}; " if received is not None else ""
    error.add_note(f"netviz: raised in {where}, which {given}the model's input was {shapes or 'no tensor'}")
    return None


def _innermost(traceback: TracebackType | None, module: nn.Module) -> tuple[str, nn.Module, Any] | None:
    """The innermost of the model's modules whose forward was running, its path and its first argument."""
    paths = {id(child): path for path, child in module.named_modules()}
    found = None
    for frame in _frames(traceback):
        child = frame.f_locals.get("self")
        if frame.f_code.co_name == "forward" and isinstance(child, nn.Module) and id(child) in paths:
            names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
            received = next(
                (frame.f_locals[n] for n in names if isinstance(frame.f_locals.get(n), torch.Tensor)), None
            )
            found = paths[id(child)], child, received
    return found


def _frames(traceback: TracebackType | None) -> Iterator[Any]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _expected(axes: tuple[str, ...], shape: tuple[int, ...], layer: nn.Module) -> str:
    sizes = dict(zip(axes, shape, strict=True))
    if "in" not in sizes:
        return ""
    channels = sizes["in"] * getattr(layer, "groups", 1)
    spatial = "".join(f", {axis}" for axis in axes if axis in ("z", "y", "x"))
    return f"(batch, channel={channels}{spatial}) {str(layer.weight.dtype).removeprefix('torch.')}"


def _described(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {dtype_name(tensor.dtype)}"
