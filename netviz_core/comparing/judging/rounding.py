"""Tells a fault from rounding, which grows through many layers until it is beyond every tolerance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...words.arrays import AxisArray
from .difference import Difference
from .judging import JUMP, Judge, Judged, returned_by
from .recipes import Course, courses_of

_GROWTH = 1.5
"""By how much a layer may let an error grow before it is put to the test."""

_NOISE, _OWN = 1 / 20, 1 / 5
"""Shares of the tolerance: errors that are not looked at, and what a layer may add of its own."""


class Rounding:
    """Asks of each layer up to a place whether it does the same on both sides, if it is given the same."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._innocent: dict[int, bool] = {}

    def explains(self, found: Judged) -> bool:
        """Whether what a pair returned is apart by nothing but rounding that has grown on the way."""
        if _is_clear(found):
            return False
        reached = 0.0
        for earlier in self._judge.judged[: self._judge.judged.index(found) + 1]:
            if earlier.status == "compensated":
                continue
            if not earlier.weights_agree or _arises_between(earlier, reached) or self._is_guilty(earlier):
                return False
            reached = max(reached, earlier.output.error)
        return True

    def explains_end(self) -> bool:
        """Whether this is so of what the models returned."""
        judged, whole = self._judge.judged, self._judge.whole
        if whole is None or all(found.status != "rounding" for found in judged):
            return False
        errors = [found.output.error for found in judged if found.status != "compensated"]
        return whole.error <= JUMP * max(errors)

    def _is_guilty(self, found: Judged) -> bool:
        if found.output.error <= _GROWTH * max(_given(found), _NOISE * found.output.tolerance):
            return False
        known = self._innocent.get(id(found))
        if known is None:
            known = self._innocent[id(found)] = _does_the_same(found, self._judge)
        return not known


def _is_clear(found: Judged) -> bool:
    """Whether an error is far too large for rounding, and made here."""
    return found.output.error > max(10 * found.output.tolerance, JUMP * _given(found))


def _given(found: Judged) -> float:
    return found.given.error if found.given is not None and np.isfinite(found.given.error) else 0.0


def _arises_between(found: Judged, reached: float) -> bool:
    """Whether a pair is given something more different than all that was returned before."""
    given = found.given
    if given is None or given.within or found.output.within:
        return False
    return given.error > JUMP * max(reached, _NOISE * given.tolerance)


def _does_the_same(found: Judged, judge: Judge) -> bool:
    """Whether a's layer, given what b's was, returns what b's did; by the growth of the error if that is not known."""
    ours, theirs = courses_of(found.pair)
    targets = returned_by(found.pair.a[-1])[:1], returned_by(found.pair.b[-1])[:1]
    tolerance = found.output.tolerance
    own = _apart(ours, ours.inputs, targets[0], judge, tolerance)
    if own is None or own.error > _OWN * own.tolerance:
        return found.output.error <= JUMP * max(_given(found), _NOISE * found.output.tolerance)
    swapped = _apart(ours, theirs.inputs, targets[1], judge, tolerance)
    return swapped is not None and swapped.error <= _OWN * swapped.tolerance


def _apart(
    course: Course, inputs: Sequence[AxisArray], target: Sequence[AxisArray], judge: Judge, tolerance: float
) -> Difference | None:
    result = course.result(inputs=inputs)
    if result is None or not target:
        return None
    return judge.difference(result, target[0], tolerance)
