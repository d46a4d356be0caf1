"""Brings an input to the form that a Keras model takes, and says what is wrong with one that does not fit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

from netviz_core.backend_api import (
    AxisArray,
    AxisBook,
    InputError,
    entries_of,
    fits,
    leaves,
    remedy,
    require_input,
)

from .axes import laid_out
from .engines import ENGINE
from .graph import graph_of
from .kinds import keras_class
from .layers import KerasLayer, walk
from .tensors import adopted, as_numpy, is_tensor, private

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def prepare(model: Any, inputs: Any, book: AxisBook) -> Arguments:
    """Positional and keyword arguments for the model; the axes of an `AxisArray` go into `book`.

    Raises
    ------
    InputError
        If the model declares its inputs and these are others.
    """
    require_input(inputs)
    graph = graph_of(model)
    data_format = _data_format(model)
    inputs = keras.tree.map_structure(adopted, inputs)
    if _takes_strings(model, graph):
        inputs = _as_tensors_beside_strings(inputs)
    for value in keras.tree.flatten(inputs):
        _require_numbers(value)

    def convert(value: Any) -> Any:
        if not isinstance(value, AxisArray):
            return value
        axes = laid_out(value.axes, data_format)
        array = value.transpose(*axes) if set(axes) == set(value.axes) else value
        tensor = keras.ops.convert_to_tensor(array.values.copy(), dtype=_dtype(graph, array))
        return book.note(tensor, array.axes)

    converted = private(keras.tree.map_structure(convert, inputs))
    if graph is not None:
        _check(graph, converted)
        return (converted,), {}
    return _spread(model, converted)


def explain_ids(error: BaseException, model: Any, arguments: Arguments) -> InputError | None:
    """Say which ids among the arguments an embedding does not have; None where a pass failed for something else."""
    for layer, received in _embeddings_running(error, model):
        ids = as_numpy(received)
        rows = layer.native.input_dim
        outside = ids[(ids < -rows) | (ids >= rows)]  # Keras counts negative ones from the end
        given = [value for value in keras.tree.flatten(arguments) if is_tensor(value)]
        is_given = any(np.array_equal(as_numpy(value), ids) for value in given)
        if outside.size and is_given:
            return InputError(
                f"the input is {tuple(ids.shape)} {ids.dtype}; layer {layer.path!r} (embedding) takes whole numbers "
                f"from 0 to {rows - 1}, and {int(outside[0])} is among them"
            )
    return None


def _embeddings_running(error: BaseException, model: Any) -> Iterator[tuple[KerasLayer, Any]]:
    """The embeddings of a model that were running when something failed, and what they had been given.

    Keras raises another error in place of the first, and takes its own frames from that one alone.
    """
    layers = {id(layer.native): layer for layer in walk(model) if keras_class(layer.native, ("Embedding",))}
    told: BaseException | None = error
    while told is not None:
        for frame, _ in walk_tb(told.__traceback__):
            layer = layers.get(id(frame.f_locals.get("self")))
            if layer is not None and is_tensor(frame.f_locals.get("inputs")):
                yield layer, frame.f_locals["inputs"]
        told = told.__context__


def images_among(model: Any, inputs: Any) -> AxisArray | None:
    """The first of the inputs that can be a batch of images: four axes; one, three or four channels."""
    for _, value in leaves(inputs, lambda part: isinstance(part, AxisArray) or is_tensor(adopted(part))):
        value = adopted(value)
        if isinstance(value, AxisArray):
            if {"y", "x"} <= set(value.axes):
                return value
        elif len(value.shape) == 4:
            image = AxisArray(
                np.array(as_numpy(value)), laid_out(("batch", "y", "x", "channel"), _data_format(model))
            )
            if image.sizes["channel"] in (1, 3, 4):
                return image
    return None


def required_inputs(model: Any) -> list[str]:
    """The names under which the model's ``call`` takes what it cannot do without."""
    parameters = inspect.signature(model.call).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


def _takes_strings(model: Any, graph: Functional | None) -> bool:
    """Whether a model declares strings as its input, or has a layer that makes numbers of them."""
    if graph is not None:
        return any(str(tensor.dtype) == "string" for tensor in graph.inputs)
    return any(keras_class(layer.native, _OF_STRINGS) for layer in walk(model))


