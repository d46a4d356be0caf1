"""Why two layers that were given the same return something else: proposed from what they are, and put to the test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...models.counterparts import held_by
from ...recomputing.activation import activated
from ...words.arrays import AxisArray
from ...words.cards import Record
from ...words.text_tables import printable
from ..common import form_of
from ..judging.difference import Difference
from ..judging.judging import Judge, Judged, like, orders_before, outputs_of
from ..judging.places import is_fed_directly
from ..judging.recipes import Course, courses_of, named_by_users
from ..judging.regions import apart_without_padding, applied_behind, extents_of
from ..judging.weights import weight_differences
from ..judging.weights_alone import Weighed
from .expressions import PASSED_ON
from .proposals import Proposal, changes_of_weights, differing, layer_of, of_weights
from .recognising import recognised
from .signatures import called, corrected, signature
from .trials import Trial
from .variants import variants_of
from .weight_changes import WeightChange, changes_in, weight_changes


@dataclass(frozen=True, repr=False)
class Cause(Record):
    """Why two models differ at one place.

    Parameters
    ----------
    path_a, path_b : str
        The layers it is about.
    text : str
        In words, with what the test of it gave.
    confirmed : bool
        Whether the difference is gone once this is made the same on both sides.
    name : str
        One word for it, such as ``epsilon``, ``padding`` or ``gate order``; ``unknown`` if it was not found.
    reads : tuple of str
        Layers of a that may make up for it, if they differ, too.
    """

    path_a: str
    path_b: str
    text: str
    confirmed: bool
    name: str
    reads: tuple[str, ...] = ()

    def _subject(self) -> str:
        return printable(f"{self.name}{' (confirmed)' if self.confirmed else ''}: {self.text}")

    @property
    def statement(self) -> str:
        """What is different, without what the test of it gave: the same for layers with the same fault."""
        return _OF_THE_TEST.split(self.text)[0]

    @property
    def is_reproduced(self) -> bool:
        """Whether one side, recomputed with this made the same, returned what the other did: nothing random does."""
        return self.confirmed and self.name != "dropout" and _WITH_THAT.search(self.text) is not None


_WITH_THAT = re.compile(r"; with (?:that|these \d+) in both,")
_OF_THE_TEST = re.compile(r"; (?:with (?:that|these \d+) (?:in both|corrected),|not confirmed: )")
"""How what a test gave begins in the words of a cause."""


def causes_at(found: Judged, judge: Judge) -> list[Cause]:
    """Find out why a pair differs."""
    pair = found.pair
    paths = pair.a[0].path, pair.b[0].path
    if found.output.within:
        effect = "what the layers return on this input is within the tolerance all the same"
        return [Cause(*paths, f"{c.words}; {effect}", True, c.name) for c in _changes(found, judge)]
    if pair.is_of_several:
        return _causes_of_several(found)
    out_a, out_b = outputs_of(pair)
    target_a, target_b = _those_apart(out_a, out_b, judge) if out_a and out_b else (None, None)
    ours, theirs = courses_of(pair)
    if target_a is None or target_b is None or not ours.inputs or not theirs.inputs:
        return [_unknown(paths, "what the layers were given is not known")]
    courses, targets = (ours, theirs), (target_a, target_b)
    if _is_given_other_numbers(courses, judge):
        is_padded = any(_is_padded(course.inputs[0]) for course in courses)
        seen = None if is_padded else _given_as_b(courses, targets, judge)
        if seen is None:
            told = " against ".join(form_of(course.inputs[0]) for course in courses)
            return _untold(found, courses, judge, f"what they are given cannot be made the same: {told}")
        courses, targets = (replace(ours, inputs=theirs.inputs), theirs), seen
        found = replace(found, output=judge.difference(*targets))
        if found.output.within:
            text = f"given what {paths[1]!r} is, {paths[0]!r} returns what that does; what differs has come with it"
            return [Cause(*paths, text, False, PASSED_ON)]
    case = _Case(found, judge, courses, targets)
    return [
        *(
            [Cause(*paths, text, True, name) for name, text in case.confirmed()]
            or [Cause(*paths, text, False, name) for name, text in case.suspected()]
        ),
        *(Cause(*paths, text, False, "head") for text in case.heads),
    ]


def _is_given_other_numbers(courses: tuple[Course, Course], judge: Judge) -> bool:
    """Whether what both sides are given is not even of one size, nor so for zeros around it."""
    ours, theirs = (course.inputs for course in courses)
    if len(ours) != 1 or len(theirs) != 1 or ours[0].values.size == theirs[0].values.size:
        return False
    return not any(apart.within for apart in apart_without_padding(ours, theirs, judge))


def _is_padded(value: AxisArray) -> bool:
    """Whether there are zeros around a map: it was padded before, so that the padding of the layer tells little."""
    extents = zip(value.axes, extents_of(value.values), value.shape, strict=True)
    return any(ends != (0, size - 1) for axis, ends, size in extents if axis not in ("batch", "channel"))


def _given_as_b(
    courses: tuple[Course, Course], targets: tuple[AxisArray, AxisArray], judge: Judge
) -> tuple[AxisArray, AxisArray] | None:
    """What both would return if a's layer were given what b's is; None if it is not known what that does."""
    ours, theirs = courses
    known = ours.result()
    if known is None or not judge.difference(known, targets[0]).within:
        return None
    result = replace(ours, inputs=theirs.inputs).result()
    return None if result is None else (result, targets[1])


def _untold(found: Judged, courses: tuple[Course, Course], judge: Judge, why: str) -> list[Cause]:
    """What the two say of themselves that is not the same, where it cannot be put to the test."""
    paths = found.pair.a[0].path, found.pair.b[0].path
    told: list[Proposal | WeightChange] = [*differing(*courses), *_changes(found, judge)]
    return [Cause(*paths, f"{one.words}; not confirmed: {why}", False, one.name) for one in told] or [
        _unknown(paths, why)
    ]


def _causes_of_several(found: Judged) -> list[Cause]:
    """Of layers that the user names together: how their weights differ."""
    paths = found.pair.a[0].path, found.pair.b[0].path
    changes = changes_in(held_by(*found.pair.layers), odd_weights(found.weights))
    untested = "not confirmed: what several layers do together is not recomputed"
    return [Cause(*paths, f"{one.words}; {untested}", False, one.name) for one in changes] or [
        _unknown(paths, "their weights agree; what several layers do together is not recomputed")
    ]


def _those_apart(
    ours: Sequence[AxisArray], theirs: Sequence[AxisArray], judge: Judge
) -> tuple[AxisArray, AxisArray]:
    """Of several things that layers returned, the first that differ."""
    both = zip(ours, theirs, strict=False)
    return next((pair for pair in both if not judge.difference(*pair).within), (ours[0], theirs[0]))


def cause_backward(found: Judged) -> Cause:
    """Where everything that was returned agrees, and a gradient does not."""
    a, b = found.pair.a[0], found.pair.b[0]
    text = (
        f"what {a.path!r} and {b.path!r} return agrees, and so does the gradient that reaches them; the one that "
        f"they propagate does not: the derivative of one of them is different"
    )
    return Cause(a.path, b.path, text, True, "gradient")


def causes_of_weights(found: Weighed, path_a: str, path_b: str) -> tuple[Cause, ...]:
    """How the weights of a pair differ, where nothing was run."""
    return tuple(
        Cause(path_a, path_b, change.words, True, change.name)
        for match, _, weights in found.pairs
        if (match.source.path, match.target.path) == (path_a, path_b)
        for change in weight_changes(match.source, match.target, odd_weights(weights))
    )


def odd_weights(weights: Mapping[str, Difference]) -> list[str]:
    """The names of those that differ."""
    return [name for name, part in weights.items() if not part.within]


def _unknown(paths: tuple[str, str], why: str) -> Cause:
    return Cause(*paths, f"unknown: {why}", False, "unknown")


class _Case:
    """All that is known of a pair that differs, and the search for the reason."""

    def __init__(
        self,
        found: Judged,
        judge: Judge,
        courses: tuple[Course, Course],
        targets: tuple[AxisArray, AxisArray],
    ) -> None:
        self._found, self._judge = found, judge
        courses = _brought_together(courses, targets, judge)
        self._courses, self._targets, self.heads = _with_one_function(courses, targets, found, judge)
        self._proposals = [*differing(*self._courses), *self._of_weights()]
        self._trials = [
            Trial(self._courses[0], self._targets[1], found.output, judge, "a", "b"),
            Trial(self._courses[1], self._targets[0], found.output, judge, "b", "a"),
        ]

    def confirmed(self) -> list[tuple[str, str]]:
        """Names and words of what explains the difference."""
        return (
            self._trials[0].smallest_set(self._proposals)
            or self._behaviour([])
            or self._by_numbers(self._targets[0], [])
            or (self._behaviour(self._proposals) or self._on_top() if self._proposals else [])
        )

    def suspected(self) -> list[tuple[str, str]]:
        """The same of what may be the reason and is not confirmed; of what was ruled out, if there is nothing."""
        told = [
            (one.name, f"{one.words}; not confirmed: {self._trials[0].why_not([one])}")
            for one in self._proposals
        ]
        return told or [("unknown", f"unknown: {'; '.join(self._ruled_out())}")]

    def _behaviour(self, known: Sequence[Proposal]) -> list[tuple[str, str]]:
        """What one side does and does not say, with what it says changed before."""
        for trial in self._trials if not known else self._trials[:1]:
            changed = trial.changed(known)
            for variant in variants_of(changed, trial.target):
                words = variant.words.format(own=trial.own, other=trial.other)
                told = trial.told([*known, Proposal(variant.name, words, variant.changed)])
                if told:
                    return told
        return []

    def _on_top(self) -> list[tuple[str, str]]:
        """What was done to the numbers besides all that is known to differ."""
        result = self._trials[0].changed(self._proposals).result()
        return [] if result is None else self._by_numbers(result, self._proposals)

    def _by_numbers(self, value: AxisArray, known: Sequence[Proposal]) -> list[tuple[str, str]]:
        pair, judge = self._found.pair, self._judge
        told = signature(
            named_by_users(value, pair.a[-1], judge.a),
            named_by_users(self._targets[1], pair.b[-1], judge.b),
            judge,
            orders_before(judge.a, pair.a[-1], value.shape[-1]),
        )
        if told is None:
            return []
        words = corrected(told, self._found.output)
        own = (called(told, is_fed_directly(self._found, self._judge)), words)
        falls = f"with these {len(known) + 1} in both, {words.rpartition(', ')[2]}"
        return [*((one.name, f"{one.words}; {falls}") for one in known), own]

    def _of_weights(self) -> Iterator[Proposal]:
        """Weights that are not the same, of the layers as they have been brought together."""
        pair = self._found.pair
        a, b = (
            layer_of(course, station.layer, station.weights)
            for course, station in zip(self._courses, (pair.a[0], pair.b[0]), strict=True)
        )
        as_they_are = a is pair.a[0].layer and b is pair.b[0].layer and self._found.weights
        differences = self._found.weights if as_they_are else weight_differences(a, b)
        others = [layer for layer in self._judge.a.layers.values() if layer.path != a.path]
        theirs = self._courses[1].first.weights
        return of_weights(a, b, odd_weights(differences), others, theirs)

    def _ruled_out(self) -> Iterator[str]:
        """What has been looked at, and is no reason; what could not be looked at is never said to be none."""
        for trial, target in zip(self._trials, self._targets, strict=True):
            first, result = trial.course.first, trial.course.result()
            if result is None:
                yield f"what {trial.own} computes is not known ({first.type_name}), nor are all its settings"
            elif not self._judge.difference(result, target, self._found.output.tolerance or None).within:
                yield f"{trial.own} does not do what its settings and weights say"
            else:
                yield f"{trial.own} does what its settings and weights say"
        if self._found.weights:
            yield "no weight differs"
        yield "no order, scale, activation or precision explains the numbers"


def _brought_together(
    courses: tuple[Course, Course], targets: tuple[AxisArray, AxisArray], judge: Judge
) -> tuple[Course, Course]:
    """Both sides in one form: what one has in layers of its own is made part of the first, as the other has it."""
    if len(courses[0].recipes) != len(courses[1].recipes):
        courses = courses[0].folded(), courses[1].folded()
    if all(course.first.kind != "pool" for course in courses):
        courses = courses[0].padding_inside(), courses[1].padding_inside()
    ours, theirs = (
        recognised(course, target, judge) for course, target in zip(courses, targets, strict=True)
    )
    return ours, theirs


def _with_one_function(
    courses: tuple[Course, Course], targets: tuple[AxisArray, AxisArray], found: Judged, judge: Judge
) -> tuple[tuple[Course, Course], tuple[AxisArray, AxisArray], Sequence[str]]:
    """Both sides with the activation that one applies behind its layer; what may be a head is told."""
    applied = applied_behind(found, judge)
    if applied is None:
        return courses, targets, ()
    own = "ab".index(applied[0])
    other = 1 - own
    said = "; ".join(one.words for one in differing(*courses) if one.name in ("activation", "slope"))
    value, settings = targets[other], courses[own].activation
    axis = value.axes.index("channel") if "channel" in value.axes else -1
    made = activated(str(settings.get("activation")), value.values, settings, axis)
    if made is None:
        return courses, targets, ()
    both, seen = list(courses), list(targets)
    both[other], seen[other] = courses[other].with_activation(settings), like(value, made, value.axes)
    told = (
        ()
        if applied[1]
        else (f"{said}; not confirmed: one model may be meant to return the scores before it",)
    )
    return (both[0], both[1]), (seen[0], seen[1]), told


def _changes(found: Judged, judge: Judge) -> Iterator[WeightChange]:
    """How the weights that are not the same have been changed."""
    if found.pair.is_of_several:
        return changes_in(held_by(*found.pair.layers), odd_weights(found.weights))
    a, b = found.pair.a[0].layer, found.pair.b[0].layer
    others = [layer for layer in judge.a.layers.values() if layer.path != a.path]
    return changes_of_weights(a, b, odd_weights(found.weights), others)
