"""In what order a layer sees features that were flattened, or will be unflattened, next to it.

Only what layers say of the axes counts: nothing is guessed from sizes in a graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras

from netviz_core.arrays import SPATIAL_AXES, positional_axes

from .axes import Axes, laid_out, output_axes
from .graph import Place, consumers, graph_of, made_by, origin
from .kinds import keras_class, kind_of

if TYPE_CHECKING:
    from .layers import KerasLayer

Order = tuple[dict[str, int], ...]
"""Features, part by part: the axes that a part was flattened from, the slowest first, with their sizes."""


def orders(layer: KerasLayer) -> dict[str, Order | None]:
    """What `layer.config` says of flattened features: ``flattened`` of those that the layer takes, ``unflattened`` of
    those that a dense layer makes; None where their order cannot be known, and nothing where they are plain.
    """
    if layer.kind != "dense" and not layer.kind.endswith("_norm"):
        return {}
    calls = [
        (node, place)
        for place in _places(layer.parent)
        for node in layer.native._inbound_nodes
        if node in place.graph._nodes
    ]
    if not calls:
        return _beside(layer)
    found = {"flattened": [_order(node.input_tensors[0], place) for node, place in calls]}
    if layer.kind == "dense":
        found["unflattened"] = [_order(node.outputs[0], place) for node, place in calls]
    agreed = {name: _agreed(several) for name, several in found.items()}
    return {name: order for name, order in agreed.items() if order is None or _matters(order)}


def _places(holder: KerasLayer | None) -> list[Place]:
    """Where the graph of `holder` stands in the graphs around it."""
    graph = graph_of(holder.native) if holder is not None else None
    if holder is None or graph is None:
        return []
    within = [
        Place(graph, node, around)
        for around in _places(holder.parent)
        for node in holder.native._inbound_nodes
        if node in around.graph._nodes
    ]
    return within or [Place(graph)]


def _order(tensor: Any, place: Place) -> Order | None:
    """The order of a vector's features."""
    if len(tensor.shape) != 2:
        return ()
    said = list(_said(tensor, place, _order_made, _order_taken))
    return _agreed(said) if said else ({"channel": tensor.shape[-1]},)


def _agreed(orders: list[Order | None]) -> Order | None:
    return orders[0] if all(order == orders[0] for order in orders) else None


def _matters(order: Order) -> bool:
    return any(sum(size > 1 for size in part.values()) > 1 for part in order)


def _said(
    tensor: Any, place: Place, made: Callable[..., Any], taken: Callable[..., Any]
) -> Iterator[Any]:
    """What is said of a tensor by what makes and takes it, and those that only pass through layers that keep its axes."""
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
        elif _keeps(operation, tensor):
            waiting += [origin(given, place) for given in inputs if given.shape[1:] == tensor.shape[1:]]
        for operation, node, where in consumers(tensor, place):
            output = node.outputs[0]
            statement = taken(operation, output, len(tensor.shape), where)
            if statement is not None:
                yield statement
            elif _keeps(operation, output) and output.shape[1:] == tensor.shape[1:]:
                waiting.append((output, where))


def _keeps(operation: Any, output: Any) -> bool:
    """Whether an operation leaves each axis what it is."""
    rank = len(output.shape)
    if keras_class(operation, ("Concatenate",)):
        return False
    if keras_class(operation, ("Flatten", "Reshape")):
        return rank == 2
    some = tuple(f"some{index}" for index in range(rank))
    return output_axes(operation, [some], rank) == some


def _order_made(operation: Any, inputs: list[Any], output: Any, place: Place) -> Order | None:
    if keras_class(operation, ("Concatenate",)):
        parts = [_order(given, place) for given in inputs]
        return None if None in parts else tuple(part for order in parts for part in order or ())
    if keras_class(operation, ("Flatten", "Reshape")) and len(inputs[0].shape) > 2:
        axes = _axes(inputs[0], place) or positional_axes(len(inputs[0].shape))
        sizes = list(zip(axes, inputs[0].shape, strict=True))[1:]
        if getattr(operation, "data_format", "") == "channels_first":
            sizes = [*sizes[1:], sizes[0]]
        return (dict(sizes),)
    return None


def _order_taken(operation: Any, output: Any, rank: int, place: Place) -> Order | None:
    if not keras_class(operation, ("Reshape",)) or len(output.shape) < 3:
        return None
    axes = _axes(output, place) or positional_axes(len(output.shape))
    return (dict(list(zip(axes, output.shape, strict=True))[1:]),)


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
    named = axes is not None and len(axes) == rank and not any(axis.startswith("axis") for axis in axes)
    return axes if named else None


def _axes_of_flatten(flatten: Any, rank: int) -> Axes | None:
    """The axes that ``Flatten`` says its images and volumes have, by its ``data_format``."""
    if rank not in (4, 5):
        return None
    return laid_out(("batch", "channel", *SPATIAL_AXES[5 - rank :]), flatten.data_format)


def _beside(layer: KerasLayer) -> dict[str, Order | None]:
    """Where there is no graph: a layer that alone can take what the ``Flatten`` layers beside it make."""
    holder = next((above for above in layer.ancestors if graph_of(above.native) is None), None)
    if holder is None:
        return {}
    beside = list(holder.native._flatten_layers())
    size = _features(layer.native)
    found = [
        order
        for flatten in beside
        if isinstance(flatten, keras.layers.Flatten)
        for order in [_order_of_built(flatten)]
        if order is not None and _matters(order) and math.prod(order[0].values()) == size
    ]
    if size is None or not found:
        return {}
    several = sum(_features(other) == size for other in beside) > 1
    unnamed = any(axis.startswith("axis") for axis in found[0][0])
    return {"flattened": None if several or unnamed else _agreed(found)}


def _features(layer: Any) -> int | None:
    """How many features a dense layer or a norm takes of a vector, once it is built."""
    shape = getattr(layer, "_build_shapes_dict", None) or {}
    given = shape.get("input_shape")
    kind = kind_of(layer)
    takes_vectors = (kind == "dense" or kind.endswith("_norm")) and given is not None and len(given) == 2
    return given[-1] if takes_vectors else None


def _order_of_built(flatten: Any) -> Order | None:
    given = (getattr(flatten, "_build_shapes_dict", None) or {}).get("input_shape")
    if given is None or None in given[1:]:
        return None
    axes = _axes_of_flatten(flatten, len(given)) or positional_axes(len(given))
    sizes = list(zip(axes, given, strict=True))[1:]
    return (dict([*sizes[1:], sizes[0]] if flatten.data_format == "channels_first" else sizes),)
