"""How a value between layers was made from what came before it: a sum of two, and a function of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ...recomputing.activation import activated
from ...words.arrays import AxisArray
from ..common import matched, sketch, sketch_error
from ..judging.difference import Difference
from ..judging.judging import Judge, like

Array = np.ndarray[Any, Any]

_CLOSE = 1e-3
_PLAIN = (
    "linear relu relu6 silu tanh sigmoid selu softplus softsign mish hard_silu hard_sigmoid exponential"
).split()


class Function(NamedTuple):
    """An activation function with its settings."""

    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    def __call__(self, values: Array) -> Array:
        """The function of each value."""
        result = activated(self.name, values, dict(self.settings))
        assert result is not None
        return result

    def __str__(self) -> str:
        told = ", ".join(
            f"{name.replace('_', ' ')} {value}"
            if isinstance(value, bool)
            else f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in self.settings
        )
        return f"{self.name} ({told})" if told else self.name


FUNCTIONS = (
    *(Function(name) for name in _PLAIN),
    Function("elu", (("alpha", 1.0),)),
    Function("gelu", (("approximate", False),)),
    Function("gelu", (("approximate", True),)),
)


class Earlier(NamedTuple):
    """A value from before, on both sides."""

    words: str
    a: AxisArray
    b: AxisArray


class Expression(NamedTuple):
    """What made a value: the function of one earlier value or of the sum of two, by their numbers."""

    function: Function
    parts: frozenset[int]


class Explained(NamedTuple):
    """Why two values differ; `left` is what the two expressions leave of the values themselves."""

    name: str
    words: str
    left: Difference


def explained(a: AxisArray, b: AxisArray, earlier: Sequence[Earlier], judge: Judge) -> Explained | None:
    """Find how both values were made of the same earlier ones, and so what is done on one side alone.

    Parameters
    ----------
    a, b : AxisArray
        Values that differ.
    earlier : sequence of Earlier
        Values that agree, the latest first.
    judge : Judge
    """
    ours = _expression(a, [value.a for value in earlier], judge)
    theirs = _expression(b, [value.b for value in earlier], judge)
    if ours is None or theirs is None or ours[0] == theirs[0]:
        return None
    (one, left), (other, left_b) = ours, theirs
    words = f"a computes {_said(one, earlier)}, b {_said(other, earlier)}"
    return Explained(_name(one, other), words, max(left, left_b, key=lambda found: found.error))


def _name(one: Expression, other: Expression) -> str:
    if one.parts != other.parts:
        return "addition" if len(one.parts) != len(other.parts) else "order of layers"
    names = {one.function.name, other.function.name}
    return "slope" if "leaky_relu" in names and names <= {"leaky_relu", "relu", "linear"} else "activation"


def _said(found: Expression, earlier: Sequence[Earlier]) -> str:
    total = " + ".join(earlier[number].words for number in sorted(found.parts))
    return total if found.function.name == "linear" else f"{found.function} of {total}"


def _expression(
    value: AxisArray, earlier: Sequence[AxisArray], judge: Judge
) -> tuple[Expression, Difference] | None:
    """What made a value; candidates are looked at in a few places first."""
    forms = {number: form for number, other in enumerate(earlier) if (form := matched(value, other))}
    points = {number: (sketch(form.a), sketch(form.b)) for number, form in forms.items()}
    for parts in _sums(list(forms)):
        form = forms[parts[0]]
        few = reduce(np.add, [points[part][1] for part in parts])
        for function in _functions(few, points[parts[0]][0]):
            result = function(reduce(np.add, [forms[part].b for part in parts]))
            left = judge.difference(like(value, result, form.axes), like(value, form.a, form.axes))
            if left.within:
                return Expression(function, frozenset(parts)), left
    return None


def _sums(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Each alone, then each of the latest with each other one."""
    yield from ((number,) for number in numbers)
    for place, number in enumerate(numbers):
        yield from ((other, number) for other in numbers[:place])


def _functions(x: Array, y: Array) -> Iterator[Function]:
    """The functions that make of some numbers these others."""
    with np.errstate(all="ignore"):
        for function in FUNCTIONS:
            if sketch_error(function(x), y) < _CLOSE:
                yield function
        below = x < -_CLOSE * np.std(x)
        if below.any():
            slope = float(np.median(y[below] / x[below]))
            if sketch_error(np.where(x < 0, slope * x, x), y) < _CLOSE:
                yield Function("leaky_relu", (("negative_slope", slope),))
