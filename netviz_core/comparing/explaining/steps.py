"""Which one step between layers explains a difference: a model that shows its steps is run again with one changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice, permutations
from typing import Any, NamedTuple

import numpy as np

from ...captures.recorder import Slot
from ...recomputing.activation import activated
from ...words.arrays import AxisArray
from ..judging.judging import Judge, returned_by
from ..judging.places import Place
from ..judging.recipes import named
from ..sides import Side
from ..stations import Station

Array = np.ndarray[Any, Any]
Key = tuple[str, int, str, bool]
"""Path, call and leaf of a tensor, and whether it is given."""

_MOST = 64
"""So many passes at most are made."""

_FUNCTIONS = ("softmax", "sigmoid", "hard_sigmoid", "relu", "gelu", "silu", "tanh", "hard_silu")
_MOST_JOINED = 3


class Step(NamedTuple):
    """What one side does otherwise at a layer that has no partner."""

    name: str
    words: str
    path: str
    is_of_a: bool


class _Otherwise(NamedTuple):
    """A value of a step as it might be: what that is called, in words, the step, and the value with its place."""

    name: str
    words: str
    station: Station
    slot: Slot
    is_given: bool
    values: Array


def step_apart(place: Place, judge: Judge) -> Step | None:
    """Find the one step before a place that makes the difference there, if the side that shows it can be run again."""
    both = [_coming_out(place, side, is_of_a) for side, is_of_a in ((judge.a, True), (judge.b, False))]
    apart = [judge.difference(*pair) for pair in zip(*both, strict=False)]
    number = next((number for number, found in enumerate(apart) if not found.within), None)
    if number is None:
        return None
    for is_of_a, side, steps in ((False, judge.b, place.between_b), (True, judge.a, place.between_a)):
        if not side.can_be_rerun:
            continue
        own, other = ("a", "b") if is_of_a else ("b", "a")
        for option in islice(_options(steps), _MOST):
            again = _coming_out(place, side.rerun(_replacing(option, steps), {}, side), is_of_a)
            if len(again) <= number:
                continue
            pair = (again[number], both[1][number]) if is_of_a else (both[0][number], again[number])
            left = judge.difference(*pair)
            if left.within:
                words = option.words.format(own=own, other=other, path=option.station.path)
                falls = f"the difference falls from {apart[number].max_abs:.1e} to {left.max_abs:.1e}"
                return Step(option.name, f"{words}; with that in both, {falls}", option.station.path, is_of_a)
    return None


def _options(steps: Sequence[Station]) -> Iterator[_Otherwise]:
    """What may have been done otherwise: orders first, which have one step each; then functions left out."""
    return chain(
        chain.from_iterable(map(_in_other_order, steps)),
        (option for name in _FUNCTIONS for station in steps for option in _with_function(name, station)),
    )


def _in_other_order(station: Station) -> Iterator[_Otherwise]:
    given, returned = [_native(slot) for slot in station.given_numbers], station.returned_slots
    if len(returned) != 1 or not 2 <= len(given) <= _MOST_JOINED:
        return
    made = _native(returned[0])
    axis = _joined_along(given, made)
    words = "{own} does {path!r} with what it is given in another order than {other}"
    if axis is not None:
        for order in list(permutations(given))[1:]:
            joined = np.concatenate(order, axis)
            yield _Otherwise("order of concatenation", words, station, returned[0], False, joined)
    elif len(given) == 2 and given[0].shape == given[1].shape and np.array_equal(given[0] - given[1], made):
        yield _Otherwise("order of subtraction", words, station, returned[0], False, -made)


def _joined_along(given: Sequence[Array], made: Array) -> int | None:
    """The axis along which values were joined to another one; None if they were not."""
    if any(value.ndim != made.ndim for value in given):
        return None
    for axis in range(made.ndim):
        others = {value.shape[:axis] + value.shape[axis + 1 :] for value in (*given, made)}
        fits = len(others) == 1 and sum(value.shape[axis] for value in given) == made.shape[axis]
        if fits and np.array_equal(np.concatenate(given, axis), made):
            return axis
    return None


def _with_function(name: str, station: Station) -> Iterator[_Otherwise]:
    """What a step is given, as it would be behind a function; one that moves numbers only is not asked."""
    if station.layer.kind in ("reshape", "activation"):
        return
    for slot in station.given_numbers:
        values = _native(slot)
        if values.dtype.kind != "f" or not values.ndim:
            continue
        config = {"slope": 1 / 6} if name == "hard_sigmoid" else {}
        made = activated(name, values, config)
        if made is not None:
            words = f"{{other}} applies {name} before what is {{path!r}} in {{own}}, {{own}} does not"
            yield _Otherwise("activation", words, station, slot, True, made)


def _native(slot: Slot) -> Array:
    """A value as the framework has it."""
    values: Array = slot.observation.value.numpy()
    return values


def _replacing(option: _Otherwise, steps: Sequence[Station]) -> Any:
    """Put one value in place, and all others that steps behind are given and that do not come from it, as they were."""
    changed = option.station
    behind = _descending(changed, steps)
    put: dict[Key, Array] = {}
    for station in steps:
        if station.number > changed.number:
            for slot, source in zip(station.given_numbers, station.sources, strict=False):
                if source is not None and source not in behind:
                    put[station.path, station.call, slot.observation.leaf, True] = _native(slot)
    put[changed.path, changed.call, option.slot.observation.leaf, option.is_given] = option.values
    if option.is_given:
        for slot in changed.given_numbers:
            key = changed.path, changed.call, slot.observation.leaf, True
            put.setdefault(key, _native(slot))

    def replacement(path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]) -> Array | None:
        values = put.get((path, call, leaf, is_given))
        return values if values is not None and values.shape == shape else None

    return replacement


def _descending(changed: Station, steps: Sequence[Station]) -> Collection[int]:
    found = {changed.number}
    for station in sorted(steps, key=lambda step: step.number):
        if found & {*station.sources}:
            found.add(station.number)
    return found


def _coming_out(place: Place, side: Side, is_of_a: bool) -> Sequence[AxisArray]:
    """What comes out of a place in a pass of one side: what the next pair is given, or the model returned."""
    if place.before is not None:
        pair = place.before.pair
        head = side.stations[(pair.head_a if is_of_a else pair.head_b).number]
        return [named(head, value) for value in head.given]
    return returned_by(side.whole) if side.whole is not None else ()
