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
from torch.nn.utils.rnn import PackedSequence

from netviz_core.backend_api import (
    AxisArray,
    InputError,
    NetvizError,
    UnsupportedError,
    entries_of,
    is_array,
    remedy,
    require_input,
)

from .axes import AxisFollower
from .kinds import kind_of, own_tensors
from .tensors import dtype_name, to_numpy
from .weights import weights_of


def check_runnable(module: nn.Module) -> None:
    """Refuse a model whose weights have no shapes yet.

    Raises
    ------
    UnsupportedError
    """
    if not any(map(is_lazy, chain.from_iterable(map(own_tensors, module.modules())))):
        return
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if is_lazy(tensor):
            raise UnsupportedError(
                f"{name!r} is not initialised yet; run the model once on an example input, "
                f"which gives lazy modules their shapes"
            )


def prepare(module: nn.Module, inputs: Any, follower: AxisFollower) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments for the model.

    NumPy arrays become tensors of the model's floating dtype on its device; tensors stay as they are. A list is one
    input, as of pictures of any size, unless the model's forward takes its parts and not the list.
    """
    tensors = chain(module.parameters(), module.buffers())
    # Weights on the meta device may be brought from elsewhere while the model runs.
    reference = next(
        (tensor for tensor in tensors if tensor.is_floating_point() and not tensor.is_meta), None
    )

    def convert(value: Any) -> Any:
        if isinstance(value, AxisArray):
            array = value.canonical()
            tensor = _tensor(array.values, reference)
            follower.name(tensor, array.axes)
            return tensor
        if isinstance(value, np.ndarray) or _is_foreign(value):
            return _tensor(np.asarray(value), reference)
        if isinstance(value, list):
            return [convert(part) for part in value]
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(convert, value))
        if isinstance(value, torch.Tensor) and value.is_inference():
            return value.clone()  # through which nothing could be differentiated
        return value

    require_input(inputs)
    follower.note_layers(module)
    if isinstance(inputs, Mapping):  # what a tokenizer of Hugging Face returns is no dict
        converted = {key: convert(value) for key, value in inputs.items()}
        for part in converted.values():
            if isinstance(part, torch.Tensor):
                follower.note_input(part)
        return ((), converted) if _takes(module, **converted) else ((converted,), {})
    if isinstance(inputs, PackedSequence):
        raise InputError(
            "a PackedSequence was given as input, of which no axis is that of the samples; give them padded, and let a "
            "module of yours pack them"
        )
    parts = (inputs,) if _is_one(module, inputs) else tuple(inputs)
    _require_places(module, len(parts))
    args = tuple(map(convert, parts))
    for part in args:
        if isinstance(part, torch.Tensor):
            follower.note_input(part)
    return args, {}


def images_in(inputs: Any) -> AxisArray | None:
    """The batch of images among a model's inputs, see `netviz_core.backend_api.SupportsImages`."""
    if isinstance(inputs, Mapping):
        inputs = tuple(inputs.values())
    if isinstance(inputs, (tuple, list)):
        return next((found for part in inputs if (found := images_in(part)) is not None), None)
    if isinstance(inputs, AxisArray):
        return inputs if {"batch", "y", "x"} <= set(inputs.axes) else None
    inputs = np.asarray(inputs) if _is_foreign(inputs) else inputs
    if isinstance(inputs, (np.ndarray, torch.Tensor)) and inputs.ndim == 4 and inputs.shape[1] in (1, 3, 4):
        values = to_numpy(inputs) if isinstance(inputs, torch.Tensor) else inputs
        return AxisArray(np.array(values), ("batch", "channel", "y", "x"))
    return None


def _is_foreign(value: Any) -> bool:
    """Whether this is an array of another package: a table, or another framework's tensor."""
    return not isinstance(value, torch.Tensor) and is_array(value) and hasattr(value, "__array__")


