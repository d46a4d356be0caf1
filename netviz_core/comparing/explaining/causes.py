"""Why two layers that were given the same return something else: proposed from what they are, and put to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...models.described import DescribedLayer
from ...models.transfer import counterpart, values_for
from ...models.weights import Layout, Weight, positional_layout
from ...words.arrays import AxisArray
from ...words.errors import NetvizError
from ...words.protocols import Layer, WeightTensor
from ..judging.difference import Difference
from ..judging.judging import Judge, Judged, orders_before, outputs_of
from ..judging.recipes import Course, Recipe, courses_of, named_by_users
from ..judging.verdict import is_fed_directly
from ..judging.weights import weight_differences
from ..judging.weights_alone import Weighed
from ..sides import Station
from .functions import activation_cause, told
from .recognising import recognised
from .signatures import called, corrected, signature
from .variants import variants_of
from .weight_changes import WeightChange, weight_changes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Cause:
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
    """

    path_a: str
    path_b: str
    text: str
    confirmed: bool
    name: str


class Proposal(NamedTuple):
    """What may be the cause, and one side as it would be without it."""

    name: str
    words: str
    changed: Callable[[Course], Course]


_SETTINGS = {
    "recurrent_activation": "activation", "epsilon": "epsilon", "padding": "padding", "padding_mode": "padding",
    "stride": "stride", "dilation": "dilation", "groups": "groups", "kernel_size": "kernel size", "pooling": "pooling",
    "count_include_pad": "pool padding", "ceil_mode": "pool padding", "divisor": "pool padding", "axis": "axis",
    "scale": "preprocessing", "offset": "preprocessing", "mean": "preprocessing", "variance": "preprocessing",
    "scale_offset": "scale", "equation": "equation", "go_backwards": "direction", "merge_mode": "merge mode",
    "reset_after": "reset gate", "heads": "heads", "interpolation": "interpolation", "align_corners": "interpolation",
    "antialias": "interpolation", "cubic_coefficient": "interpolation",
}  # fmt: skip
"""Settings that change what a layer returns in evaluation mode, and what a difference of them is called."""

_RELATED = ("_norm", "lstm", "gru", "rnn", "attention", "pool", "activation", "dropout")
"""How the names of kinds end of which one is easily taken for another."""

_CURED = 0.5
"""What may be left, as a share, of a difference whose cause has been found."""


