"""What the weights of one layer are if it computes the same as another, whatever the two are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..words.errors import InputError, NetvizError
from ..words.protocols import Layer, WeightTensor
from .checkpoint import FILE_OF_KERAS
from .flattening import reordered
from .forms import is_neutral, neutral_value
from .partners import steps_between
from .parts import Part
from .weights import read_each

Array = np.ndarray[Any, Any]


class Held(NamedTuple):
    """A weight of a layer, and what it would be as a copy of another layer's.

    Parameters
    ----------
    name : str
        That of the weight; of the other layer's, where this one has none that corresponds.
    axes : tuple of str
    kind : str
        Of the step that it belongs to.
    dtypes : tuple of str
        The other layer's, and its own; empty where there is none.
    expected, held : array or None
        As a copy, and as it is, in one form; not to be written to.
    note : str
        What was done for it.
    reason : str
        Why one of them is missing.
    heads : int
        How many the layer has; 0 if it has none.
    """

    name: str
    axes: tuple[str, ...]
    kind: str
    dtypes: tuple[str, str]
    expected: Array | None
    held: Array | None
    note: str = ""
    reason: str = ""
    heads: int = 0


def held_by(source: Layer | Sequence[Layer], target: Layer | Sequence[Layer]) -> Iterator[Held]:
    """Hold the weights of layers against those of others, step by step; what makes no difference may be missing.

    Those of several layers are called by these, too.
    """
    matches, left, over = steps_between(source, target)
    several = [isinstance(side, Sequence) and len(side) > 1 for side in (source, target)]

    def called(held: Held, part: Part) -> Held:
        return held._replace(name=f"{held.name} of {part.path!r}") if any(several) else held

    for match in matches:
        part = match.target if several[1] else match.source
        yield from (called(held, part) for held in held_in(match.source, match.target))
    for part in left:
        for name, values in _telling(part):
            yield called(_alone(part, name, "b's layer has no such weight", expected=values), part)
    for part in over:
        for name, values in _telling(part):
            yield called(_alone(part, name, "a's layer has no such weight", held=values), part)


def _telling(part: Part) -> Iterator[tuple[str, Array]]:
    """The weights that make a difference."""
    values, _ = read_each(part.weights)
    return ((name, array) for name, array in values.items() if not is_neutral(name, array))


def _alone(
    part: Part, name: str, reason: str, expected: Array | None = None, held: Array | None = None
) -> Held:
    weight = part.weights[name]
    dtypes = (weight.dtype, "") if held is None else ("", weight.dtype)
    return Held(weight.name, weight.axes, part.kind, dtypes, expected, held, "", reason)


def held_in(source: Part, target: Part) -> Iterator[Held]:
    """The same for two steps that correspond."""
    values, _ = values_for(source, target, copy=False)
    held, unreadable = read_each(target.weights)
    merge_recurrent_biases(source, held)
    for name, weight in target.weights.items():
        if name not in held and name not in unreadable:
            continue  # it is in the other bias
        expected, note, reason = None, "", unreadable.get(name, "")
        try:
            expected, note = counterpart(name, weight, values, source, target)
        except NetvizError as error:
            reason = str(error)
        other = source.weights.get(name)
        dtypes = (other.dtype if other is not None else "", weight.dtype)
        yield Held(
            weight.name, weight.axes, target.kind, dtypes, expected, held.get(name), note, reason,
            target.config.get("heads") or source.config.get("heads") or 0,
        )  # fmt: skip
    for name in values.keys() - target.weights.keys():
        if not is_neutral(name, values[name]):
            yield _alone(source, name, "b's layer has no such weight", expected=values[name])


def values_for(
    source: Layer, target: Layer, copy: bool = True
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """The weights of `source` that can be read, as far as `target` has such, and what was done to them, by name.

    Without a copy they are only to be looked at.
    """
    values, _ = read_each(source.weights, copy)
    return values, merge_recurrent_biases(target, values)


def counterpart(
    name: str,
    weight: WeightTensor,
    values: Mapping[str, np.ndarray[Any, Any]],
    source: Layer,
    target: Layer,
) -> tuple[np.ndarray[Any, Any], str]:
    """What a weight of `target` is if it computes the same as `source`, and what was done for it.

    Parameters
    ----------
    name, weight : str, WeightTensor
        One of `target`.
    values : mapping
        See `values_for`.
    source, target : Layer

    Raises
    ------
    InputError
        If `source` has no such weight, or no such weight can compute the same.
    UnsupportedError
        If that of `source` cannot be read.
    """
    heads = [layer.config.get("heads") for layer in (source, target)]
    if heads[0] != heads[1] and None not in heads:
        raise InputError(
            f"{source.path!r} has {heads[0]} heads and {target.path!r} {heads[1]}: the same weights would compute "
            f"something else"
        )
    reset_after = [layer.config.get("reset_after") for layer in (source, target)]
    if reset_after[0] != reset_after[1]:
        raise InputError(
            f"{source.path!r} has reset_after={reset_after[0]} and {target.path!r} reset_after={reset_after[1]}: "
            f"the same weights would compute something else"
        )
    if name in source.weights and name not in values:
        source.weights[name].peek()  # which says why it cannot be read
    if name not in values:
        neutral = neutral_value(name)
        if neutral is None:
            raise InputError(f"{source.path!r} has no such weight")
        return np.full(
            weight.shape, neutral, np.float32
        ), f"the source has none, which is the same as {neutral:g}"
    if "flattened" in target.config and source.type_name == FILE_OF_KERAS:
        raise InputError(
            "the file does not tell in which order its features were flattened; "
            "load it with Keras' own load_weights"
        )
    if name == "slope" and values[name].size == 1 and weight.shape != values[name].shape:
        return np.broadcast_to(values[name].reshape(()), weight.shape), "the source's one slope for all"
    return reordered(values[name], weight.axes, source, target)


def merge_recurrent_biases(target: Layer, values: dict[str, np.ndarray[Any, Any]]) -> dict[str, str]:
    """Where only the source keeps two biases, let its `values` have their sum; a GRU's reset gate parts them.

    Returns what was done, by name.
    """
    if target.kind not in ("lstm", "rnn"):
        return {}
    merged = {}
    for name in [name for name in values if name.startswith("recurrent_bias") and name not in target.weights]:
        bias = name.removeprefix("recurrent_")
        values[bias] = values[bias] + values.pop(name)
        merged[bias] = "the sum of the source's two biases"
    return merged
