"""The weights of Keras layers under canonical names and with canonical axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras

from netviz_core.backend_api import Layout, Weight, by_name, positional_layout

from .effective import effective, serves_another, shape_of
from .kinds import cells_of, keras_class
from .tensors import as_numpy

_OUT = Layout(("out",))
_NORM = {1: Layout(("channel",))} | {rank: positional_layout(rank) for rank in (2, 3, 4, 5)}
"""By rank: a norm over several axes has a weight with an axis for each of them."""


Rules = dict[str, Mapping[int, Mapping[str, Layout]]]
"""The canonical names and layouts that a variable gives, by its name and its rank."""


def _convolution(axes: str, native: str, canonical: str) -> Layout:
    return Layout(("out", "in", *axes.split()), f"{axes} {native} -> {canonical} {axes}")


def _gates(order: tuple[int, ...]) -> Rules:
    sizes = {"g": len(order)}
    matrix = Layout(("gate", "out", "in"), "i (g o) -> g o i", sizes, order)
    vector = {part: Layout(("gate", "out"), "(g o) -> g o", sizes, order, part) for part in (None, 0, 1)}
    return {
        "kernel": {2: {"input_kernel": matrix}},
        "recurrent_kernel": {2: {"recurrent_kernel": matrix}},
        "bias": {1: {"bias": vector[None]}, 2: {"bias": vector[0], "recurrent_bias": vector[1]}},
    }


def _norm(**names: str) -> Rules:
    return {
        native: {rank: {name: layout} for rank, layout in _NORM.items()} for native, name in names.items()
    }


def _plain(rank: int, kernel: Layout) -> Rules:
    return {"kernel": {rank: {"kernel": kernel}}, "bias": {1: {"bias": _OUT}}}


def _separable(rank: int, axes: str) -> Rules:
    depthwise, pointwise = _convolution(axes, "i m", "(i m) 1"), _convolution(axes, "i o", "o i")
    return {
        "depthwise_kernel": {rank: {"depthwise_kernel": depthwise}},
        "pointwise_kernel": {rank: {"pointwise_kernel": pointwise}},
        "bias": {1: {"bias": _OUT}},
    }


_LAYOUTS: dict[str, Rules] = {
    "Dense": _plain(2, Layout(("out", "in"), "i o -> o i")),
    "Conv1D": _plain(3, _convolution("x", "i o", "o i")),
    "Conv2D": _plain(4, _convolution("y x", "i o", "o i")),
    "Conv3D": _plain(5, _convolution("z y x", "i o", "o i")),
    "Conv1DTranspose": _plain(3, _convolution("x", "o i", "o i")),
    "Conv2DTranspose": _plain(4, _convolution("y x", "o i", "o i")),
    "Conv3DTranspose": _plain(5, _convolution("z y x", "o i", "o i")),
    "DepthwiseConv1D": _plain(3, _convolution("x", "i m", "(i m) 1")),
    "DepthwiseConv2D": _plain(4, _convolution("y x", "i m", "(i m) 1")),
    "SeparableConv1D": _separable(3, "x"),
    "SeparableConv2D": _separable(4, "y x"),
    "Embedding": {"embeddings": {2: {"kernel": Layout(("token", "out"))}}},
    "BatchNormalization": _norm(
        gamma="scale", beta="bias", moving_mean="running_mean", moving_variance="running_variance"
    ),
    "LayerNormalization": _norm(gamma="scale", beta="bias"),
    "GroupNormalization": _norm(gamma="scale", beta="bias"),
    "RMSNormalization": _norm(scale="scale"),
    "PReLU": {"alpha": {rank: {"slope": positional_layout(rank)} for rank in range(2, 5)}},
    "LSTMCell": _gates((0, 1, 2, 3)),
    # Keras keeps update before reset.
    "GRUCell": _gates((1, 0, 2)),
    "SimpleRNNCell": _gates((0,)),
}
"""By the name of Keras' class."""

