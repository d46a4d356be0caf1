"""Why two layers that were given the same return something else: proposed from what they are, and put to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...models.counterparts import held_by
from ...words.arrays import AxisArray
from ..judging.difference import Difference
from ..judging.judging import Judge, Judged, orders_before, outputs_of
from ..judging.places import is_fed_directly
from ..judging.recipes import Course, Recipe, courses_of, named_by_users
from ..judging.weights_alone import Weighed
from ..pairing.pairing import StationPair
from .signatures import called, corrected, signature
from .variants import variants_of
from .weight_changes import WeightChange, changes_in, weight_changes

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
    """What may be the cause, and the first layer of one side as it would be without it."""

    name: str
    words: str
    changed: Callable[[Recipe], Recipe]


_SETTINGS = {
    "activation": "activation", "approximate": "activation", "negative_slope": "slope", "alpha": "slope",
    "max_value": "activation", "threshold": "activation", "recurrent_activation": "activation",
    "epsilon": "epsilon", "padding": "padding", "padding_mode": "padding", "stride": "stride",
    "dilation": "dilation", "groups": "groups", "kernel_size": "kernel size", "pooling": "pooling",
    "count_include_pad": "pool padding", "ceil_mode": "pool padding", "axis": "axis", "scale": "preprocessing",
    "offset": "preprocessing", "mean": "preprocessing", "variance": "preprocessing", "equation": "equation",
    "go_backwards": "direction", "merge_mode": "merge mode", "reset_after": "reset gate", "heads": "heads",
}  # fmt: skip
"""Settings that change what a layer returns in evaluation mode, and what a difference of them is called."""

_TELLS_BY_ABSENCE = frozenset(("activation", "negative_slope"))
"""Settings of which it means something that one side does not have any."""


def causes_at(found: Judged, judge: Judge) -> list[Cause]:
    """Find out why a pair differs."""
    pair = found.pair
    paths = pair.a[0].path, pair.b[0].path
    if found.output.within:
        effect = "what the layers return on this input is within the tolerance all the same"
        return [Cause(*paths, f"{c.words}; {effect}", True, c.name) for c in _changes(found, judge)]
    ours, theirs = courses_of(pair)
    out_a, out_b = outputs_of(pair)
    if not out_a or not out_b or not ours.inputs or not theirs.inputs:
        return [_unknown(paths, "what the layers were given is not known")]
    target_a, target_b = _those_apart(out_a, out_b, judge)
    test_a = _Test(ours, target_b, found.output, judge, "a", "b")
    test_b = _Test(theirs, target_a, found.output, judge, "b", "a")
    proposals = [*_of_settings(pair), *_of_weights(found, judge)]
    confirmed = test_a.smallest_set(proposals)
    if confirmed:
        return [Cause(*paths, text, True, name) for name, text in confirmed]
    for test in (test_a, test_b):
        for variant in variants_of(test.course, test.target):
            words = variant.words.format(own=test.own, other=test.other)
            text = test.verdict([Proposal(variant.name, words, variant.changed)])
            if text is not None:
                return [Cause(*paths, text, True, variant.name)]
    told = signature(
        named_by_users(target_a, pair.a[-1], judge.a),
        named_by_users(target_b, pair.b[-1], judge.b),
        judge,
        orders_before(judge.a, pair.a[-1], target_a.shape[-1]),
    )
    if told is not None:
        return [Cause(*paths, corrected(told, found.output), True, called(told, is_fed_directly(found)))]
    return [
        *(Cause(*paths, f"{proposal.words}; not confirmed: {test_a.why_not([proposal])}", False, proposal.name)
          for proposal in proposals),
        *([] if proposals else [_unknown(paths, "no setting, no weight and no known behaviour explains it")]),
    ]  # fmt: skip


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
        for change in changes_in(found.held[path_a, path_b], odd_weights(weights))
    )


def odd_weights(weights: Mapping[str, Difference]) -> list[str]:
    """The names of those that differ."""
    return [name for name, part in weights.items() if not part.within]


def _unknown(paths: tuple[str, str], why: str) -> Cause:
    return Cause(*paths, f"unknown: {why}", False, "unknown")


class _Test:
    """Recomputes one side with something changed, and holds it against what the other side returned."""

    def __init__(
        self, course: Course, target: AxisArray, before: Difference, judge: Judge, own: str, other: str
    ) -> None:
        self.course, self.target = course, target
        self._before, self._judge = before, judge
        self.own, self.other = own, other

    def after(self, changes: Sequence[Proposal]) -> Difference | None:
        """What remains of the difference with these changes; None if it cannot be recomputed."""
        recipe = self.course.recipes[0]
        for change in changes:
            recipe = change.changed(recipe)
        result = self.course.result(first=recipe)
        if result is None:
            return None
        last = self.target
        if "time" in result.axes and "time" not in last.axes:
            result = result.select(time=-1)
        # What could not be compared before has no tolerance of its own.
        return self._judge.difference(result, last, self._before.tolerance or None)

    @cached_property
    def _is_there_unchanged(self) -> bool:
        """Whether the other side does what this one says of itself: then no change of this one tells anything."""
        unchanged = self.after([])
        return unchanged is not None and unchanged.within

    def verdict(self, changes: Sequence[Proposal]) -> str | None:
        """The cause in words, if these changes make the difference go away."""
        left = self.after(changes)
        if left is None or not left.within or self._is_there_unchanged:
            return None
        words = "; ".join(change.words for change in changes)
        return (
            f"{words}; with that in both, the difference falls from {_figure(self._before.max_abs)} "
            f"to {_figure(left.max_abs)}"
        )

    def smallest_set(self, proposals: Sequence[Proposal]) -> list[tuple[str, str]]:
        """Names and words of the fewest proposals that explain everything; none if all together do not."""
        for proposal in proposals:
            text = self.verdict([proposal])
            if text is not None:
                return [(proposal.name, text)]
        if self.verdict(proposals) is None:
            return []
        kept = list(proposals)
        for proposal in proposals:
            fewer = [other for other in kept if other is not proposal]
            if fewer and self.verdict(fewer) is not None:
                kept = fewer
        words = self.verdict(kept)
        return [
            (proposal.name, f"{proposal.words} (one of {len(kept)} causes: {words})") for proposal in kept
        ]

    def why_not(self, changes: Sequence[Proposal]) -> str:
        """Why a proposal is none that is confirmed."""
        left = self.after(changes)
        if left is None:
            return "what the layer computes could not be recomputed"
        return f"with that in both, the difference would still be {_figure(left.max_abs)}"


def _figure(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def _of_settings(pair: StationPair) -> Iterator[Proposal]:
    """Settings that are not the same on both sides, as they would be in b."""
    for setting, words in differing_settings(pair):
        yield Proposal(_SETTINGS[setting], words, _setting(setting, pair.b[0].layer.config.get(setting)))


def differing_settings(pair: StationPair) -> Iterator[tuple[str, str]]:
    """Settings that are not the same on both sides, and that in words."""
    ours, theirs = pair.a[0].layer.config, pair.b[0].layer.config
    elsewhere = set(_told_elsewhere(pair))
    for setting in _SETTINGS:
        left, right = ours.get(setting), theirs.get(setting)
        if (
            left == right
            or setting in elsewhere
            or (None in (left, right) and setting not in _TELLS_BY_ABSENCE)
        ):
            continue
        if setting == "activation" and {left, right} <= {None, "linear"}:
            continue
        yield setting, f"{setting.replace('_', ' ')} is {_said(left)} in a and {_said(right)} in b"


def _told_elsewhere(pair: StationPair) -> Iterator[str]:
    """Settings that one side has in a layer of their own, so that the first layers do not tell of them."""
    if len(pair.a) != len(pair.b):
        yield from ("activation", "approximate", "negative_slope", "alpha", "max_value", "threshold")


def _setting(name: str, value: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe.with_config(**{name: value})


def _said(value: Any) -> str:
    return "none" if value is None else f"{value}"


def _of_weights(found: Judged, judge: Judge) -> Iterator[Proposal]:
    """Weights that are not the same on both sides, and what they would be as in b."""
    layer_a, layer_b = found.pair.a[0].layer, found.pair.b[0].layer
    odd = odd_weights(found.weights)
    if not odd:
        return
    as_in_b: dict[str, Array | None] = {name: None for name in odd if name not in layer_a.weights}
    for weight in held_by(layer_b, layer_a):
        if weight.name in odd and weight.expected is not None and weight.held is not None:
            shape = layer_a.weights[weight.name].shape
            as_in_b[weight.name] = weight.expected.reshape(shape)
    for change in _changes(found, judge):
        # Where b has one bias for two of a, the second is in the first.
        merged = {f"recurrent_{name}" for name in change.weights} - layer_b.weights.keys()
        yield Proposal(
            change.name,
            change.words,
            _weights({name: as_in_b.get(name) for name in {*change.weights, *merged}}),
        )


def _changes(found: Judged, judge: Judge) -> Iterator[WeightChange]:
    """How the weights that are not the same have been changed."""
    a, b = found.pair.a[0].layer, found.pair.b[0].layer
    odd = odd_weights(found.weights)
    others = [layer for layer in judge.a.layers.values() if layer.path != a.path]
    return weight_changes(a, b, odd, others)


def _weights(values: Mapping[str, Array | None]) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe.with_weights(**values)
