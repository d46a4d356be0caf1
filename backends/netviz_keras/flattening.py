"""In what order a layer sees features that were flattened, or will be unflattened, next to it.

Only what layers say of the axes counts: nothing is guessed from sizes in a graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras

from netviz_core.backend_api import SPATIAL_AXES, canonical_axes, positional_axes

from .axes import Axes, laid_out, output_axes
from .graph import Place, calls_in, consumers, graph_of, made_by, origin
from .kinds import keras_class, kind_of

Part = tuple[tuple[str, int], ...]
"""The axes that features were flattened from, the slowest first, with their sizes."""
Order = tuple[Part, ...]
"""Features, part by part, as they were concatenated."""

_UNKNOWN: Order = ()


def orders(layer: Any, kind: str, holders: Sequence[Any]) -> dict[str, tuple[dict[str, int], ...] | None]:
    """What a layer's config says of flattened features, by the models and layers that hold it, the nearest first.

    ``flattened`` is the order of those that the layer takes, ``unflattened`` of those that a dense layer makes: part
    by part, the axes with their sizes; None where it cannot be known. They are absent where the order is
    netviz' own.
    """
    if kind != "dense" and not kind.endswith("_norm"):
        return {}
    calls = [(node, place) for place in _places(holders) for node in calls_in(place.graph, layer)]
    if not calls:
        return _told({"flattened": _order_beside(layer, holders)})
    found = {"flattened": _agreed([_order(node.input_tensors[0], place) for node, place in calls])}
    if found["flattened"] == _as_given(calls[0][0].input_tensors[0].shape):
        found["flattened"] = _order_beside(layer, holders)
    if kind == "dense":
        found["unflattened"] = _agreed([_order(node.outputs[0], place) for node, place in calls])
    return _told(found)


def _told(found: dict[str, Order]) -> dict[str, tuple[dict[str, int], ...] | None]:
    told = {name: order for name, order in found.items() if order == _UNKNOWN or any(map(_matters, order))}
    return {name: tuple(map(dict, order)) or None for name, order in told.items()}


def _matters(part: Part) -> bool:
    """Whether features in this order are not in netviz' own, or may not be."""
    axes = tuple(axis for axis, size in part if size > 1)
    return len(axes) > 1 and (_unnamed(axes) or axes != canonical_axes(axes))


def _unnamed(axes: Iterable[str]) -> bool:
    return any(axis.startswith("axis") for axis in axes)


def _places(holders: Sequence[Any]) -> list[Place]:
    """Where the graph of the nearest holder stands in the graphs around it."""
    graph = graph_of(holders[0]) if holders else None
    if graph is None:
        return []
    within = [
        Place(graph, node, around)
        for around in _places(holders[1:])
        for node in calls_in(around.graph, holders[0])
    ]
    return within or [Place(graph)]


def _plain(size: int) -> Order:
    return ((("channel", size),),)


def _as_given(shape: Sequence[int]) -> Order:
    """Features in the order in which the model is given them."""
    return ((("input", shape[-1]),),)


def _order(tensor: Any, place: Place) -> Order:
    """The order of a vector's features."""
    said = list(_said(tensor, place, _order_made, _order_taken)) if len(tensor.shape) == 2 else []
    return _agreed(said) if said else _plain(tensor.shape[-1])


def _agreed(orders: list[Order]) -> Order:
    return orders[0] if all(order == orders[0] for order in orders) else _UNKNOWN


def _said(tensor: Any, place: Place, made: Callable[..., Any], taken: Callable[..., Any]) -> Iterator[Any]:
    """What is said of a tensor by what makes and takes it, past layers that leave each axis what it is."""
    waiting, seen = [origin(tensor, place)], set()
    while waiting:
        tensor, place = waiting.pop()
        key = id(tensor), id(place.node)
        if key in seen:
            continue
        seen.add(key)
        operation, inputs = made_by(tensor)
        statement = made(operation, inputs, tensor, place)
        if statement is not None:
            yield statement
        else:
            waiting += [origin(given, place) for given in inputs if _kept(given, operation, tensor)]
        for operation, node, where in consumers(tensor, place):
            output = node.outputs[0]
            statement = taken(operation, output, len(tensor.shape), where)
            if statement is not None:
                yield statement
            elif _kept(tensor, operation, output):
                waiting.append((output, where))


def _kept(given: Any, operation: Any, output: Any) -> bool:
    """Whether an operation leaves each axis what it is, and a vector's features in their places."""
    rank = len(output.shape)
    if len(given.shape) != rank or (rank == 2 and given.shape[1] != output.shape[1]):
        return False
    if keras_class(operation, ("Flatten", "Reshape")):
        return rank == 2
    some = tuple(f"some{index}" for index in range(rank))
    return output_axes(operation, [some], rank) == some


