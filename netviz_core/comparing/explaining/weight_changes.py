"""How one weight became another: transposed, flipped, its gates or features in another order, a few values changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ...models.transfer import counterpart, values_for
from ...words.errors import NetvizError
from ...words.protocols import Layer
from ..common import flattenings
from ..judging.weights import held_by
from .narrow import round_to

Array = np.ndarray[Any, Any]

_GATES = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new")}
_CLOSE = 1e-4
_FEW = 0.05
_MOST_MAPS = 64


class WeightChange(NamedTuple):
    """What was done to weights, in words; `name` is one word for it."""

    name: str
    words: str
    weights: tuple[str, ...]


def weight_changes(
    a: Layer, b: Layer, odd: Sequence[str], others: Sequence[Layer] = ()
) -> Iterator[WeightChange]:
    """Say how b's weights came from a's.

    Parameters
    ----------
    a, b : Layer
    odd : sequence of str
        The weights that differ.
    others : sequence of Layer
        The other layers of a: b's weights may belong to one of them.
    """
    owner = next((other for other in others if _holds(other, b, odd)), None)
    if owner is not None:
        yield WeightChange("order of layers", f"b has the weights of a's {owner.path!r}", tuple(odd))
        return
    values, _ = values_for(a, b)
    held_in_b = held_by(b, a)
    gated: dict[tuple[int, ...], list[str]] = {}
    for name in odd:
        weight = b.weights.get(name)
        if weight is None:
            yield _missing(name, "b")
            continue
        try:
            expected, _ = counterpart(name, weight, values, a, b)
        except NetvizError as error:
            yield WeightChange("weights", f"{name}: {error}", (name,))
            continue
        if name not in held_in_b:
            yield WeightChange("weights", f"{name} of b cannot be read", (name,))
            continue
        held = held_in_b[name]
        gates = _gate_order(expected, held) if weight.axes[:1] == ("gate",) else None
        if gates is not None:
            gated.setdefault(gates, []).append(name)
        elif name not in a.weights:
            yield _missing(name, "a")
        elif "bias" in name and not held.any():
            yield WeightChange("bias", f"{name} is missing in b: all zeros", (name,))
        elif "bias" in name and not expected.any():
            yield WeightChange("bias", f"{name} is missing in a: all zeros", (name,))
        else:
            yield _changed(name, expected, held, weight.axes)
    for order, names in gated.items():
        known = _GATES.get(a.kind, tuple(str(number) for number in range(len(order))))
        said = ", ".join(known[place] for place in order)
        yield WeightChange(
            "gate order", f"where the gates {', '.join(known)} belong, b has those for {said}", tuple(names)
        )


def _holds(other: Layer, b: Layer, names: Sequence[str]) -> bool:
    """Whether these weights of a layer of b are those of a layer of a."""
    if other.kind != b.kind or not set(names) <= other.weights.keys() & b.weights.keys():
        return False
    if any(other.weights[name].shape != b.weights[name].shape for name in names):
        return False
    values, _ = values_for(other, b)
    try:
        pairs = [
            (counterpart(name, b.weights[name], values, other, b)[0], b.weights[name].peek())
            for name in names
        ]
    except NetvizError:
        return False
    return all(_same(expected, held) and np.ptp(held) > 0 for expected, held in pairs)


def _missing(name: str, who: str) -> WeightChange:
    if name.startswith("running_"):
        words = f"{who} has no {name!r}: it normalises with the statistics of the batch, as in training mode"
        return WeightChange("training mode", words, (name,))
    return WeightChange("bias" if "bias" in name else "weights", f"{who} has no weight {name!r}", (name,))


def _gate_order(expected: Array, held: Array) -> tuple[int, ...] | None:
    gates = range(len(expected))
    return next((order for order in permutations(gates) if _same(expected[list(order)], held)), None)


def _changed(name: str, expected: Array, held: Array, axes: Sequence[str]) -> WeightChange:
    if expected.shape != held.shape:
        return WeightChange(
            "weights", f"{name} has the shape {expected.shape} in a and {held.shape} in b", (name,)
        )
    if expected.ndim == 2 and "in" in axes:
        order = _flatten_order(expected, held, list(axes).index("in"))
        if order is not None:
            words = f"{name} of b is a's with its inputs in another order, as if flattened {order}"
            return WeightChange("flatten order", words, (name,))
    for dtype in ("bfloat16", "float16"):
        for who, other, wide, narrow in (("b", "a", expected, held), ("a", "b", held, expected)):
            if narrow.any() and np.array_equal(round_to(wide, dtype), narrow):
                return WeightChange("precision", f"{name} of {who} is {other}'s, rounded to {dtype}", (name,))
    for cause, words, arranged in _arrangements(expected, axes):
        if _same(arranged, held):
            return WeightChange(cause, f"{name} of b is {words}", (name,))
    with np.errstate(all="ignore"):
        apart = np.abs(expected.astype(np.float64) - held) > _CLOSE * (np.abs(held) + np.std(held))
    count = int((apart | ~np.isfinite(held) & np.isfinite(expected)).sum())
    if 0 < count <= max(_FEW * held.size, 1):
        place = np.unravel_index(int(np.argmax(apart)), apart.shape)
        where = ", ".join(f"{axis} {index}" for axis, index in zip(axes, place, strict=True))
        words = (
            f"{count:,} of {held.size:,} values of {name} differ, such as that at {where}: "
            f"{expected[place]:.6g} in a, {held[place]:.6g} in b"
        )
        return WeightChange("weights", words, (name,))
    factor = float(np.vdot(expected, held) / np.vdot(expected, expected)) if expected.any() else 0.0
    if factor and _same(expected * factor, held):
        return WeightChange("weights", f"{name} of b is {factor:.6g} times a's", (name,))
    return WeightChange("weights", f"{name} is different in b", (name,))


def _arrangements(values: Array, axes: Sequence[str]) -> Iterator[tuple[str, str, Array]]:
    """The mistakes that are made with a weight: name, words, and what comes of them."""
    sizes = dict(zip(axes, values.shape, strict=True))
    spatial = [place for place, axis in enumerate(axes) if axis in ("z", "y", "x")]
    if "out" in sizes and sizes.get("in") == sizes["out"]:
        out, into = axes.index("out"), axes.index("in")
        yield "transposed kernel", "a's with in and out exchanged (transposed)", values.swapaxes(out, into)
    if spatial:
        yield (
            "flipped kernel",
            f"a's flipped along {', '.join(axes[p] for p in spatial)}",
            np.flip(values, tuple(spatial)),
        )
        for order in permutations(spatial):
            if list(order) != spatial:
                moved = list(range(values.ndim))
                for place, source in zip(spatial, order, strict=True):
                    moved[place] = source
                turned = values.transpose(moved)
                yield "transposed kernel", "a's with its spatial axes exchanged", turned
    for place, axis in enumerate(axes):
        if sizes[axis] > 1:
            cause = "channel order" if axis == "in" else "weights"
            yield cause, f"a's with {axis} in reverse", np.flip(values, place)
    yield "weights", "the negative of a's", -values


def _flatten_order(expected: Array, held: Array, place: int) -> str | None:
    """How features of maps were flattened on the one side, if channel by channel on the other, or the reverse.

    Only which axis is the slowest matters: places in a row stand for any map of as many.
    """
    size = expected.shape[place]
    for channels in range(2, size):
        if size % channels:
            continue
        for words, indices in flattenings((channels, size // channels), ("channel", "place")):
            one, other = (values.take([0], axis=1 - place) for values in (expected, held))
            if _same(one.take(indices, axis=place), other) and _same(
                expected.take(indices, axis=place), held
            ):
                return words
    return None


def _same(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return False
    first = (0,) * left.ndim
    scale = float(np.std(right)) + abs(float(right[first])) if left.size else 0.0
    if abs(float(left[first]) - float(right[first])) > _CLOSE * scale:
        return False
    return bool(np.allclose(left, right, rtol=_CLOSE, atol=_CLOSE * scale, equal_nan=True))