def _tensor(values: np.ndarray, reference: torch.Tensor | None) -> torch.Tensor:
    try:
        # A copy, so that a model that works in place does not write into the caller's array.
        tensor = torch.from_numpy(np.array(values, values.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise InputError(
            f"an array of {entries_of(values.dtype)} was given as input; give integers, floats or booleans"
        ) from error
    if reference is None:
        return tensor
    return tensor.to(reference.device, reference.dtype if tensor.is_floating_point() else tensor.dtype)


def _is_one(module: nn.Module, inputs: Any) -> bool:
    """Whether this is what the model takes as a whole: of a list or a tuple with names its forward tells."""
    if isinstance(inputs, list):
        return _takes(module, inputs) or not _takes(module, *inputs)
    if hasattr(inputs, "_fields"):
        try:
            _require_places(module, len(inputs))
        except InputError:
            return True
    return not isinstance(inputs, tuple)


def _require_places(module: nn.Module, count: int) -> None:
    try:
        signature = inspect.signature(module.forward)
        signature.bind(*range(count))
    except TypeError:
        given = "one input was" if count == 1 else f"{count} inputs were"
        raise InputError(f"{given} given; the model's forward takes {signature}") from None
    except ValueError:
        return  # a forward without a signature, as that of a scripted module


def _takes(module: nn.Module, *args: Any, **kwargs: Any) -> bool:
    try:
        inspect.signature(module.forward).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True


def explain(error: Exception, module: nn.Module, arguments: tuple[Any, ...]) -> NetvizError | None:
    """Say where a pass failed: as an error of netviz' own if the model's input or missing weights are to blame.

    Otherwise the error is given a note that names the layer, and is left as it is.
    """
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_meta:
            return UnsupportedError(
                f"{name!r} is on the meta device and has no values; move the model with to_empty() and load its "
                f"weights, or give inputs on that device, of which shapes alone are known"
            )
    places = {tensor.device.type for tensor in chain(module.parameters(), module.buffers())}
    elsewhere = [
        value for value in arguments if isinstance(value, torch.Tensor) and value.device.type not in places
    ]
    if places and elsewhere:
        return InputError(
            f"the input is on the device {str(elsewhere[0].device)!r}, the model on {' and '.join(sorted(places))}; "
            f"bring one to the other with .to(device)"
        )
    failed = _innermost(error.__traceback__, module)
    if failed is None:
        return None
    path, layer, received, first = failed
    kernel = weights_of(layer, kind_of(layer)).get("kernel")
    shapes = ", ".join(_described(argument) for argument in arguments if isinstance(argument, torch.Tensor))
    where = f"layer {path!r} ({kind_of(layer)})"
    if received is not None and any(received is argument for argument in arguments):
        reason = str(error).partition("\n")[0][:200].rstrip(" .:;")
        if isinstance(layer, nn.Embedding):
            return InputError(f"the input is {_described(received)}; {where} takes {_ids(received, layer)}")
        expected, wanted = _expected(kernel.axes, kernel.shape, layer) if kernel is not None else ("", ())
        if expected:
            told = _remedy(received, wanted, layer.weight.dtype) or f": {reason}"
            return InputError(f"the input is {_described(received)}; {where} takes {expected}{told}")
        if type(layer).__module__.startswith("torch.nn.modules."):
            return InputError(f"the input is {_described(received)}, which {where} does not take: {reason}")
    is_no_tensor = received is None and any(first is argument for argument in arguments)
    if is_no_tensor and isinstance(first, Mapping) and isinstance(error, (TypeError, AttributeError)):
        return InputError(
            f"the inputs given are named {', '.join(map(repr, first))}, or are one dict; the model's forward takes "
            f"{inspect.signature(module.forward)}"
        )
    if is_no_tensor and isinstance(error, (TypeError, AttributeError)):
        return InputError(
            f"the input is {_in_words(first)}, which {where} does not take; give one array or tensor, or, to a model "
            f"of several inputs, a tuple of them"
        )
    given = f"received {_described(received)}; " if received is not None else ""
    error.add_note(f"netviz: raised in {where}, which {given}the model's input was {shapes or 'no tensor'}")
    return None


def _ids(received: torch.Tensor, layer: nn.Embedding) -> str:
    """What an embedding takes, and what else it was given."""
    taken = f"whole numbers from 0 to {layer.num_embeddings - 1}"
    if received.is_floating_point() or received.is_complex():
        return f"{taken}; give x.astype('int64'), or x.long()"
    outside = received[(received < 0) | (received >= layer.num_embeddings)]
    return f"{taken}, and {int(outside[0])} is among them" if outside.numel() else taken


def _innermost(traceback: TracebackType | None, module: nn.Module) -> tuple[str, nn.Module, Any, Any] | None:
    """The innermost of the model's modules whose forward was running, its first tensor and its first argument."""
    paths = {id(child): path for path, child in module.named_modules()}
    found = None
    for frame in _frames(traceback):
        child = frame.f_locals.get("self")
        if frame.f_code.co_name == "forward" and isinstance(child, nn.Module) and id(child) in paths:
            names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
            received = next(
                (frame.f_locals[n] for n in names if isinstance(frame.f_locals.get(n), torch.Tensor)), None
            )
            found = paths[id(child)], child, received, frame.f_locals.get(names[0]) if names else None
    return found


def _frames(traceback: TracebackType | None) -> Iterator[Any]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _expected(
    axes: tuple[str, ...], shape: tuple[int, ...], layer: nn.Module
) -> tuple[str, tuple[int | None, ...]]:
    """What a layer takes, in words and as a shape; an empty string where that is not known."""
    sizes = dict(zip(axes, shape, strict=True))
    if "in" not in sizes:
        return "", ()
    channels = sizes["in"] * getattr(layer, "groups", 1)
    spatial = "".join(f", {axis}" for axis in axes if axis in ("z", "y", "x"))
    described = f"(batch, channel={channels}{spatial}) {str(layer.weight.dtype).removeprefix('torch.')}"
    return described, (None, channels, *[None] * spatial.count(","))


def _remedy(received: torch.Tensor, wanted: tuple[int | None, ...], dtype: Any) -> str:
    """What to do with an input that a layer does not take; empty if nothing is obvious."""
    if received.layout is not torch.strided:
        return "; it is sparse: give x.to_dense()"
    if received.dtype != dtype and not received.is_complex():
        ranged = "" if received.is_floating_point() else ", in the range in which the model takes them"
        return f"; give numbers of its dtype{ranged}: x.astype({dtype_name(dtype)!r}), or x.to({dtype})"
    return remedy(received.shape, wanted)


def _in_words(value: Any) -> str:
    kind = type(value).__name__
    if not isinstance(value, (list, tuple)):
        return f"a {kind}"
    parts = {"tensor" if isinstance(part, torch.Tensor) else type(part).__name__ for part in value}
    return f"a {kind} of {len(value)} {parts.pop() if len(parts) == 1 else 'part'}{'s' * (len(value) != 1)}"


def _described(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {dtype_name(tensor.dtype)}"