def _order_made(operation: Any, inputs: list[Any], output: Any, place: Place) -> Order | None:
    if isinstance(operation, keras.layers.InputLayer):
        return _as_given(output.shape)
    if keras_class(operation, ("Concatenate",)):
        orders = [_order(given, place) for given in inputs]
        return _UNKNOWN if _UNKNOWN in orders else tuple(part for order in orders for part in order)
    if not keras_class(operation, ("Flatten", "Reshape")) or len(inputs[0].shape) == 2:
        return None
    part = _part(inputs[0].shape, _axes(inputs[0], place), operation)
    return (part,) if _matters(part) else None


def _order_taken(operation: Any, output: Any, rank: int, place: Place) -> Order | None:
    if not keras_class(operation, ("Reshape",)) or len(output.shape) == 2:
        return None
    part = _part(output.shape, _axes(output, place), operation)
    return (part,) if _matters(part) else None


def _part(shape: Sequence[int], axes: Axes | None, operation: Any) -> Part:
    """What `operation` makes one vector of, or a vector into; ``Flatten`` puts the channels last before it does."""
    sizes = list(zip(axes or positional_axes(len(shape)), shape, strict=True))[1:]
    first = getattr(operation, "data_format", "") == "channels_first"
    return tuple([*sizes[1:], sizes[0]] if first else sizes)


def _axes(tensor: Any, place: Place) -> Axes | None:
    """The axes of a tensor, as the nearest layer that knows them says."""
    return next(_said(tensor, place, _axes_made, _axes_taken), None)


def _axes_made(operation: Any, inputs: list[Any], output: Any, place: Place) -> Axes | None:
    if keras_class(operation, ("Flatten", "Reshape")):
        return None
    known: list[Axes | None] = [None]
    if keras_class(operation, ("Permute", "TimeDistributed")):
        known = [_axes(inputs[0], place)]
    return _complete(output_axes(operation, known, len(output.shape)), len(output.shape))


def _axes_taken(operation: Any, output: Any, rank: int, place: Place) -> Axes | None:
    if keras_class(operation, ("Flatten",)):
        return _axes_of_flatten(operation, rank)
    if kind_of(operation) == "dense" or keras_class(operation, ("Permute", "Reshape", "TimeDistributed")):
        return None
    return _complete(output_axes(operation, [None], rank), rank)


def _complete(axes: Axes | None, rank: int) -> Axes | None:
    return axes if axes is not None and len(axes) == rank and not _unnamed(axes) else None


def _axes_of_flatten(flatten: Any, rank: int) -> Axes | None:
    """The axes that ``Flatten`` says its images and volumes have, by its ``data_format``."""
    if rank not in (4, 5):
        return None
    return laid_out(("batch", "channel", *SPATIAL_AXES[5 - rank :]), flatten.data_format)


def _order_beside(layer: Any, holders: Sequence[Any]) -> Order:
    """Where there is no graph: that of ``Flatten``, if the layer alone can take what ``Flatten`` beside it makes."""
    size = _features(layer)
    holder = next((holder for holder in holders if graph_of(holder) is None), None)
    if holder is None or size is None:
        return _plain(size or 0)
    beside = list(holder._flatten_layers())
    parts = {_part_of_built(other) for other in beside if isinstance(other, keras.layers.Flatten)}
    fitting = [part for part in parts if _matters(part) and math.prod(dict(part).values()) == size]
    if not fitting:
        return _plain(size)
    alone = len(fitting) == 1 and sum(_features(other) == size for other in beside) == 1
    return (fitting[0],) if alone and not _unnamed(dict(fitting[0])) else _UNKNOWN


def _features(layer: Any) -> int | None:
    """How many features a dense layer or a norm takes of a vector, once it is built."""
    shape = _built_for(layer)
    kind = kind_of(layer)
    return shape[-1] if len(shape) == 2 and (kind == "dense" or kind.endswith("_norm")) else None


def _part_of_built(flatten: Any) -> Part:
    shape = _built_for(flatten)
    return _part(shape, _axes_of_flatten(flatten, len(shape)), flatten) if None not in shape[1:] else ()


def _built_for(layer: Any) -> tuple[Any, ...]:
    """The shape of the input that a layer was built for; empty if it was not."""
    return tuple((getattr(layer, "_build_shapes_dict", None) or {}).get("input_shape") or ())
