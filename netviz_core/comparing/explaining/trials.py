"""Puts to the test what may be the reason of a difference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ...words.arrays import AxisArray
from ..judging.difference import Difference
from ..judging.judging import Judge
from ..judging.recipes import Course
from .proposals import Proposal

_ROOM = 10.0
"""How much larger an error may be in one sample than in all."""

_CURED = 0.5
"""What may be left, as a share, of a difference whose cause has been found."""


class Trial:
    """Recomputes one side with something changed, and holds it against what the other side returned."""

    def __init__(
        self, course: Course, target: AxisArray, before: Difference, judge: Judge, own: str, other: str
    ) -> None:
        self.course, self.target = course, target
        self._before, self._judge = before, judge
        self.own, self.other = own, other

    def changed(self, changes: Sequence[Proposal]) -> Course:
        """This side with these changes."""
        course = self.course
        for change in changes:
            course = change.changed(course)
        return course

    def after(self, changes: Sequence[Proposal]) -> Difference | None:
        """What remains of the difference with these changes; None if it cannot be recomputed."""
        result = self.changed(changes).result()
        if result is None:
            return None
        if "time" in result.axes and "time" not in self.target.axes and len(self.target.shape) == 2:
            result = result.select(time=-1)
        # What could not be compared before has no tolerance of its own.
        return self._judge.difference(result, self.target, self._before.tolerance or None)

    @cached_property
    def _is_there_unchanged(self) -> bool:
        """Whether the other side does what this one says of itself: then no change of this one tells anything."""
        unchanged = self.after([])
        return unchanged is not None and unchanged.within

    def _left(self, changes: Sequence[Proposal]) -> Difference | None:
        """What is left of the difference, if these changes make it go away."""
        if self._is_there_unchanged or not self._may_be(changes):
            return None
        left = self.after(changes)
        return (
            left if left is not None and left.within and left.error <= _CURED * self._before.error else None
        )

    def _may_be(self, changes: Sequence[Proposal]) -> bool:
        """Whether one sample, where a layer looks at each by itself, does not rule them out."""
        course, target = self.changed(changes).of_one_sample(), self.target
        if course is None or target.axes[:1] != ("batch",):
            return True
        result = course.result()
        few = AxisArray(target.values[:1], target.axes)
        return (
            result is not None
            and self._judge.difference(
                result, few, _ROOM * (self._before.tolerance or self._judge.difference(few, few).tolerance)
            ).within
        )

    def smallest_set(self, proposals: Sequence[Proposal]) -> list[tuple[str, str]]:
        """Names and words of the fewest proposals that explain everything; none if all together do not."""
        for proposal in proposals:
            if self._left([proposal]) is not None:
                return self.told([proposal])
        if len(proposals) < 2 or self._left(proposals) is None:
            return []
        kept = list(proposals)
        for proposal in proposals:
            fewer = [other for other in kept if other is not proposal]
            if fewer and self._left(fewer) is not None:
                kept = fewer
        return self.told(kept)

    def told(self, changes: Sequence[Proposal]) -> list[tuple[str, str]]:
        """Names and words of changes that make the difference go away together; none if they do not."""
        left = self._left(changes)
        if left is None:
            return []
        that = "that in both" if len(changes) == 1 else f"these {len(changes)} in both"
        falls = f"the difference falls from {_figure(self._before.max_abs)} to {_figure(left.max_abs)}"
        return [(one.name, f"{one.words}; with {that}, {falls}") for one in changes]

    def why_not(self, changes: Sequence[Proposal]) -> str:
        """Why a proposal is none that is confirmed."""
        left = self.after(changes)
        if left is None:
            return "what the layer computes could not be recomputed"
        return f"with that in both, the difference would still be {_figure(left.max_abs)}"


def _figure(value: float) -> str:
    return f"{value:.1e}" if value else "0"
