"""Holds the numbers of pairs against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.flattening import order_declared
from ...words.arrays import Activation, AxisArray
from ..common import Matched, flattenings, form_of, matched
from ..inputs import as_given
from ..pairing.pairs import StationPair
from ..sides import Side
from ..stations import INPUT, Station
from .difference import Difference, difference, incomparable, tolerance_for
from .frames import Frame
from .weights import weight_differences

Array = np.ndarray[Any, Any]

_RECURRENT = ("lstm", "gru", "rnn")
_MUCH_LESS = 0.1
"""An order of features is the right one if so small a share of the error is left in it."""


@dataclass(eq=False)
class Judged:
    """What the numbers say of a pair.

    Parameters
    ----------
    pair : StationPair
    given : Difference or None
        The worst of what they were given; None if that is not known.
    output : Difference
    weights : mapping from name to Difference
    status : str
        ``agrees``; ``differs`` where the difference begins; ``propagates`` an earlier one; ``compensated`` where
        later layers compensate it; ``rounding`` where nothing else has grown; ``weights`` where these alone differ.
    function_of : str
        The side, ``a`` or ``b``, whose layer applies an activation itself that is all that differs; else empty.
    """

    pair: StationPair
    given: Difference | None
    output: Difference
    weights: Mapping[str, Difference] = field(default_factory=dict)
    gradient: Difference | None = None
    status: str = "agrees"
    function_of: str = ""

    def is_known(self, is_given: bool) -> bool:
        """Whether it is known what both are given, or return; not all is where nothing can be run again."""
        if is_given:
            return self.pair.head_a.is_given_known and self.pair.head_b.is_given_known
        return self.pair.a[-1].is_returned_known and self.pair.b[-1].is_returned_known

    @property
    def weights_agree(self) -> bool:
        """Whether no weight is beyond the tolerance."""
        return all(found.within for found in self.weights.values())


class Judge:
    """Compares what two models did, pair by pair.

    Parameters
    ----------
    a, b : Side
    pairs : sequence of StationPair
    tolerance : float or None
        Given by the user.
    is_linked : bool
        Whether what a layer was given is what its source returned, so that it need not be looked at again.
    known : mapping from int to Judged, optional
        What is known already of pairs, by their numbers.
    """

    def __init__(
        self,
        a: Side,
        b: Side,
        pairs: Sequence[StationPair],
        tolerance: float | None,
        is_linked: bool = True,
        known: Mapping[int, Judged] | None = None,
    ) -> None:
        self.a, self.b = a, b
        self.tolerance = tolerance
        self._is_linked = is_linked
        # Then features that are flattened are flattened in the same order, if both do the same.
        self.is_laid_out_alike = a.framework == b.framework and _data_formats(a) == _data_formats(b)
        self._by_tail: dict[tuple[int, int], Judged] = {}
        self.inputs = self._whole_given()
        self.judged: list[Judged] = []
        self.frames: Sequence[Frame] = ()
        for number, pair in enumerate(pairs):
            told = (known or {}).get(number)
            found = (
                Judged(pair, told.given, told.output, function_of=told.function_of)
                if told is not None
                else Judged(pair, self._given(pair), self._output(pair))
            )
            self._by_tail[pair.a[-1].number, pair.b[-1].number] = found
            self.judged.append(found)
        self.whole = self._whole_returned()

    def of(
        self, a: Side, b: Side, pairs: Sequence[StationPair], known: Mapping[int, Judged] | None = None
    ) -> Judge:
        """The same of another run, whose pairs stand in the same order, and some of which are known already."""
        judge = Judge(a, b, pairs, self.tolerance, is_linked=False, known=known)
        judge.frames = self.frames
        for found, before in zip(judge.judged, self.judged, strict=True):
            found.weights, found.gradient = before.weights, before.gradient
        return judge

    @property
    def is_of_rerun(self) -> bool:
        """Whether values of one side were put in place in the other, so that no error travels."""
        return not self._is_linked

    def tolerating(self, tolerance: float) -> Judge:
        """The same, with another measure for what it is asked from now on."""
        judge = copy(self)
        judge.tolerance = tolerance
        return judge

    def look_again(self, found: Judged) -> None:
        """Hold the values of a pair against each other once more, after layers have joined it."""
        found.given, found.output = self._given(found.pair), self._output(found.pair)
        self._by_tail[found.pair.a[-1].number, found.pair.b[-1].number] = found

    def judged_as(self, pair: StationPair) -> Judged:
        """What would be said of two layers if they were a pair."""
        weights = weight_differences(*pair.layers, self.tolerance)
        return Judged(pair, self._worst(pair.head_a.given, pair.head_b.given), self._output(pair), weights)

    def weigh(self) -> None:
        """Compare the weights of all pairs, where both sides hold any."""
        if not (self.a.holds_weights and self.b.holds_weights):
            return
        for found in self.judged:
            found.weights = weight_differences(*found.pair.layers, self.tolerance)

    def difference(self, a: AxisArray, b: AxisArray, tolerance: float | None = None) -> Difference:
        """Hold two arrays against each other, after their axes have been brought together.

        By default to what is tolerated of their dtypes.
        """
        together = matched(a, b)
        if together is None:
            return incomparable(f"{form_of(a)} against {form_of(b)}")
        if tolerance is not None:
            return difference(together.a, together.b, tolerance, together.note)
        return self._held(together, a, b)

    def _held(self, together: Matched, a: AxisArray, b: AxisArray) -> Difference:
        tolerance = self.tolerance if self.tolerance is not None else tolerance_for(_dtype(a), _dtype(b))
        return difference(together.a, together.b, tolerance, together.note)

    def _whole_given(self) -> Difference | None:
        return self._worst(*as_given(self.a, self.b))

    def _whole_returned(self) -> Difference | None:
        """What came out in the end."""
        if self.a.whole is None or self.b.whole is None:
            return None
        return self._worst(self.a.whole.returned, self.b.whole.returned)

    def _worst(self, ours: Sequence[AxisArray], theirs: Sequence[AxisArray]) -> Difference | None:
        """The worst difference of tensors that are many on both sides."""
        parts = [self.difference(ours[i], theirs[j]) for i, j in partners(self, ours, theirs)]
        return max(parts, key=lambda part: part.error, default=None)

    def _given(self, pair: StationPair) -> Difference | None:
        head_a, head_b = pair.head_a, pair.head_b
        if not head_a.given or not head_b.given:
            return None
        if self._is_linked and len(head_a.given) == len(head_b.given) == 1:
            known = self._of_source(head_a.sources[0], head_b.sources[0])
            if known is not None:
                return known
        found = self._worst(head_a.given, head_b.given)
        if found is None or found.within:
            return found
        moved = self.in_order_of(head_a.given[0], head_b.given[0], pair, is_given=True)
        return moved[1] if moved is not None else found

    def _of_source(self, source_a: int | None, source_b: int | None) -> Difference | None:
        """What is known already of what two stations were given."""
        if source_a is None or source_b is None:
            return None
        if source_a == source_b == INPUT:
            return self.inputs
        known = self._by_tail.get((source_a, source_b))
        return known.output if known is not None else None

    def in_order_of(
        self, ours: AxisArray, theirs: AxisArray, pair: StationPair, is_given: bool, is_turned: bool = False
    ) -> tuple[AxisArray, Difference] | None:
        """Features of a in the order in which b has them, or the reverse, and how far they are apart then.

        None where they are no features that were flattened, or no order fits clearly better than their own.
        """
        if self.is_laid_out_alike or len(ours.shape) != 2 or ours.shape != theirs.shape:
            return None
        if not is_given and pair.a[0].layer.kind != "reshape":
            return None
        before = self._held(Matched(ours.values, theirs.values, ours.axes), ours, theirs)
        options = []
        for side, station in ((self.a, pair.a[0]), (self.b, pair.b[0])):
            for words, indices in orders_before(side, station, ours.shape[1]):
                for order in (indices, np.argsort(indices)):
                    own, other = (theirs, ours) if is_turned else (ours, theirs)
                    moved = like(own, own.values[:, order], own.axes)
                    note = f"features in another order ({words})"
                    together = Matched(moved.values, other.values, ours.axes, note)
                    options.append((moved, self._held(together, ours, theirs)))
        best = min(options, key=lambda option: option[1].error, default=None)
        if best is not None and best[1].error < _MUCH_LESS * before.error:
            return best
        return self._as_declared(ours, theirs, pair, before, is_turned) if is_given else None

    def _as_declared(
        self, ours: AxisArray, theirs: AxisArray, pair: StationPair, before: Difference, is_turned: bool
    ) -> tuple[AxisArray, Difference] | None:
        """Features in the order that the layers say, where the numbers, apart for another reason, do not tell it."""
        sides = [(ours, pair.head_a.layer), (theirs, pair.head_b.layer)]
        (own, source), (other, target) = reversed(sides) if is_turned else sides
        order = order_declared(source, target, own.shape[1])
        if order is None:
            return None
        moved = like(own, own.values[:, order], own.axes)
        together = Matched(
            moved.values, other.values, ours.axes, "features in the order that the layers tell"
        )
        found = self._held(together, ours, theirs)
        return (moved, found) if found.error < before.error else None

    def _output(self, pair: StationPair) -> Difference:
        ours, theirs = outputs_of(pair)
        found = self._worst(ours, theirs)
        if found is None:
            return incomparable("nothing was returned on one side")
        if found.within:
            return found
        moved = self.in_order_of(ours[0], theirs[0], pair, is_given=False)
        return moved[1] if moved is not None else found


def partners(judge: Judge, ours: Sequence[AxisArray], theirs: Sequence[AxisArray]) -> list[tuple[int, int]]:
    """Which of several tensors on one side correspond to which on the other, as places.

    Each to that of the same name or place; where these are not the same, to that which fits it best; what is left
    over on one side has no partner.
    """
    if not ours or not theirs:
        return []
    if _leaves(ours) == _leaves(theirs):
        orders = [sorted(range(len(side)), key=lambda place: _leaf(side[place])) for side in (ours, theirs)]
        return list(zip(*orders, strict=True))
    if len(ours) == len(theirs) == 1:
        return [(0, 0)]
    is_turned = len(ours) > len(theirs)
    few, many = (theirs, ours) if is_turned else (ours, theirs)
    left, found = list(range(len(many))), []
    for place, one in enumerate(few):
        errors = {
            other: (
                judge.difference(many[other], one) if is_turned else judge.difference(one, many[other])
            ).error
            for other in left
        }
        best = min(left, key=lambda other: errors[other])
        found.append((best, place) if is_turned else (place, best))
        left.remove(best)
    return found


def outputs_of(pair: StationPair) -> tuple[list[AxisArray], list[AxisArray]]:
    """What comes out of both sides of a pair, in the form in which it can be compared."""
    ours, theirs = returned_by(pair.a[-1]), returned_by(pair.b[-1])
    ends = _last_states(pair.a[-1], ours, theirs), _last_states(pair.b[-1], theirs, ours)
    if all(station.layer.kind in _RECURRENT for station in (pair.a[-1], pair.b[-1])):
        return _of_last_layers(*ends), _of_last_layers(*reversed(ends))
    return ends


def _of_last_layers(own: Sequence[AxisArray], others: Sequence[AxisArray]) -> list[AxisArray]:
    """Of the states of several recurrent layers in one those of as many, the last ones, as the other side has."""
    found = list(own[:1])
    for value, other in zip(own[1:], others[1:], strict=False):
        is_more = value.shape[1:] == other.shape[1:] and len(value.values) > len(other.values)
        found.append(like(value, value.values[-len(other.values) :], value.axes) if is_more else value)
    return [*found, *own[len(found) :]]


def returned_by(station: Station) -> list[AxisArray]:
    """What a station returned that can be compared: numbers."""
    return [value for value in station.returned if value.values.dtype.kind not in "OSU"]


def like(value: AxisArray, numbers: Array, axes: Sequence[str]) -> Activation:
    """Other numbers, to be held to what is tolerated of a value."""
    return Activation(numbers, tuple(axes), leaf=_leaf(value), dtype=_dtype(value))


def _last_states(station: Station, own: Sequence[AxisArray], others: Sequence[AxisArray]) -> list[AxisArray]:
    """Of a recurrent layer the last state alone, where the other one returns no more than that."""
    recurrent = station.layer.kind in _RECURRENT
    if not recurrent or not own or not others or len(own) < 2:
        return list(own)
    if "time" not in own[0].axes or len(others[0].shape) != 2:
        return list(own)
    states = own[1].values
    directions = 2 if station.layer.config.get("bidirectional") else 1
    last = np.concatenate(list(states[-directions:]), axis=-1)
    return [Activation(last, ("batch", "channel"), dtype=_dtype(own[0]))]


def orders_before(side: Side, station: Station, features: int) -> Iterator[tuple[str, Array]]:
    """The orders in which the last map before a station can have been flattened to so many features."""
    for earlier in reversed(side.stations[: station.number]):
        value = earlier.returned[0] if earlier.returned else None
        if value is not None and len(value.shape) > 2 and int(np.prod(value.shape[1:])) == features:
            yield from flattenings(value.shape[1:], value.axes[1:])
            return


def _data_formats(side: Side) -> set[Any]:
    return {layer.config.get("data_format") for layer in side.layers.values()} - {None}


def _leaves(values: Sequence[AxisArray]) -> list[str]:
    """Which parts of a structure these are."""
    return sorted(map(_leaf, values))


def _leaf(value: AxisArray) -> str:
    return getattr(value, "leaf", "")


def _dtype(array: AxisArray) -> str:
    return getattr(array, "dtype", "") or str(array.values.dtype)
