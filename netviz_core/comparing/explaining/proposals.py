"""What may be the reason why two layers differ, as far as they say so themselves: kinds, settings, weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...models.counterparts import held_by
from ...models.ready_layer import ReadyLayer
from ...models.weights import Layout, Weight, positional_layout
from ...words.protocols import Layer, WeightTensor
from ..judging.recipes import Course, Recipe
from ..narrow import as_narrow
from .functions import activation_cause, told
from .weight_changes import WeightChange, changes_in, weight_changes

Array = np.ndarray[Any, Any]


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


def differing(ours: Course, theirs: Course) -> Iterator[Proposal]:
    """What the two say of themselves that is not the same, and a's as it would be with that of b."""
    ours, theirs = _with_axis_as_in(ours, ours), _with_axis_as_in(theirs, ours)
    kinds = ours.first.kind, theirs.first.kind
    if kinds[0] != kinds[1]:
        if all(kind.endswith(_RELATED) for kind in kinds):
            yield Proposal("kind", _kinds(ours.first, theirs.first), _of_kind(theirs.first))
        return
    for setting, name in _SETTINGS.items():
        left, right = ours.first.config.get(setting), theirs.first.config.get(setting)
        if left != right and None not in (left, right):
            words = f"{setting.replace('_', ' ')} is {left} in a and {right} in b"
            yield Proposal(name, words, _settings({setting: right, **_only_in(theirs.first, ours.first)}))
    left, right = ours.activation, theirs.activation
    said = [_activation(side) for side in (left, right)]
    if said[0] != said[1]:
        words = f"activation is {said[0]} in a and {said[1]} in b"
        name = activation_cause(*(str(side.get("activation", "linear")) for side in (left, right)))
        slope = theirs.recipes[-1].weights.get("slope")
        yield Proposal(name, words, lambda course: course.with_activation(right, slope))


def _with_axis_as_in(course: Course, other: Course) -> Course:
    """Count the axes that a layer works along as they stand in another's tensor, from the first one on."""
    places = course.first.config.get("axis")
    if places is None or not course.orders or not other.orders or not course.first.kind.endswith(_ALONG_AXES):
        return course
    own, wanted = course.orders[0], other.orders[0]
    places = places if isinstance(places, tuple) else (places,)
    if set(own) != set(wanted) or not all(-len(own) <= place < len(own) for place in places):
        return course
    counted = tuple(wanted.index(own[place]) for place in places)
    return course.with_config(axis=counted if len(counted) > 1 else counted[0])


_ALONG_AXES = ("_norm", "activation")
"""How the names of kinds end whose ``axis`` is one of their input's."""


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


def _only_in(recipe: Recipe, other: Recipe) -> Mapping[str, Any]:
    """Settings that go with one that the other has not, as a cubic coefficient does with an interpolation."""
    return {
        name: recipe.config[name] for name in _SETTINGS if name in recipe.config.keys() - other.config.keys()
    }


def _settings(changed: Mapping[str, Any]) -> Callable[[Course], Course]:
    return lambda course: course.with_config(**changed)


def _weights(values: Mapping[str, Array | None]) -> Callable[[Course], Course]:
    return lambda course: course.with_weights(**values)


def _constant(values: Array) -> Callable[[], Array]:
    return lambda: values


def of_weights(
    a: Layer, b: Layer, odd: Sequence[str], others: Sequence[Layer], theirs: Mapping[str, Array]
) -> Iterator[Proposal]:
    """Weights that are not the same on both sides, and what they would be as in b.

    Those of another form, which correspond to none of a's, are taken as they are.
    """
    if a.kind != b.kind:  # which has weights that the other has not
        odd = [name for name in odd if name in a.weights and name in b.weights]
    if not odd:
        return
    as_in_b: dict[str, Array | None] = {
        name: theirs.get(name) if name in a.weights and a.kind == b.kind else None for name in odd
    }
    for weight in held_by(b, a):
        if weight.name in odd and weight.name in a.weights and weight.expected is not None:
            shape = a.weights[weight.name].shape
            is_as_large = weight.expected.size == np.prod(shape)
            as_in_b[weight.name] = weight.expected.reshape(shape) if is_as_large else weight.expected
    for change in changes_of_weights(a, b, odd, others):
        # Where b has one bias for two of a, the second is in the first.
        merged = {f"recurrent_{name}" for name in change.weights} - b.weights.keys()
        taken = {name: as_in_b.get(name) for name in {*change.weights, *merged}}
        yield Proposal(change.name, change.words, _weights(taken))


def changes_of_weights(
    a: Layer, b: Layer, odd: Sequence[str], others: Sequence[Layer]
) -> Iterator[WeightChange]:
    """How weights have been changed; where one side has narrower floats, the other's are first rounded to them."""
    found = list(weight_changes(a, b, odd, others))
    if any(change.words.endswith(" is different in b") for change in found):
        found = list(changes_in((as_narrow(weight) for weight in held_by(a, b)), odd))
    yield from found


def layer_of(course: Course, layer: Layer, own: Mapping[str, Array]) -> Layer:
    """The first layer of a course: the model's, or one made of it, with other weights than its own."""
    first = course.first
    if first.kind == layer.kind and first.weights is own:
        return layer
    weights: dict[str, WeightTensor] = {}
    for name, values in first.weights.items():
        known = layer.weights.get(name)
        axes = known.axes if known is not None else _AXES.get(name, ())
        layout = Layout(axes) if len(axes) == values.ndim else positional_layout(values.ndim)
        weights[name] = Weight(name, name, layout, values.shape, str(values.dtype), True, _constant(values))
    return ReadyLayer(layer.path, first.kind, first.type_name, None, True, weights, first.config)


_AXES = {"kernel": ("out", "in"), "bias": ("out",), "scale": ("channel",)}
"""Those of weights that a layer of a known kind would have."""
