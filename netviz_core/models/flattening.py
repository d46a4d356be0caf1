"""From one order of flattened features to another: two layers that compute the same see them in different orders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..words.arrays import canonical_axes
from ..words.errors import InputError
from ..words.protocols import Layer

Order = Sequence[Mapping[str, int]]
"""Features, part by part: the axes that they were flattened from, the slowest first, with their sizes."""


def reordered(
    values: np.ndarray[Any, Any], axes: Sequence[str], source: Layer, target: Layer
) -> tuple[np.ndarray[Any, Any], str]:
    """A weight of `source` with its features in the order in which `target` sees them.

    A layer whose ``config`` says ``flattened`` (of the features it takes) or ``unflattened`` (of those
    it makes) has them in that order; any other in netviz' own: time, channel, z, y, x.

    Returns
    -------
    values : numpy.ndarray
    note : str
        What was done; empty if nothing was to do.

    Raises
    ------
    InputError
        If the order is not known on one side, or the two do not go together.
    """
    notes = []
    ours, theirs = source.config, target.config
    for axis, key in (("in", "flattened"), ("channel", "flattened"), ("out", "unflattened")):
        if axis not in axes or not (key in ours or key in theirs):
            continue
        position = axes.index(axis)
        try:
            indices, note = _indices(ours.get(key, ()), theirs.get(key, ()), values.shape[position])
        except InputError as error:
            raise InputError(f"{key} features of {source.path!r} and {target.path!r}: {error}") from None
        if source.kind == "group_norm" and note:
            raise InputError(
                f"{source.path!r} and {target.path!r} would put different features into one group, since they are "
                f"flattened in different orders"
            )
        values = values.take(indices, axis=position)
        notes += [f"{key} features {note}"] * bool(note)
    return values, ", ".join(notes)


def order_declared(source: Layer, target: Layer, size: int) -> np.ndarray[Any, Any] | None:
    """Which of the features that `source` is given come first, second, … in what `target` is given.

    None where neither layer says in which order they were flattened, or the two do not go together.
    """
    ours, theirs = source.config, target.config
    if "flattened" not in ours and "flattened" not in theirs:
        return None
    try:
        return _indices(ours.get("flattened", ()), theirs.get("flattened", ()), size)[0]
    except InputError:
        return None


def _indices(ours: Order | None, theirs: Order | None, size: int) -> tuple[np.ndarray[Any, Any], str]:
    """Which features come first, second, …, and what was done; empty orders are netviz' own."""
    if ours is None and theirs is None:
        return np.arange(size), "in an order that neither tells, taken to be the same"
    if ours is None or theirs is None:
        raise InputError(
            "the order cannot be known on one side: the model has no graph, or brings several orders together"
        )
    given, wanted = ours or _canonical(theirs), theirs or _canonical(ours)
    if [*map(dict, given)] != [*map(dict, wanted)] or sum(map(_size, given)) != size:
        raise InputError(f"{size} of them are {_described(given)} here and {_described(wanted)} there")
    indices, start = [], 0
    for before, after in zip(given, wanted, strict=True):
        block = np.arange(start, start + _size(before)).reshape(tuple(before.values()))
        indices.append(block.transpose([list(before).index(axis) for axis in after]).ravel())
        start += _size(before)
    if [*map(list, given)] != [*map(list, wanted)]:
        return np.concatenate(indices), f"brought from {_described(given)} to {_described(wanted)}"
    return np.concatenate(
        indices
    ), "" if ours and theirs else f"taken to be {_described(given)} on both sides"


def _canonical(order: Order) -> Order:
    return [{axis: part[axis] for axis in canonical_axes(tuple(part))} for part in order]


def _size(part: Mapping[str, int]) -> int:
    return math.prod(part.values())


def _described(order: Order) -> str:
    return " and ".join(f"({', '.join(f'{axis} {size}' for axis, size in part.items())})" for part in order)
