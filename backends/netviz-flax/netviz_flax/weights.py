"""The variables of Flax modules under canonical names and with canonical axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from netviz_core.backend_api import SPATIAL_AXES, Layout, UnsupportedError, Weight, by_name, positional_layout

from .kinds import cell_of, flax_class, kind_of

_OUT, _CHANNEL = Layout(("out",)), Layout(("channel",))
_NORM = {
    "scale": ("scale", _CHANNEL),
    "bias": ("bias", _CHANNEL),
    "mean": ("running_mean", _CHANNEL),
    "var": ("running_variance", _CHANNEL),
}
_RULES = {
    "dense": {"kernel": ("kernel", Layout(("out", "in"), "i o -> o i")), "bias": ("bias", _OUT)},
    "embedding": {"embedding": ("kernel", Layout(("token", "out")))},
    **{f"{name}_norm": _NORM for name in ("batch", "layer", "rms", "group", "instance")},
}
_HEADS = {
    "kernel": Layout(("head", "head_dim", "in"), "i h d -> h d i"),
    "bias": Layout(("head", "head_dim")),
}
_OUTPUT = {"kernel": Layout(("out", "head", "head_dim"), "h d o -> o h d"), "bias": _OUT}
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_LSTM = {
    "input_kernel": (("ii", "if_", "ig", "io"), "kernel", Layout(("gate", "out", "in"), "g i o -> g o i")),
    "recurrent_kernel": (("hi", "hf", "hg", "ho"), "kernel", Layout(("gate", "out", "in"), "g i o -> g o i")),
    "bias": (("hi", "hf", "hg", "ho"), "bias", Layout(("gate", "out"))),
}
"""The gates of the cell that keeps them apart."""


def weights_of(module: Any, kind: str | None = None) -> Mapping[str, Weight]:
    """The module's weights by canonical name: its own, and those of the parts of which Flax makes one layer."""
    kind = kind or kind_of(module)
    if flax_class(module) == "Bidirectional":
        backward = weights_of(module.backward_rnn).values()
        turned = [replace(weight, name=f"{weight.name}_reverse") for weight in backward]
        return by_name([*weights_of(module.forward_rnn).values(), *turned])
    cell = cell_of(module)
    if kind in _GATES:
        return by_name([*(_gates(cell, kind)), *(_own(cell, kind))])
    return by_name([*(_projections(module) if kind == "attention" else ()), *_own(module, kind)])


def variables_of(module: Any) -> Iterator[tuple[str, nnx.Variable[Any]]]:
    """A module's own variables but the state of random generators, those in collections included."""
    for name, held in vars(module).items():
        keyed = (
            held.items()
            if isinstance(held, dict)
            else enumerate(held)
            if isinstance(held, (list, tuple))
            else ()
        )
        for label, variable in ((name, held), *((f"{name}.{key}", below) for key, below in keyed)):
            if isinstance(variable, nnx.Variable) and not isinstance(variable, nnx.RngState):
                yield label, variable


def _own(module: Any, kind: str) -> Iterator[Weight]:
    for label, variable in variables_of(module):
        rank, rules = len(variable.shape), _RULES.get(kind, {})
        flipped: tuple[int, ...] = ()
        if "conv" in kind and label in ("kernel", "bias"):
            # Without it Flax goes over the input with the kernel as it is, where others turn it round.
            if label == "kernel" and kind.endswith("_transpose") and not module.transpose_kernel:
                flipped = tuple(range(rank - 2))
            rules = _convolution(kind, rank, flipped)
        name, layout = rules.get(label, (label, positional_layout(rank)))
        if layout.native_rank != rank:
            name, layout = label, positional_layout(rank)
        yield _weight(name, label, [variable], layout, flipped)


def _convolution(kind: str, rank: int, flipped: tuple[int, ...]) -> dict[str, tuple[str, Layout]]:
    axes = SPATIAL_AXES[5 - rank :]
    native = "o i" if kind.endswith("_transpose") and not flipped else "i o"
    pattern = f"{' '.join(axes)} {native} -> o i {' '.join(axes)}"
    return {"kernel": ("kernel", Layout(("out", "in", *axes), pattern)), "bias": ("bias", _OUT)}


def _projections(attention: Any) -> Iterator[Weight]:
    parts = (("query", _HEADS), ("key", _HEADS), ("value", _HEADS), ("out", _OUTPUT))
    for name, layouts in parts:
        for label, variable in variables_of(getattr(attention, name)):
            whole = f"{'output' if name == 'out' else name}_{label}"
            yield _weight(whole, f"{name}.{label}", [variable], layouts[label])


def _gates(cell: Any, kind: str) -> Iterator[Weight]:
    if flax_class(cell) == "LSTMCell":
        for name, (gates, label, layout) in _LSTM.items():
            yield _weight(name, gates[0], [getattr(getattr(cell, gate), label) for gate in gates], layout)
        return
    sizes, found = {"g": _GATES[kind]}, [("input", cell.dense_i), ("recurrent", cell.dense_h)]
    biases = [which for which, dense in found if dense.bias is not None]
    for which, dense in found:
        kernel = Layout(("gate", "out", "in"), "i (g o) -> g o i", sizes)
        yield _weight(f"{which}_kernel", "kernel", [dense.kernel], kernel)
        if dense.bias is not None:
            name = "bias" if which == biases[0] else "recurrent_bias"
            yield _weight(name, "bias", [dense.bias], Layout(("gate", "out"), "(g o) -> g o", sizes))


def _weight(
    name: str, native: str, variables: Sequence[Any], layout: Layout, flipped: tuple[int, ...] = ()
) -> Weight:
    """A weight that lies in one variable, or in several of one shape that stand one behind the other."""
    first, many = variables[0], len(variables) > 1

    def read() -> np.ndarray[Any, Any]:
        values = [variable.get_value() for variable in variables]
        if not all(isinstance(value, (jax.Array, np.ndarray)) for value in values):
            raise UnsupportedError(f"weight {name!r} has no values yet: it is known by its shape alone")
        arrays = [np.asarray(value) for value in values]
        return np.flip(np.stack(arrays) if many else arrays[0], flipped)

    def write(new: np.ndarray[Any, Any]) -> None:
        new = np.flip(new, flipped)
        for variable, values in zip(variables, new if many else [new], strict=True):
            variable.set_value(jnp.asarray(values, variable.dtype))

    shape = (len(variables), *first.shape) if many else tuple(first.shape)
    trainable, identity = isinstance(first, nnx.Param), tuple(map(id, variables))
    return Weight(name, native, layout, shape, str(first.dtype), trainable, read, write, (*identity, "None"))
