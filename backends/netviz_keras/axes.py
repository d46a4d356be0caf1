"""Names for the axes of what layers return.

A name is known only from the layer that made the axis (a convolution's ``data_format``, a
recurrent layer) and is carried through layers that keep it. What else happens to a tensor
leaves positional names: nothing is guessed from sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from netviz_core.backend_api import SPATIAL_AXES, AxisBook, positional_axes

from .graph import graph_of, nodes_in_order
from .kinds import keras_class, kind_of
from .tensors import is_tensor

Axes = tuple[str, ...]

_KEPT_BY_KIND = frozenset(
    "activation dropout batch_norm layer_norm group_norm instance_norm rms_norm merge pool".split()
)
_KEPT_BY_CLASS = frozenset(
    """Identity LayerScale Masking Rescaling Normalization StochasticDepth ActivityRegularization UnitNormalization
    ZeroPadding1D Cropping1D UpSampling1D Cast SaturateCast ConvertToTensor Copy StopGradient""".split()
)
_MIXED_BY = ("Dot", "Einsum", "Glu", "Matmul", "Stack")


def axes_after(book: AxisBook, layer: Any, inputs: Any, output: Any) -> Axes:
    """Name the axes of one tensor that `layer` made of `inputs`, and note them."""
    tensors = [tensor for tensor in keras.tree.flatten(inputs) if is_tensor(tensor)]
    rank = len(output.shape)
    known = book.get(output)
    axes = output_axes(layer, [book.get(tensor) for tensor in tensors], rank) or known
    if axes is None or len(axes) != rank or len(set(axes)) != rank:
        return positional_axes(rank)
    book.note(output, axes)
    return axes


def laid_out(names: Iterable[str], data_format: str) -> Axes:
    """Known axis names in the order in which Keras has them."""
    names = set(names)
    spatial = [axis for axis in SPATIAL_AXES if axis in names]
    inner = ["channel", *spatial] if data_format == "channels_first" else [*spatial, "channel"]
    return tuple(axis for axis in ("batch", "time", *inner) if axis in names)


def output_axes(layer: Any, inputs: Sequence[Axes | None], rank: int) -> Axes | None:
    """The axes that a layer gives to an output of `rank`, knowing those of its inputs; None if it does not tell."""
    kind = kind_of(layer)
    first = inputs[0] if inputs else None
    if keras_class(layer, ("TimeDistributed",)):
        return _over_time(layer, first, rank)
    if kind in ("lstm", "gru", "rnn", "embedding"):
        return ("batch", "time", "channel") if rank == 3 else ("batch", "channel") if rank == 2 else None
    if kind == "dense":
        leading = first[:-1] if first is not None and len(first) == rank else positional_axes(rank - 1)
        return (*leading, "channel")
    if keras_class(layer, ("Flatten",)) and kind == "reshape" and rank == 2:
        return ("batch", "channel")
    if keras_class(layer, ("Permute",)) and first is not None:
        return (first[0], *(first[position] for position in layer.dims))
    if keras_class(layer, ("RepeatVector",)):
        return ("batch", "time", "channel")
    if keras_class(layer, ("BaseGlobalPooling",)) and not layer.keepdims:
        return ("batch", "channel")
    if keras_class(layer, _MIXED_BY):
        return None
    if keras_class(layer, ("MultiHeadAttention", "GroupedQueryAttention")):
        return first if first is not None and len(first) == rank else None
    if kind in _KEPT_BY_KIND or keras_class(layer, _KEPT_BY_CLASS):
        kept = _agreed(inputs, rank)
        if kept is not None or kind != "pool":
            return kept
    return _of_data_format(layer, rank)


def _agreed(inputs: Sequence[Axes | None], rank: int) -> Axes | None:
    """The axes of those inputs that have the output's rank, if they agree."""
    fitting = {axes for axes in inputs if axes is not None and len(axes) == rank}
    return fitting.pop() if len(fitting) == 1 else None


def _of_data_format(layer: Any, rank: int) -> Axes | None:
    data_format = getattr(layer, "data_format", None)
    dimensions = _dimensions(layer)
    if data_format is None or dimensions is None:
        return None
    names = {"batch", "channel", *SPATIAL_AXES[-dimensions:]}
    if keras_class(layer, ("ConvLSTM",)) and layer.return_sequences and rank == dimensions + 3:
        names.add("time")
    return laid_out(names, data_format) if rank == len(names) else None


def _dimensions(layer: Any) -> int | None:
    """The number of spatial axes that Keras' class has in its name; its image preprocessing has two."""
    for cls in type(layer).__mro__:
        if cls.__module__.startswith("keras."):
            named = re.search(r"([123])D(Transpose)?$", cls.__name__)
            if named:
                return int(named[1])
            if ".image_preprocessing." in cls.__module__:
                return 2
    return None


def _over_time(layer: Any, first: Axes | None, rank: int) -> Axes | None:
    """What the layer or model within gives for one step, with the steps behind the batch."""
    within = (first[0], *first[2:]) if first is not None else None
    step = _of_graph(layer.layer, within) or output_axes(layer.layer, [within], rank - 1)
    if step is None or len(step) != rank - 1:
        return ("batch", "time", *positional_axes(rank)[2:])
    return (step[0], "time", *step[1:])


def _of_graph(model: Any, given: Axes | None) -> Axes | None:
    """What the last layer of a model's graph gives to its one output; None if there is no such graph."""
    graph = graph_of(model)
    if graph is None or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    book = AxisBook()
    if given is not None and len(given) == len(graph.inputs[0].shape):
        book.note(graph.inputs[0], given)
    for node in nodes_in_order(graph):
        for tensor in node.outputs:
            axes_after(book, node.operation, node.input_tensors, tensor)
    return book.get(graph.outputs[0])
