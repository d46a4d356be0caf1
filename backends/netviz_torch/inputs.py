"""Brings an input to the form that a PyTorch model takes, and says what is wrong with one that does not fit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from types import FrameType, TracebackType
from typing import Any, NamedTuple

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
            follower.note(tensor, array.axes)
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
    signature = _signature(module)
    try:
        if signature is not None:
            signature.bind(*range(count))
    except TypeError:
        given = "one input was" if count == 1 else f"{count} inputs were"
        raise InputError(f"{given} given; the model's forward takes {signature}") from None


def _takes(module: nn.Module, *args: Any, **kwargs: Any) -> bool:
    signature = _signature(module)
    try:
        return signature is not None and signature.bind(*args, **kwargs) is not None
    except TypeError:
        return False


def _signature(module: nn.Module) -> inspect.Signature | None:
    """What a model's forward takes; None of one that does not tell, as that of some scripted modules."""
    try:
        return inspect.signature(module.forward)
    except (TypeError, ValueError):
        return None


class _Place(NamedTuple):
    """Where a pass failed: in a layer's forward, with its first tensor and its first argument, or in a user's hook."""

    path: str
    layer: nn.Module
    is_hook: bool
    received: torch.Tensor | None = None
    first: Any = None

    def __str__(self) -> str:
        return f"{'a hook of ' * self.is_hook}layer {self.path!r} ({kind_of(self.layer)})"


def explain(error: Exception, module: nn.Module, arguments: tuple[Any, ...]) -> NetvizError | None:
    """Say where a pass failed: as an error of netviz' own if the model's input or missing weights are to blame.

    Otherwise the error is given a note that names the layer, and is left as it is.
    """
    place = _innermost(error.__traceback__, module)
    if not _is_of_the_machine(error) and not (place is not None and place.is_hook):
        told = _without_values(module) or _elsewhere(module, arguments)
        if told is None and place is not None:
            told = _not_taken(error, module, place, arguments)
        if told is not None:
            return told
    if place is not None:
        given = f", which received {_described(place.received)}" if place.received is not None else ""
        shapes = ", ".join(_described(one) for one in arguments if isinstance(one, torch.Tensor))
        error.add_note(f"netviz: raised in {place}{given}; the model's input was {shapes or 'no tensor'}")
    return None


def _is_of_the_machine(error: Exception) -> bool:
    """Whether memory ran out or a device failed, of which what a layer was given tells nothing."""
    ran_out = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return ran_out or _OF_THE_MACHINE.search(str(error)) is not None


_OF_THE_MACHINE = re.compile(r"allocate memory|out of memory|(CUDA|HIP|XPU|cuDNN|MIOpen) error|CUBLAS_STATUS")


def _without_values(module: nn.Module) -> UnsupportedError | None:
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_meta:
            return UnsupportedError(
                f"{name!r} is on the meta device and has no values; move the model with to_empty() and load its "
                f"weights, or give inputs on that device, of which shapes alone are known"
            )
    return None


def _elsewhere(module: nn.Module, arguments: tuple[Any, ...]) -> InputError | None:
    places = {tensor.device.type for tensor in chain(module.parameters(), module.buffers())}
    for value in arguments:
        if places and isinstance(value, torch.Tensor) and value.device.type not in places:
            return InputError(
                f"the input is on the device {str(value.device)!r}, the model on {' and '.join(sorted(places))}; "
                f"bring one to the other with .to(device)"
            )
    return None


def _not_taken(
    error: Exception, module: nn.Module, place: _Place, arguments: tuple[Any, ...]
) -> InputError | None:
    """What is wrong with an input of the model, if that is what the layer was given."""
    received, first = place.received, place.first
    if received is not None and any(received is argument for argument in arguments):
        told = _not_taken_tensor(str(error).partition("\n")[0][:200].rstrip(" .:;"), place, received)
        return None if told is None else InputError(f"the input is {_described(received)}{told}")
    if (
        received is not None
        or not isinstance(error, (TypeError, AttributeError))
        or not any(first is argument for argument in arguments)
    ):
        return None
    if isinstance(first, Mapping):
        signature = _signature(module)
        return InputError(
            f"the inputs given are named {', '.join(map(repr, first))}, or are one dict; the model's forward "
            f"{'does not say what it takes' if signature is None else f'takes {signature}'}"
        )
    return InputError(
        f"the input is {_in_words(first)}, which {place} does not take; give one array or tensor, or, to a model "
        f"of several inputs, a tuple of them"
    )


def _not_taken_tensor(reason: str, place: _Place, received: torch.Tensor) -> str | None:
    """What a layer takes in the place of a tensor; None if that is not known."""
    layer = place.layer
    if isinstance(layer, nn.Embedding) and (ids := _ids(received, layer)):
        return f"; {place} takes {ids}"
    kernel = weights_of(layer, kind_of(layer)).get("kernel")
    expected, wanted = _expected(kernel.axes, kernel.shape, layer) if kernel is not None else ("", ())
    if expected:
        told = _remedy(received, wanted, layer.weight.dtype) or f": {reason}"
        return f"; {place} takes {expected}{told}"
    if type(layer).__module__.startswith("torch.nn.modules.") and kind_of(layer) != "container":
        return f", which {place} does not take: {reason}"
    return None


def _ids(received: torch.Tensor, layer: nn.Embedding) -> str:
    """What an embedding takes, where it was given something else; empty if that is not to be seen."""
    taken = f"whole numbers from 0 to {layer.num_embeddings - 1}"
    if received.is_floating_point() or received.is_complex():
        return f"{taken}; give x.astype('int64'), or x.long()"
    try:
        outside = received[(received < 0) | (received >= layer.num_embeddings)]
        return f"{taken}, and {int(outside[0])} is among them" if outside.numel() else ""
    except RuntimeError:  # of a tensor without values, or on a device that has failed
        return ""


def _innermost(traceback: TracebackType | None, module: nn.Module) -> _Place | None:
    """The innermost of the model's modules whose forward, or a user's hook on which, was running."""
    paths = {id(child): path for path, child in module.named_modules()}
    found: _Place | None = None
    called: Any = None
    for frame in _frames(traceback):
        child = frame.f_locals.get("self")
        if frame.f_code.co_name == "forward" and isinstance(child, nn.Module) and id(child) in paths:
            names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
            received = next(
                (frame.f_locals[n] for n in names if isinstance(frame.f_locals.get(n), torch.Tensor)), None
            )
            first = frame.f_locals.get(names[0]) if names else None
            found = _Place(paths[id(child)], child, False, received, first)
        home = frame.f_globals.get("__name__", "")
        if id(called) in paths and home.partition(".")[0] != "torch" and not _is_forward(frame, called):
            found = _Place(paths[id(called)], called, True)
        # What else PyTorch's own call of a module calls is a hook.
        called = child if home == nn.Module.__module__ else None
    return found


def _is_forward(frame: FrameType, module: nn.Module) -> bool:
    """Whether a module's forward runs, which may be a function that was put in its place."""
    return frame.f_locals.get("self") is module or frame.f_code is getattr(module.forward, "__code__", None)


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
