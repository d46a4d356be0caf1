"""What operations do to where the elements of tensors lie, the same in every framework.

What moves elements about moves their stretches, what sums over an axis takes the hull, and what adds a part of the
image to a summary of all of it, as residual connections and gates do, leaves the part where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import numpy as np

from ..words.supports_flow import Coordinate, Origin, Stretch
from . import stretches

Array = np.ndarray[Any, Any]


def hull(origin: Origin, axes: Iterable[int], keepdims: bool = True) -> Origin:
    """What is made of all elements along axes: from the first start to the last end.

    Where one of them is a part of each other, as where features of a place stand beside a summary of the whole, it
    lies where that part does.
    """
    axes = tuple(axes)
    return {key: stretches.summed(stretch, axes, keepdims) for key, stretch in origin.items()}


def broadcast(origin: Origin, shape: Sequence[int]) -> Origin:
    """The same along axes of length one that become longer."""
    return {
        key: Stretch(np.broadcast_to(low, tuple(shape)), np.broadcast_to(high, tuple(shape)))
        for key, (low, high) in origin.items()
    }


def moved(
    origins: Sequence[Origin], shapes: Sequence[Sequence[int]], move: Callable[[list[Array]], Any]
) -> Origin:
    """What an operation only moves about; `move` does to arrays of these shapes what it does to the values."""
    keys = {key: None for origin in origins for key in origin}
    found = {}
    for key in keys:
        known = [
            origin.get(key, stretches.nowhere(shape)) for origin, shape in zip(origins, shapes, strict=True)
        ]
        ends = (move([low for low, _ in known]), move([high for _, high in known]))
        found[key] = Stretch(*map(stretches.compact, ends))
    return found


def concatenated(origins: Sequence[Origin], shapes: Sequence[Sequence[int]], axis: int) -> Origin:
    """Tensors that are put one behind the other along an axis."""
    axis %= len(shapes[0])

    def move(ends: list[Array]) -> Array:
        once = [a for a in range(ends[0].ndim) if a != axis and all(end.strides[a] == 0 for end in ends)]
        thin = [end[tuple(slice(1) if a in once else slice(None) for a in range(end.ndim))] for end in ends]
        joint = np.concatenate(thin, axis)
        if (
            joint.size
            and all(end.strides[axis] == 0 for end in ends)
            and not stretches.differs_along(joint, axis)
        ):
            joint = joint.take([0], axis)
        shape = list(ends[0].shape)
        shape[axis] = sum(end.shape[axis] for end in ends)
        return np.broadcast_to(joint, shape)

    return moved(origins, shapes, move)


def reshaped(origin: Origin, shape: Sequence[int]) -> Origin:
    """The same elements in the same order along other axes."""
    return {
        key: Stretch(*(stretches.reshaped(end, tuple(shape)) for end in ends)) for key, ends in origin.items()
    }


def is_same(first: Origin, second: Origin) -> bool:
    """Whether two tensors of one shape lie at the same places."""
    return first.keys() == second.keys() and all(
        np.array_equal(stretches.thinned(one), stretches.thinned(other))
        for key in first
        for one, other in zip(first[key], second[key], strict=True)
    )


def with_margins(origin: Origin, widths: Sequence[tuple[int, int]]) -> Origin:
    """A tensor with something put around it: `widths` before and behind each axis, less than zero for a cut.

    Whatever stands in the margins, it lies at none of the places; but it is of the sample around which it stands.
    """
    return {key: Stretch(*stretches.widened(stretch, widths)) for key, stretch in origin.items()}


def joined(origins: Iterable[Origin], shape: Sequence[int]) -> Origin:
    """What is computed element by element of several tensors that broadcast to `shape`.

    Of a part and a whole around it, it lies where the part does; else in the hull.
    """
    found: dict[Coordinate, Stretch] = {}
    for origin in origins:
        for key, stretch in broadcast(_of_rank(origin, len(shape)), shape).items():
            found[key] = stretches.meeting(found[key], stretch) if key in found else stretch
    return found


def multiplied(left: Origin, right: Origin, shape: Sequence[int]) -> Origin:
    """A product of matrices, or of batches of them: what it is made of rows and columns lies where the rows do."""
    rank = len(shape)
    return paired(hull(left, (-1,)), hull(right, (-2,)), {rank - 2}, {rank - 1}, shape)


def paired(
    first: Origin, second: Origin, of_first: Container[int], of_second: Container[int], shape: Sequence[int]
) -> Origin:
    """What is computed of each element of one tensor with each of another, as query and key in attention.

    Along the axes `of_first` only the first varies, along `of_second` only the second; it lies where the first
    does, or, where that is at one place, where the second does.
    """
    first, second = (_of_rank(origin, len(shape)) for origin in (first, second))
    found = dict(broadcast({k: v for k, v in first.items() if k not in second}, shape))
    found.update(broadcast({k: v for k, v in second.items() if k not in first}, shape))
    for key in first.keys() & second.keys():
        if any(axis in of_first for axis in stretches.varying(first[key])):
            found.update(broadcast({key: first[key]}, shape))
        elif any(axis in of_second for axis in stretches.varying(second[key])):
            found.update(broadcast({key: second[key]}, shape))
        else:
            found.update(joined(({key: first[key]}, {key: second[key]}), shape))
    return found


def everywhere(origins: Iterable[Origin], shape: Sequence[int]) -> Origin:
    """What may depend on all elements of several tensors."""
    whole: dict[Coordinate, tuple[Any, Any]] = {}
    for origin in origins:
        for key, (low, high) in origin.items():
            if low.size:
                before = whole.get(key, (np.inf, -np.inf))
                whole[key] = min(before[0], stretches.least(low)), max(before[1], -stretches.least(-high))
    return {
        key: Stretch(*(np.broadcast_to(np.float32(end), tuple(shape)) for end in ends))
        for key, ends in whole.items()
    }


def _of_rank(origin: Origin, rank: int) -> Origin:
    return {
        key: Stretch(*(end.reshape((1,) * (rank - end.ndim) + end.shape) for end in stretch))
        for key, stretch in origin.items()
    }