_HEADS = {
    "kernel": {3: Layout(("head", "head_dim", "in"), "i h d -> h d i")},
    "bias": {2: Layout(("head", "head_dim"))},
}
_ATTENTION = {
    "query": ("_query_dense", _HEADS),
    "key": ("_key_dense", _HEADS),
    "value": ("_value_dense", _HEADS),
    "gate": ("_gate_dense", _HEADS),
    "output": (
        "_output_dense",
        {"kernel": {3: Layout(("out", "head", "head_dim"), "h d o -> o h d")}, "bias": {1: _OUT}},
    ),
}
"""The projections of an attention layer, the attributes that hold them, and their layouts by rank."""


def own_variables(layer: Any) -> list[Any]:
    """A layer's own variables, not its children's; none for an operation or an unbuilt layer."""
    return [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]


def weights_of(layer: Any) -> dict[str, Weight]:
    """The layer's weights by canonical name; those that netviz does not know keep their own."""
    if keras_class(layer, ("Bidirectional",)):
        both = _suffixed(layer.forward_layer, ""), _suffixed(layer.backward_layer, "_reverse")
        return by_name(weight for found in both for weight in found.values())
    if keras_class(layer, ("MultiHeadAttention", "GroupedQueryAttention")):
        return by_name(_projections(layer))
    found = by_name(_own(layer))
    for index, cell in enumerate(cells_of(layer)):
        found |= _suffixed(cell, f"_l{index}" if index else "")
    return found


def _suffixed(layer: Any, suffix: str) -> dict[str, Weight]:
    return {name + suffix: replace(w, name=name + suffix) for name, w in weights_of(layer).items()}


def _own(layer: Any) -> Iterator[Weight]:
    layouts = _LAYOUTS.get(keras_class(layer, _LAYOUTS), {})
    for variable in _shown_variables(layer):
        rank = len(shape_of(layer, variable))
        unknown = {variable.name: positional_layout(rank)}
        canonical = layouts.get(variable.name, {}).get(rank, unknown)
        if keras_class(layer, ("PReLU",)) and (layout := _slope_of_channels(layer)):
            canonical = {"slope": layout}
        for name, layout in canonical.items():
            yield _weight(name, layer, variable, layout)


def _slope_of_channels(layer: Any) -> Layout | None:
    """The layout of slopes that all places share, so that there is one for each channel; else None."""
    rank, shared = len(layer.alpha.shape), set(layer.shared_axes or ())
    left = [axis for axis in range(1, rank + 1) if axis not in shared]
    channels = rank if keras.config.image_data_format() == "channels_last" else 1
    if left not in ([], [rank], [channels]):
        return None
    names = ["1" if axis in shared else "c" for axis in range(1, rank + 1)]
    return Layout(("channel",), f"{' '.join(names)} -> {'c' if left else '1'}" if rank > 1 else "")


def _projections(attention: Any) -> Iterator[Weight]:
    for name, (attribute, layouts) in _ATTENTION.items():
        projection = getattr(attention, attribute, None)
        for variable in _shown_variables(projection):
            rank = len(shape_of(projection, variable))
            layout = layouts.get(variable.name, {}).get(rank, positional_layout(rank))
            yield _weight(f"{name}_{variable.name}", projection, variable, layout)


def _weight(name: str, layer: Any, variable: Any, layout: Layout) -> Weight:
    compute = effective(layer, variable)
    return Weight(
        name,
        variable.name,
        layout,
        shape_of(layer, variable),
        variable.dtype,
        variable.trainable,
        compute or (lambda: as_numpy(variable.value)),
        None if compute else variable.assign,
        (id(variable), str(layout.part)),
    )


def _shown_variables(layer: Any) -> list[Any]:
    """A layer's own variables without those that only serve to compute an effective kernel."""
    return [variable for variable in own_variables(layer) if not serves_another(layer, variable)]