_OF_STRINGS = ("IndexLookup", "StringLookup", "TextVectorization", "Hashing", "HashedCrossing")


def _as_tensors_beside_strings(inputs: Any) -> Any:
    """Strings as tensors, and with them all others: Keras takes no mixture.

    Other engines have no tensors of strings.
    """
    if not ENGINE.has_strings or not any(map(_is_of_strings, keras.tree.flatten(inputs))):
        return inputs
    return keras.tree.map_structure(
        lambda value: keras.ops.convert_to_tensor(value) if is_tensor(value) else value, inputs
    )


def _is_of_strings(value: Any) -> bool:
    if not is_tensor(value):
        return False
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.size > 0 and all(isinstance(entry, (str, bytes)) for entry in value.flat)
    return str(value.dtype) in ("<dtype: 'string'>", "string") or getattr(value.dtype, "kind", "") in (
        "U",
        "S",
        "T",
    )


def _require_numbers(value: Any) -> None:
    """Refuse arrays of which Keras' engines would make something else, or say something obscure."""
    dtype = getattr(value.values if isinstance(value, AxisArray) else value, "dtype", None)
    if (
        isinstance(dtype, np.dtype)
        and dtype.kind in "OUSMmcV"
        and not dtype.name.startswith(("bfloat", "float8"))
    ):
        raise InputError(
            f"an array of {entries_of(dtype)} was given as input; give integers, floats or booleans"
        )


def _data_format(model: Any) -> str:
    """Where the model has its channels: as its first layer that says so, else as Keras is configured."""
    said = (getattr(layer.native, "data_format", None) for layer in walk(model))
    return str(next(filter(None, said), keras.config.image_data_format()))


def _dtype(graph: Functional | None, array: AxisArray) -> str | None:
    if array.values.dtype.kind != "f":
        return None
    return str(graph.inputs[0].dtype) if graph is not None else str(keras.config.floatx())


def _check(graph: Functional, inputs: Any) -> None:
    declared = list(graph.inputs)
    if isinstance(inputs, dict) and not isinstance(graph.input, dict):
        missing = [tensor.name for tensor in declared if tensor.name not in inputs]
        given = [inputs.get(tensor.name) for tensor in declared]
    else:
        missing = sorted(set(graph.input) - set(inputs)) if isinstance(inputs, dict) else []
        given = keras.tree.flatten(inputs)
    expected = ", ".join(f"{tensor.name!r} of shape {_shape(tensor)}" for tensor in declared)
    if missing:
        raise InputError(f"the inputs given are named {sorted(inputs)}; the model takes {expected}")
    if not all(value is None or is_tensor(value) for value in given):
        kind = next(type(value).__name__ for value in given if not is_tensor(value))
        raise InputError(
            f"a value of type {kind} was given as input; give an array: the model takes {expected}"
        )
    if len(given) != len(declared):
        raise InputError(f"{len(given)} inputs were given; the model takes {len(declared)}: {expected}")
    for value, tensor in zip(given, declared, strict=True):
        if value is not None and not _fits(tuple(value.shape), tuple(tensor.shape)):
            raise InputError(
                f"an input of shape {tuple(value.shape)} was given; the model takes {expected}"
                f"{remedy(value.shape, tensor.shape)}"
            )


def _fits(given: tuple[int, ...], declared: tuple[int | None, ...]) -> bool:
    """Whether Keras takes an array for a declared input; it adds or drops a last axis of one entry."""
    if len(given) == len(declared) + 1 and given[-1] == 1:
        given = given[:-1]
    elif len(given) == len(declared) - 1 and declared[-1] == 1:
        given = (*given, 1)
    return fits(given, declared)


def _shape(tensor: Any) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in tensor.shape)})"


def _spread(model: Any, inputs: Any) -> Arguments:
    """Give a model whose ``call`` names several inputs each of them by itself."""
    required = required_inputs(model)
    if len(required) > 1 and isinstance(inputs, (tuple, list)):
        return tuple(inputs), {}
    if len(required) > 1 and isinstance(inputs, dict):
        return (), inputs
    return (inputs,), {}