def causes_at(found: Judged, judge: Judge) -> list[Cause]:
    """Find out why a pair differs."""
    pair = found.pair
    paths = pair.a[0].path, pair.b[0].path
    if found.output.within:
        effect = "what the layers return on this input is within the tolerance all the same"
        return [Cause(*paths, f"{c.words}; {effect}", True, c.name) for c in _changes(found, judge)]
    out_a, out_b = outputs_of(pair)
    target_a, target_b = _those_apart(out_a, out_b, judge) if out_a and out_b else (None, None)
    ours, theirs = courses_of(pair)
    if target_a is None or target_b is None or not ours.inputs or not theirs.inputs:
        return [_unknown(paths, "what the layers were given is not known")]
    case = _Case(found, judge, (ours, theirs), (target_a, target_b))
    return [Cause(*paths, text, True, name) for name, text in case.confirmed()] or [
        Cause(*paths, text, False, name) for name, text in case.suspected()
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
        self._found, self._judge, self._targets = found, judge, targets
        self._courses = _brought_together(courses, targets, judge)
        self._proposals = [*differing(*self._courses), *self._of_weights()]
        self._tests = [
            _Test(self._courses[0], targets[1], found.output, judge, "a", "b"),
            _Test(self._courses[1], targets[0], found.output, judge, "b", "a"),
        ]

    def confirmed(self) -> list[tuple[str, str]]:
        """Names and words of what explains the difference."""
        return (
            self._tests[0].smallest_set(self._proposals)
            or self._behaviour([])
            or self._by_numbers(self._targets[0], [])
            or (self._behaviour(self._proposals) or self._on_top() if self._proposals else [])
        )

    def suspected(self) -> list[tuple[str, str]]:
        """The same of what may be the reason and is not confirmed; of what was ruled out, if there is nothing."""
        told = [
            (one.name, f"{one.words}; not confirmed: {self._tests[0].why_not([one])}")
            for one in self._proposals
        ]
        return told or [("unknown", f"unknown: {'; '.join(self._ruled_out())}")]

    def _behaviour(self, known: Sequence[Proposal]) -> list[tuple[str, str]]:
        """What one side does and does not say, with what it says changed before."""
        for test in self._tests if not known else self._tests[:1]:
            changed = test.changed(known)
            for variant in variants_of(changed, test.target):
                words = variant.words.format(own=test.own, other=test.other)
                told = test.told([*known, Proposal(variant.name, words, variant.changed)])
                if told:
                    return told
        return []

    def _on_top(self) -> list[tuple[str, str]]:
        """What was done to the numbers besides all that is known to differ."""
        result = self._tests[0].changed(self._proposals).result()
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
        own = (called(told, is_fed_directly(self._found)), words)
        return [*((one.name, f"{one.words} (one of {len(known) + 1} causes: {words})") for one in known), own]

    def _of_weights(self) -> Iterator[Proposal]:
        """Weights that are not the same on both sides, and what they would be as in b."""
        a, b = (
            _layer(course, station)
            for course, station in zip(
                self._courses, (self._found.pair.a[0], self._found.pair.b[0]), strict=True
            )
        )
        same = (a, b) == (self._found.pair.a[0].layer, self._found.pair.b[0].layer)
        weights = self._found.weights if same and self._found.weights else weight_differences(a, b)
        odd = [
            name
            for name in odd_weights(weights)
            if a.kind == b.kind or {name} <= a.weights.keys() & b.weights.keys()
        ]
        if not odd:
            return
        values, _ = values_for(b, a)
        as_in_b: dict[str, Array | None] = {name: None for name in odd if name not in a.weights}
        for name in set(odd) & a.weights.keys():
            with suppress(NetvizError):
                as_in_b[name] = counterpart(name, a.weights[name], values, b, a)[0]
        others = [layer for layer in self._judge.a.layers.values() if layer.path != a.path]
        for change in weight_changes(a, b, odd, others):
            # Where b has one bias for two of a, the second is in the first.
            merged = {f"recurrent_{name}" for name in change.weights} - b.weights.keys()
            taken = {name: as_in_b.get(name) for name in {*change.weights, *merged}}
            yield Proposal(change.name, change.words, _weights(taken))

    def _ruled_out(self) -> Iterator[str]:
        """What has been looked at, and is no reason; what could not be looked at is never said to be none."""
        for test, target in zip(self._tests, self._targets, strict=True):
            first, result = test.course.first, test.course.result()
            if result is None:
                yield f"what {test.own} computes is not known ({first.type_name}), nor are all its settings"
            elif not self._judge.difference(result, target, self._found.output.tolerance or None).within:
                yield f"{test.own} does not do what its settings and weights say"
            else:
                yield f"{test.own} does what its settings and weights say"
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


def _layer(course: Course, station: Station) -> Layer:
    """The first layer of a course, which may have other weights than the station's."""
    first, layer = course.first, station.layer
    if first.kind == layer.kind and first.weights is station.weights:
        return layer
    weights: dict[str, WeightTensor] = {}
    for name, values in first.weights.items():
        known = layer.weights.get(name)
        axes = known.axes if known is not None else _AXES.get(name, ())
        layout = Layout(axes) if len(axes) == values.ndim else positional_layout(values.ndim)
        weights[name] = Weight(name, name, layout, values.shape, str(values.dtype), True, _constant(values))
    return DescribedLayer(layer.path, first.kind, first.type_name, True, first.config, weights)


_AXES = {"kernel": ("out", "in"), "bias": ("out",), "scale": ("channel",)}
"""Those of weights that a layer of a known kind would have."""


class _Test:
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
        left = self.after(changes)
        if left is None or not left.within or left.error > _CURED * self._before.error:
            return None
        return None if self._is_there_unchanged else left

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
        words = (
            f"{'; '.join(change.words for change in changes)}; with that in both, the difference falls from "
            f"{_figure(self._before.max_abs)} to {_figure(left.max_abs)}"
        )
        if len(changes) == 1:
            return [(changes[0].name, words)]
        return [(one.name, f"{one.words} (one of {len(changes)} causes: {words})") for one in changes]

    def why_not(self, changes: Sequence[Proposal]) -> str:
        """Why a proposal is none that is confirmed."""
        left = self.after(changes)
        if left is None:
            return "what the layer computes could not be recomputed"
        return f"with that in both, the difference would still be {_figure(left.max_abs)}"


def _figure(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def differing(ours: Course, theirs: Course) -> Iterator[Proposal]:
    """What the two say of themselves that is not the same, and a's as it would be with that of b."""
    kinds = ours.first.kind, theirs.first.kind
    if kinds[0] != kinds[1]:
        if "other" not in kinds and any(kind.endswith(_RELATED) for kind in kinds):
            yield Proposal("kind", _kinds(ours.first, theirs.first), _of_kind(theirs.first))
        return
    for setting, name in _SETTINGS.items():
        left, right = ours.first.config.get(setting), theirs.first.config.get(setting)
        if left != right and None not in (left, right):
            words = f"{setting.replace('_', ' ')} is {left} in a and {right} in b"
            yield Proposal(name, words, _setting(setting, right))
    left, right = ours.activation, theirs.activation
    if left != right and "slope" not in {*ours.recipes[-1].weights, *theirs.recipes[-1].weights}:
        names = [str(side.get("activation", "linear")) for side in (left, right)]
        said = [_activation(side) for side in (left, right)]
        if said[0] != said[1]:
            words = f"activation is {said[0]} in a and {said[1]} in b"
            yield Proposal(activation_cause(*names), words, lambda course: course.with_activation(right))


def _activation(settings: Mapping[str, Any]) -> str:
    return told(str(settings.get("activation", "none")), settings)


def _kinds(ours: Recipe, theirs: Recipe) -> str:
    kinds = [recipe.kind.replace("_", " ") for recipe in (ours, theirs)]
    return f"a's layer is of kind {kinds[0]}, b's of kind {kinds[1]}"


def _of_kind(other: Recipe) -> Callable[[Course], Course]:
    """Another kind of layer with the weights that there are, and with the other's own where there are none."""

    def changed(course: Course) -> Course:
        weights = {name: course.first.weights.get(name, value) for name, value in other.weights.items()}
        return course.with_first(replace(other, weights=weights))

    return changed


def _setting(name: str, value: Any) -> Callable[[Course], Course]:
    return lambda course: course.with_config(**{name: value})


def _weights(values: Mapping[str, Array | None]) -> Callable[[Course], Course]:
    return lambda course: course.with_weights(**values)


def _constant(values: Array) -> Callable[[], Array]:
    return lambda: values


def _changes(found: Judged, judge: Judge) -> Iterator[WeightChange]:
    """How the weights that are not the same have been changed."""
    a, b = found.pair.a[0].layer, found.pair.b[0].layer
    others = [layer for layer in judge.a.layers.values() if layer.path != a.path]
    return weight_changes(a, b, odd_weights(found.weights), others)
