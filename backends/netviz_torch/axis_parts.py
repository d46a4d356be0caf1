"""What the axes of a tensor are made of: parts that a reshape folds together and takes apart again.

An axis is a row of parts, the outermost first. Each part runs over an origin: the samples of the input, the features
that a layer made, the places of a map, the scores of a query. So the heads that a model has folded into its batch can
be told from the samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(eq=False)
class Origin:
    """What made an axis.

    Parameters
    ----------
    kind : str
        ``sample``, ``feature`` (made by weights), ``place`` (on a map), ``given`` (an axis of the input),
        ``choice`` (one of several tensors), or empty where it is not known.
    length : int
    roots : frozenset of int
        The scores to whose axis it belongs, also after a cut, a selection or a concatenation.
    """

    kind: str
    length: int
    roots: frozenset[int] = field(default_factory=frozenset)


class Part(NamedTuple):
    """Every ``stride``-th place of an origin, ``length`` of them."""

    origin: Origin
    stride: int
    length: int


Parts = tuple[Part, ...]
Axes = tuple[Parts, ...]


def whole(kind: str, length: int, roots: frozenset[int] = frozenset()) -> Parts:
    """An axis of which nothing is known but what made it."""
    return () if length == 1 and not roots else (Part(Origin(kind, length, roots), 1, length),)


def kind_of_axis(parts: Parts) -> str:
    """What all parts of an axis are; empty if they differ."""
    kinds = {part.origin.kind for part in parts}
    return kinds.pop() if len(kinds) == 1 else ""


def roots_of(parts: Parts) -> frozenset[int]:
    """The scores to which an axis belongs."""
    return frozenset().union(*(part.origin.roots for part in parts))


def reshaped(axes: Axes, shape: Sequence[int]) -> Axes:
    """The parts of each axis after a reshape; those of axes that cut through parts are not known."""
    waiting = [part for parts in axes for part in parts]
    made: list[Parts] = []
    for length in shape:
        taken: list[Part] = []
        wanted = length
        while waiting and (wanted > 1 or (not taken and waiting[0].length == 1)):
            part = waiting.pop(0)
            if wanted % part.length == 0:
                taken.append(part)
                wanted //= part.length
            elif part.length % wanted == 0:
                inner = part.length // wanted
                taken.append(Part(part.origin, part.stride * inner, wanted))
                waiting.insert(0, Part(part.origin, part.stride, inner))
                wanted = 1
            else:
                return (*made, *(whole("", rest) for rest in shape[len(made) :]))
        made.append(_joined(taken))
    return tuple(made)


def _joined(parts: Sequence[Part]) -> Parts:
    """Parts that lie within each other as they once did are one again."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last is not None and last.origin is part.origin and last.stride == part.stride * part.length:
            joined[-1] = Part(part.origin, part.stride, last.length * part.length)
        else:
            joined.append(part)
    return tuple(joined)


def lengths(parts: Sequence[Part]) -> int:
    """How many places some parts have together."""
    return math.prod(part.length for part in parts)


def agreed(first: Parts, second: Parts) -> Parts:
    """What two axes that lie on each other are: the one of which more is known."""

    def known(parts: Parts) -> tuple[bool, bool]:
        return bool(roots_of(parts)), all(part.origin.kind for part in parts)

    if not first or not second:
        return first or second
    return second if known(second) > known(first) else first


def cut(parts: Parts, length: int) -> Parts:
    """An axis of another length that was made of this one: its samples are no more than some samples."""
    kind = kind_of_axis(parts)
    return whole("" if kind == "sample" else kind, length, roots_of(parts))
