"""Which of several pictures among a model's inputs a layer was given: the one whose change changes what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..models.network import Network
from ..words.arrays import AxisArray

Array = np.ndarray[Any, Any]
Input = tuple[Any, ...]
"""Where a part of an input stands within it: positions and names."""


def pictures_in(network: Network, x: Any) -> list[Input]:
    """The parts of an input that are batches of images."""
    if not hasattr(network.adapter, "images"):
        return []
    return [where for where, part in _parts(x) if network.adapter.images(network.native, part) is not None]


def given_picture(x: Any, pictures: list[Input], computed: Callable[[Any], Array | None]) -> Input | None:
    """The one picture on which something depends that a model computes; None if it is none of them, or several.

    Parameters
    ----------
    x : object
        The model's input.
    pictures : list of tuple
        Which of its parts are pictures.
    computed : callable
        Given an input, it returns what is asked about.
    """
    random = np.random.default_rng(0)
    noisy = x
    for where in pictures:
        noisy = replaced(noisy, where, _noise(part_of(x, where), random))
    before = computed(noisy)
    changed = [
        where
        for where in pictures
        if not _same(before, computed(replaced(noisy, where, _noise(part_of(x, where), random))))
    ]
    return changed[0] if len(changed) == 1 else None


def part_of(x: Any, where: Input) -> Any:
    """The part of an input that stands somewhere."""
    for step in where:
        x = x[step]
    return x


def replaced(x: Any, where: Input, part: Any) -> Any:
    """The same input with one part changed for another."""
    if not where:
        return part
    step, *rest = where
    if isinstance(x, Mapping):
        return {**x, step: replaced(x[step], tuple(rest), part)}
    parts = [replaced(old, tuple(rest), part) if place == step else old for place, old in enumerate(x)]
    return tuple(parts) if isinstance(x, tuple) else parts


def _parts(x: Any, where: Input = ()) -> Iterator[tuple[Input, Any]]:
    if isinstance(x, Mapping):
        entries: Any = x.items()
    elif isinstance(x, (list, tuple)):
        entries = enumerate(x)
    else:
        yield where, x
        return
    for step, part in entries:
        yield from _parts(part, (*where, step))


def _noise(part: Any, random: np.random.Generator) -> Any:
    """A picture of the same size with nothing on it."""
    if isinstance(part, AxisArray):
        return AxisArray(_noise(part.values, random), part.axes)
    values = random.random(tuple(part.shape))
    is_integer = "int" in str(part.dtype)
    return (255 * values).astype("uint8") if is_integer else values.astype("float32")


def _same(first: Array | None, second: Array | None) -> bool:
    return first is not None and second is not None and np.array_equal(first, second, equal_nan=True)
