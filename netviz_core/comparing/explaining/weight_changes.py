"""How one weight became another: transposed, flipped, its gates or features in another order, a few values changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ...models.counterparts import Held, held_by
from ...words.arrays import as_float64, count_nonfinite
from ...words.protocols import Layer
from ..narrow import round_to
from ..permutations import in_words, permutations_of, transposed

Array = np.ndarray[Any, Any]

_GATES = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new")}
_CLOSE = 1e-4
_FEW = 0.05


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
    yield from changes_in(held_by(a, b), odd)


def changes_in(held: Iterable[Held], odd: Sequence[str]) -> Iterator[WeightChange]:
    """Say how weights that differ came from what they would be as copies; what was done to several, once."""
    orders: dict[tuple[str, str], list[str]] = {}
    for weight in held:
        if weight.name in odd:
            name, words = _change(weight)
            if not name.endswith("order"):
                yield WeightChange(name, words.format(weight.name), (weight.name,))
            else:
                orders.setdefault((name, words), []).append(weight.name)
    for (name, words), weights in orders.items():
        yield WeightChange(name, words.format(" and ".join(weights)), tuple(weights))


def _change(weight: Held) -> tuple[str, str]:
    """A word for what was done, and a sentence with a place for the name of the weight."""
    expected, held = weight.expected, weight.held
    if (expected is None and held is None) or (
        "" not in weight.dtypes and (expected is None or held is None)
    ):
        return "weights", f"{{}}: {_literal(weight.reason)}"
    if expected is None or held is None or not weight.dtypes[1]:
        return _missing(weight.name, "b" if held is None else "a")
    if expected.shape == held.shape and (np.isfinite(expected) != np.isfinite(held)).any():
        return "weights", f"{{}} holds {_nonfinite({'a': expected, 'b': held})}"
    order = _reordered(weight, expected, held)
    if order is not None:
        return order
    if not weight.dtypes[0]:
        return _missing(weight.name, "a")
    if "bias" in weight.name and not held.any():
        return "bias", "{} is missing in b: all zeros"
    if "bias" in weight.name and not expected.any():
        return "bias", "{} is missing in a: all zeros"
    return _changed(expected, held, weight.axes)


def _nonfinite(sides: Mapping[str, Array]) -> str:
    """How many values are not finite, and in which model."""
    told = []
    for who, values in sides.items():
        counts = count_nonfinite(values)
        words = [f"{count:,} {name}" for count, name in zip(counts, ("NaN", "inf"), strict=True) if count]
        if words:
            told.append(f"{' and '.join(words)} in {who}")
    return " and ".join(told)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _holds(other: Layer, b: Layer, names: Sequence[str]) -> bool:
    """Whether these weights of a layer of b are those of a layer of a."""
    if other.kind != b.kind or not set(names) <= other.weights.keys() & b.weights.keys():
        return False
    if any(other.weights[name].shape != b.weights[name].shape for name in names):
        return False
    found = [weight for weight in held_by(other, b) if weight.name in names]
    return len(found) == len(names) and all(
        weight.expected is not None
        and weight.held is not None
        and _same(weight.expected, weight.held)
        and np.ptp(weight.held) > 0
        for weight in found
    )


def _missing(name: str, who: str) -> tuple[str, str]:
    if name.startswith("running_"):
        return (
            "training mode",
            f"{who} has no '{{}}': it normalises with the statistics of the batch, as in training mode",
        )
    return "bias" if "bias" in name else "weights", f"{who} has no weight '{{}}'"


_ORDERS = {"gate": "gate order", "head": "head order", "out": "row order", "token": "row order"}
_SIDES = {
    "in": "inputs",
    "out": "outputs",
    "gate": "gates",
    "head": "heads",
    "token": "tokens",
    "channel": "channels",
}


def _reordered(weight: Held, expected: Array, held: Array) -> tuple[str, str] | None:
    """Whether the slices of a weight stand in another order."""
    square = expected.ndim == 2 and expected.shape[0] == expected.shape[1]
    if square and _same(expected.T, held):
        return None  # which is told as such
    found = permutations_of(expected, held, weight.axes)
    if not found:
        return None
    first = found[0]
    name = _ORDERS.get(first.axis, "channel order")
    if first.axis == "in" and expected.ndim == 2 and (shape := transposed(first.order)):
        words = f"with its inputs in another order, as if {shape[0]} by {shape[1]} features were flattened transposed"
        return "flatten order", f"{{}} of b: a's {words}"
    if first.axis == "gate":
        known = _GATES.get(weight.kind, tuple(map(str, range(len(first.order)))))
        said = ", ".join(known[place] for place in first.order)
        return name, f"{{}}: where the gates {', '.join(known)} belong, b has those for {said}"
    said = " and ".join(
        f"{_SIDES.get(axis, axis)} in another order: {in_words(order, weight.heads)}" for axis, order in found
    )
    return name, f"{{}} of b: a's with its {said}"


def _changed(expected: Array, held: Array, axes: Sequence[str]) -> tuple[str, str]:
    if expected.shape != held.shape:
        return "weights", f"{{}} has the shape {expected.shape} in a and {held.shape} in b"
    for dtype in ("bfloat16", "float16"):
        for who, other, wide, narrow in (("b", "a", expected, held), ("a", "b", held, expected)):
            if narrow.any() and np.array_equal(round_to(wide, dtype), narrow):
                return "precision", f"{{}} of {who} is {other}'s, rounded to {dtype}"
    for cause, words, arranged in _arrangements(expected, axes):
        if _same(arranged, held):
            return cause, f"{{}} of b is {words}"
    apart = np.abs(as_float64(expected) - held) > _CLOSE * (np.abs(held) + np.std(held))
    count = int((apart | ~np.isfinite(held) & np.isfinite(expected)).sum())
    if 0 < count <= max(_FEW * held.size, 1):
        place = np.unravel_index(int(np.argmax(apart)), apart.shape)
        where = ", ".join(f"{axis} {index}" for axis, index in zip(axes, place, strict=True))
        words = (
            f"{count:,} of {held.size:,} values of {{}} differ, such as that at {where}: "
            f"{expected[place]:.6g} in a, {held[place]:.6g} in b"
        )
        return "weights", words
    factor = float(np.vdot(expected, held) / np.vdot(expected, expected)) if expected.any() else 0.0
    if factor and _same(expected * factor, held):
        return "weights", f"{{}} of b is {factor:.6g} times a's"
    return "weights", "{} is different in b"


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
    yield "weights", "the negative of a's", -values


def _same(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return False
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.array_equal(left, right, equal_nan=True)
    first = (0,) * left.ndim
    scale = float(np.std(right)) + abs(float(right[first])) if left.size else 0.0
    if abs(float(left[first]) - float(right[first])) > _CLOSE * scale:
        return False
    return bool(np.allclose(left, right, rtol=_CLOSE, atol=_CLOSE * scale))
