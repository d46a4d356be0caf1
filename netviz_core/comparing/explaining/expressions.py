"""How a value between layers was made from what came before it: a sum of two, and a function of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ...words.arrays import AxisArray
from ..common import matched, sketch
from ..judging.difference import Difference
from ..judging.judging import Judge, like
from .functions import Function, activation_cause, functions_of
from .operations import Operation, attentions_of, operations_of

Array = np.ndarray[Any, Any]

_MOST_MAPS = 6


class Earlier(NamedTuple):
    """A value from before, on both sides."""

    words: str
    a: AxisArray
    b: AxisArray


class Expression(NamedTuple):
    """What made a value: the function of one earlier value or of the sum of two, or an operation on some."""

    function: Function | Operation
    parts: tuple[int, ...]


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
    if ours is None or theirs is None:
        return None
    (one, left), (other, left_b) = ours, theirs
    said = _said(one, earlier), _said(other, earlier)
    if said[0] == said[1]:
        return None
    words = f"a computes {said[0]}, b {said[1]}"
    return Explained(_name(one, other), words, max(left, left_b, key=lambda found: found.error))


def _name(one: Expression, other: Expression) -> str:
    if set(one.parts) != set(other.parts):
        return "addition" if len(one.parts) != len(other.parts) else "order of layers"
    if isinstance(one.function, Function) and isinstance(other.function, Function):
        return activation_cause(one.function.name, other.function.name)
    names = {found.function.name for found in (one, other) if isinstance(found.function, Operation)}
    return names.pop() if len(names) == 1 else "pooling" if "pooling" in names else "operation"


def _said(found: Expression, earlier: Sequence[Earlier]) -> str:
    if isinstance(found.function, Operation) and len(found.parts) > 1:
        return f"{found.function} of {', '.join(earlier[number].words for number in found.parts)}"
    total = " + ".join(earlier[number].words for number in sorted(found.parts))
    plain = isinstance(found.function, Function) and found.function.name == "linear"
    return total if plain else f"{found.function} of {total}"


def _expression(
    value: AxisArray, earlier: Sequence[AxisArray], judge: Judge
) -> tuple[Expression, Difference] | None:
    """What made a value; functions are looked at in a few places first."""
    forms = {number: form for number, other in enumerate(earlier) if (form := matched(value, other))}
    points = {number: (sketch(form.a), sketch(form.b)) for number, form in forms.items()}
    for parts in _sums(list(forms)):
        form = forms[parts[0]]
        if len(parts) == 1:
            found = functions_of(form.b, form.a)
        else:
            few = reduce(np.add, [points[part][1] for part in parts])
            found = functions_of(few, points[parts[0]][0])
        for function in found:
            result = function(reduce(np.add, [forms[part].b for part in parts]))
            left = judge.difference(like(value, result, form.axes), like(value, form.a, form.axes))
            if left.within:
                return Expression(function, parts), left
    for operation, parts in _operations(value, earlier):
        left = judge.difference(like(value, operation.result.values, operation.result.axes), value)
        if left.within:
            return Expression(operation, parts), left
    return None


def _operations(
    value: AxisArray, earlier: Sequence[AxisArray]
) -> Iterator[tuple[Operation, tuple[int, ...]]]:
    value = value.canonical()
    for number, other in enumerate(earlier[:_MOST_MAPS]):
        for operation in operations_of(other.canonical(), value):
            yield operation, (number,)
    if len(value.shape) == 3:
        like_it = [number for number, other in enumerate(earlier) if other.shape == value.shape][:3]
        numbers = like_it[::-1]  # in the order in which they were made
        parts = [earlier[number].canonical() for number in numbers]
        wide = (*value.shape[:2], 3 * value.shape[2])
        joined = next((number for number, other in enumerate(earlier) if other.shape == wide), None)
        if joined is not None:
            numbers, whole = [joined] * 3, earlier[joined].canonical()
            parts = [AxisArray(part, value.axes) for part in np.split(whole.values, 3, -1)]
        for operation, order in attentions_of(parts, value) if len(parts) == 3 else ():
            yield operation, tuple(numbers[place] for place in order)


def _sums(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Each alone, then each of the latest with each other one."""
    yield from ((number,) for number in numbers)
    for place, number in enumerate(numbers):
        yield from ((other, number) for other in numbers[:place])
