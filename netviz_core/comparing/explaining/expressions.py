"""How a value between layers was made from what came before it: a sum of two, and a function of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, islice, product
from typing import Any, NamedTuple

import numpy as np

from ...words.arrays import AxisArray
from ..common import Matched, matched, sketch
from ..judging.difference import Difference
from ..judging.judging import Judge, like
from .functions import Function, activation_cause, functions_of
from .of_maps import made_of
from .operations import (
    Attention,
    Operation,
    attention_cause,
    attentions_apart,
    attentions_of,
    may_be_made_up_for,
)
from .sums import Factors, in_words, is_written, sums_of, total

Array = np.ndarray[Any, Any]

PASSED_ON = "passed on"
"""What it is called if both do the same with what differs."""

Forms = Mapping[int, Matched]
"""Earlier values by their number, each together with the value in question."""

_MOST_MAPS = 6
_CLEAR = 0.1


class Earlier(NamedTuple):
    """A value from before, on both sides."""

    words: str
    a: AxisArray
    b: AxisArray
    path: str = ""
    """The layer of a that returned it."""
    words_b: str = ""
    """The same in words of b, if those are others."""


class Expression(NamedTuple):
    """What made a value: a function of one earlier value or of a sum of some, or an operation on some."""

    function: Function | Operation
    factors: Factors
    times: int | None = None
    """Which earlier value it is multiplied by."""

    @property
    def parts(self) -> tuple[int, ...]:
        """The earlier values that it is made of."""
        return (*self.factors, *(() if self.times is None else (self.times,)))

    @property
    def functions(self) -> tuple[str, ...]:
        """The activations before and after a pool; none for anything else."""
        return self.function.functions if isinstance(self.function, Operation) else ()


class Explained(NamedTuple):
    """Why two values differ; `left` is what the two expressions leave of the values themselves.

    `reads` are layers of a that may make up for it, if what they return differs, too.
    """

    name: str
    words: str
    left: Difference
    reads: tuple[str, ...] = ()
    attention: Attention | None = None
    """What b does with what these return, where they may make up for it."""
    is_written: bool = True
    """Whether people write such sums; any few values can be fitted to another one more or less."""


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
    made = [_expression(a, [value.a for value in earlier], judge)]
    made.append(_expression(b, [value.b for value in earlier], judge))
    if made[0] is None or made[1] is None:
        return None
    (one, left), (other, left_b) = _alike(made[0], made[1], (a, b), earlier, judge)
    words_b = [value.words_b or value.words for value in earlier]
    said = _said(one, [value.words for value in earlier]), _said(other, words_b)
    values = [value.a for value in earlier], [value.b for value in earlier]
    for found, own in ((one, said[0]), (other, said[1])):
        if _holds(found, a, values[0], judge) and _holds(found, b, values[1], judge):
            return Explained(PASSED_ON, f"both compute {own}; what differs has come with it", left)
    if said[1] == _said(one, words_b):
        return None
    words = _apart(one, other, earlier) or f"a computes {said[0]}, b {said[1]}"
    ours, theirs = (getattr(found.function, "attention", None) for found in (one, other))
    reads = [earlier[number].path for number in one.parts]
    is_sure = ours is None or theirs is None or not may_be_made_up_for(ours, theirs)
    left = max(left, left_b, key=lambda found: found.error)
    return Explained(
        _name(one, other),
        words,
        left,
        () if is_sure else tuple(filter(None, reads)),
        None if is_sure else theirs,
        is_written(one.factors) and is_written(other.factors),
    )


def _alike(
    one: Found, other: Found, both: tuple[AxisArray, AxisArray], earlier: Sequence[Earlier], judge: Judge
) -> tuple[Found, Found]:
    """Two expressions; where one of two pools may as well follow the activation that the other does, they do both."""
    if not (one[0].functions and other[0].functions) or one[0].functions == other[0].functions:
        return one, other
    sides = [value.a for value in earlier], [value.b for value in earlier]
    ways = (_made(value, side, judge) for value, side in zip(both, sides, strict=True))
    for of_a, of_b in product(*ways):
        if of_a[0].parts == of_b[0].parts and of_a[0].functions == of_b[0].functions:
            return of_a, of_b
    return one, other


def _apart(one: Expression, other: Expression, earlier: Sequence[Earlier]) -> str:
    """Two attentions of the same values by what differs alone; nothing for anything else."""
    ours, theirs = (getattr(found.function, "attention", None) for found in (one, other))
    if ours is None or theirs is None or ours == theirs or list(one.parts) != list(other.parts):
        return ""
    with_a, with_b = attentions_apart(ours, theirs)
    values = ", ".join(earlier[number].words for number in one.parts)
    return f"a computes attention {with_a}, b {with_b}; all else is the same: of {values}"


def _holds(found: Expression, value: AxisArray, earlier: Sequence[AxisArray], judge: Judge) -> bool:
    """Whether a value is made so."""
    forms = {number: matched(value, earlier[number]) for number in found.factors}
    values = {number: form.b for number, form in forms.items() if form is not None}
    form = next(iter(forms.values()))
    if isinstance(found.function, Operation) or found.times is not None or form is None:
        return False
    if len(values) < len(forms):
        return False
    return _left(value, found.function(total(values, found.factors)), form, judge).within


def _name(one: Expression, other: Expression) -> str:
    if set(one.parts) != set(other.parts):
        return "addition" if len(one.parts) != len(other.parts) else "order of layers"
    if one.factors != other.factors:
        is_turned = one.factors == {number: -factor for number, factor in other.factors.items()}
        return "order of subtraction" if is_turned and sum(one.factors.values()) == 0 else "scale"
    if isinstance(one.function, Function) and isinstance(other.function, Function):
        return activation_cause(one.function.name, other.function.name)
    attention, theirs = (getattr(found.function, "attention", None) for found in (one, other))
    if attention is not None and theirs is not None:
        return attention_cause(attention, theirs)
    for left, right in zip(one.functions, other.functions, strict=False):
        if left != right:
            return activation_cause(left, right)
    names = {found.function.name for found in (one, other) if isinstance(found.function, Operation)}
    return names.pop() if len(names) == 1 else "pooling" if "pooling" in names else "operation"


def _said(found: Expression, earlier: Sequence[str]) -> str:
    """An expression in words, of the words for earlier values."""
    if isinstance(found.function, Operation) and len(found.parts) > 1:
        return f"{found.function} of {', '.join(earlier[number] for number in found.parts)}"
    said = in_words(found.factors, {number: earlier[number] for number in found.factors})
    plain = isinstance(found.function, Function) and found.function.name == "linear"
    times = "" if found.times is None else f", times {earlier[found.times]}"
    if not plain:
        said = f"{found.function} of {said if len(found.factors) == 1 else f'({said})'}"
    return f"{said}{times}"


Found = tuple[Expression, Difference]


def _expression(value: AxisArray, earlier: Sequence[AxisArray], judge: Judge) -> Found | None:
    """What made a value, the simplest first."""
    forms = {number: form for number, other in enumerate(earlier) if (form := matched(value, other))}
    ways = (_of_one, _of_sum, _of_function_of_sum)
    found = chain.from_iterable(way(value, forms, judge) for way in ways)
    return next(chain(found, _of_product(value, earlier, forms, judge), _made(value, earlier, judge)), None)


def _of_one(value: AxisArray, forms: Forms, judge: Judge) -> Iterator[Found]:
    for number, form in forms.items():
        for function in functions_of(form.b, form.a):
            left = _left(value, function(form.b), form, judge)
            if left.within:
                yield Expression(function, {number: 1.0}), left


def _of_sum(value: AxisArray, forms: Forms, judge: Judge) -> Iterator[Found]:
    if not forms:
        return
    form, values = next(iter(forms.values())), {number: form.b for number, form in forms.items()}
    for factors in sums_of(values, form.a):
        left = _left(value, total(values, factors), form, judge)
        if left.within:
            yield Expression(Function("linear"), factors), left


def _of_function_of_sum(value: AxisArray, forms: Forms, judge: Judge) -> Iterator[Found]:
    """Functions are looked at in a few places first."""
    points = {number: (sketch(form.a), sketch(form.b)) for number, form in forms.items()}
    for one, other in combinations(forms, 2):
        for function in functions_of(points[one][1] + points[other][1], points[one][0]):
            left = _left(value, function(forms[one].b + forms[other].b), forms[one], judge)
            if left.within:
                yield Expression(function, {one: 1.0, other: 1.0}), left


def _of_product(
    value: AxisArray, earlier: Sequence[AxisArray], forms: Forms, judge: Judge
) -> Iterator[Found]:
    """A function of one value times another one, which may be smaller: a gate."""
    for number, form in islice(forms.items(), _MOST_MAPS):
        narrow = {other: _spread(earlier[other], form) for other in range(min(len(earlier), 2 * _MOST_MAPS))}
        few, wanted = sketch(form.b), sketch(form.a)
        clear = np.abs(few) > _CLEAR * np.std(few)
        for other, gate in narrow.items():
            if gate is None or other == number or not clear.any():
                continue
            ratio = np.divide(wanted, few, out=np.zeros_like(wanted), where=clear)
            for function in (Function("linear"), *functions_of(sketch(gate)[clear], ratio[clear])):
                left = _left(value, function(gate) * form.b, form, judge)
                if left.within:
                    yield Expression(function, {other: 1.0}, number), left


def _spread(value: AxisArray, form: Matched) -> Array | None:
    """A value in the shape of another one: it may lack axes, and be the same along them."""
    values, shape = value.canonical().values, form.b.shape
    values = values.reshape([size for size in values.shape if size != 1])
    if values.shape == shape:
        return values
    if values.ndim < len(shape) and values.shape == shape[: values.ndim]:
        return np.broadcast_to(values.reshape(*values.shape, *(1,) * (len(shape) - values.ndim)), shape)
    return None


def _made(value: AxisArray, earlier: Sequence[AxisArray], judge: Judge) -> Iterator[Found]:
    for operation, parts in _operations(value, earlier):
        left = judge.difference(like(value, operation.result.values, operation.result.axes), value)
        if left.within:
            yield Expression(operation, dict.fromkeys(parts, 1.0)), left


def _left(value: AxisArray, result: Array, form: Matched, judge: Judge) -> Difference:
    return judge.difference(like(value, result, form.axes), like(value, form.a, form.axes))


def _operations(
    value: AxisArray, earlier: Sequence[AxisArray]
) -> Iterator[tuple[Operation, tuple[int, ...]]]:
    value = value.canonical()
    for number, other in enumerate(earlier[:_MOST_MAPS]):
        yield from ((operation, (number,)) for operation in made_of(other.canonical(), value))
    if len(value.shape) != 3:
        return
    for numbers, parts in _three(value, earlier):
        for operation, order in attentions_of(parts, value):
            yield operation, tuple(numbers[place] for place in order)


def _three(
    value: AxisArray, earlier: Sequence[AxisArray]
) -> Iterator[tuple[Sequence[int], Sequence[AxisArray]]]:
    """Three values of which an attention may have made another one, in the order in which they were made."""
    wide = (*value.shape[:2], 3 * value.shape[2])
    joined = next((number for number, other in enumerate(earlier) if other.shape == wide), None)
    if joined is not None:
        whole = earlier[joined].canonical()
        yield [joined] * 3, [AxisArray(part, value.axes) for part in np.split(whole.values, 3, -1)]
    near = [
        number
        for number, other in enumerate(earlier)
        if other.shape[:2] == value.shape[:2]
        and len(other.shape) == 3
        and value.shape[2] % other.shape[2] == 0
    ]
    if len(near) >= 3:
        numbers = near[2::-1]
        yield numbers, [earlier[number].canonical() for number in numbers]
