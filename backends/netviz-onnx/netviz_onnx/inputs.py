"""Brings inputs to the form that a model takes, and says what is wrong with those that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from netviz_core.backend_api import AxisArray, InputError, Names, require_input, shown

from .axes import assumed, read_as
from .held import Held, read_or_none


def feeds(held: Held, inputs: Any) -> dict[str, Any]:
    """The model's inputs by name: given one by one, in order, or by name.

    Raises
    ------
    InputError
        If they are too few or too many, of another name, rank, length or dtype.
    """
    require_input(inputs)
    declared = {value.name: value for value in held.inputs}
    given = _by_name(declared, inputs)
    return {name: _fitting(held, declared[name], value) for name, value in given.items()}


def _by_name(declared: Mapping[str, ValueInfoProto], inputs: Any) -> dict[str, Any]:
    if isinstance(inputs, Mapping):
        given = {str(name): value for name, value in inputs.items()}
    else:
        parts = inputs if isinstance(inputs, (tuple, list)) and not _is_numbers(inputs) else (inputs,)
        given = dict(zip(declared, parts, strict=False))
        if len(parts) != len(declared):
            raise InputError(f"the model takes {_listed(declared)}; {len(parts)} were given")
    if given.keys() != declared.keys():
        raise InputError(
            f"the model takes {_listed(declared)}; {', '.join(map(repr, given)) or 'none'} were given"
        )
    return given


def _is_numbers(inputs: Any) -> bool:
    """Whether a list is one array in plain Python."""
    return isinstance(inputs, list) and bool(inputs) and not hasattr(inputs[0], "shape")


def _listed(declared: Mapping[str, ValueInfoProto]) -> str:
    count = "1 input" if len(declared) == 1 else f"{len(declared)} inputs"
    return f"{count}, {', '.join(f'{name!r} {_told(value)}' for name, value in declared.items())}"


def _told(value: ValueInfoProto) -> str:
    return f"{dtype_of(value) or 'that is no tensor'} ({', '.join(map(str, lengths(value)))})"


def lengths(value: ValueInfoProto) -> list[int | str]:
    """The lengths of the axes of a declared tensor; those that are open by their names."""
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims]


def dtype_of(value: ValueInfoProto) -> str:
    """The name of a declared tensor's dtype; empty for what is none."""
    number = value.type.tensor_type.elem_type
    return str(np.dtype(helper.tensor_dtype_to_np_dtype(number))) if number else ""


def _fitting(held: Held, declared: ValueInfoProto, value: Any) -> Any:
    if not declared.type.HasField("tensor_type"):
        return value
    dtype = helper.tensor_dtype_to_np_dtype(declared.type.tensor_type.elem_type)
    if isinstance(value, AxisArray):
        value = _laid_out(held, declared, value)
        if np.dtype(dtype).kind == "f" and value.dtype.kind in "fiu":
            value = value.astype(dtype)
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:
        raise InputError(
            f"input {declared.name!r} was given {shown(value)}, which NumPy cannot read"
        ) from error
    if declared.type.tensor_type.elem_type == TensorProto.STRING:
        return array.astype(object)
    if not hasattr(value, "dtype") and array.dtype.kind in "fiub":
        array = array.astype(dtype)  # numbers of plain Python have no dtype of their own
    if array.dtype != dtype:
        wanted = str(np.dtype(dtype))
        raise InputError(
            f"input {declared.name!r} takes {wanted} and was given {array.dtype}; give x.astype({wanted!r})"
        )
    _require_shape(declared, array)
    return np.ascontiguousarray(array)


def _require_shape(declared: ValueInfoProto, array: np.ndarray) -> None:
    if not declared.type.tensor_type.HasField("shape"):
        return
    wanted = lengths(declared)
    fits = len(wanted) == array.ndim and all(
        not isinstance(length, int) or length == own for length, own in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"input {declared.name!r} was given the shape {array.shape}; the model takes "
            f"({', '.join(map(str, wanted))}), where a name stands for any length"
        )


def _laid_out(held: Held, declared: ValueInfoProto, value: AxisArray) -> np.ndarray:
    """An input with named axes in the order in which the model reads them."""
    names = input_names(held, declared)
    if None in names or set(names) != set(value.axes):
        return value.canonical().values
    return value.transpose(*(name for name in names if name is not None)).values


def input_names(held: Held, declared: ValueInfoProto) -> Names:
    """What the axes of an input are, as its first readers take them."""
    rank = len(declared.type.tensor_type.shape.dim)
    return read_or_none(read_as, held, declared.name, rank) or assumed(rank)


def images_in(held: Held, inputs: Any) -> AxisArray | None:
    """The first input that has axes of space."""
    if isinstance(inputs, AxisArray):
        return inputs if {"y", "x"} <= set(inputs.axes) else None
    for declared in held.inputs:
        names = input_names(held, declared)
        if names and None not in names and {"y", "x", "channel"} <= set(names) and "z" not in names:
            value = feeds(held, inputs)[declared.name]
            return AxisArray(value, tuple(name for name in names if name is not None))
    return None
