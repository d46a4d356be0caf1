"""Where in a model's inputs a value lies: followed from operation to operation, never concluded from shapes.

Each element of a tensor has, for each axis of each input on which it depends, a stretch of that axis to which it
belongs. What an operation does to these stretches is the same in every framework: what moves elements about moves
their stretches, what sums over an axis takes the hull, and what adds a part of the image to a summary of all
of it, as residual connections and gates do, leaves the part where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..words.arrays import SPATIAL_AXES
from ..words.supports import Coordinate, Origin, Source, Stretch

Array = np.ndarray[Any, Any]

_ROUNDING = 1e-3
"""How much two ends of stretches may differ and still be the same, as a share of one element."""


class Origins:
    """Starts origins and carries them through operations."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._names: dict[Coordinate, str] = {}
        self._made: set[str] = set()

    def start(self, source: str, shape: Sequence[int], names: Sequence[str | None] = ()) -> Origin:
        """The origin of an input itself: each element lies where it stands."""
        shape = tuple(shape)
        self._shapes[source] = shape
        for axis, name in enumerate(names):
            self.name(Coordinate(source, axis), name)
        return {Coordinate(source, axis): _along(axis, shape) for axis in range(len(shape))}

    def name(self, coordinate: Coordinate, name: str | None) -> None:
        """Say what an axis is; what was said first stands."""
        if name is not None and name not in self._names_of(coordinate.source):
            self._names.setdefault(coordinate, name)

    def sources(self) -> dict[str, Source]:
        """What is known of all inputs by now, and of the maps that were made within the model."""
        return {
            source: Source(
                tuple(self._names.get(Coordinate(source, axis)) for axis in range(len(shape))),
                shape,
                source not in self._made,
            )
            for source, shape in self._shapes.items()
        }

    def convolved(
        self,
        origin: Origin,
        before: Sequence[int],
        after: Sequence[int],
        spatial: Sequence[int],
        channel: int | None = None,
    ) -> Origin:
        """What goes along spatial axes, step by step: a convolution, a pooling, an enlargement.

        Each place of the result lies in its share of the whole, whatever the margins. Says of the inputs'
        axes which are spatial; along an axis that no input knows, the map itself is a source from here on.

        Parameters
        ----------
        origin : Origin
            Of what is given, of shape `before`; the result has shape `after`.
        spatial : sequence of int
            The positions of z, y and x; of fewer, the last of them.
        channel : int, optional
            The position of the axis that is summed over.
        """
        names = dict(zip(spatial, SPATIAL_AXES[-len(spatial) :], strict=True))
        if channel is not None:
            for key, stretch in origin.items():
                if channel in varying(stretch):
                    self.name(key, "channel")
            origin = hull(origin, (channel,))
        known = {key: varying(stretch) for key, stretch in origin.items()}
        for axis, name in names.items():
            for key, axes in known.items():
                if axis in axes:
                    self.name(key, name)
        unknown = [a for a in names if before[a] > 1 and not any(a in axes for axes in known.values())]
        if origin and unknown:
            source = f"·{len(self._shapes)}"
            self._made.add(source)
            self._shapes[source] = tuple(before[axis] for axis in names)
            shape = tuple(1 if axis == channel else size for axis, size in enumerate(before))
            made = {}
            for number, (axis, name) in enumerate(names.items()):
                self._names[Coordinate(source, number)] = name
                made[Coordinate(source, number)] = _along(axis, shape)
            origin = {**origin, **made}
        for axis in names:
            origin = {key: _resampled(stretch, axis, after[axis]) for key, stretch in origin.items()}
        return broadcast(origin, after)

    def _names_of(self, source: str) -> set[str]:
        return {name for key, name in self._names.items() if key.source == source}


def hull(origin: Origin, axes: Iterable[int], keepdims: bool = True) -> Origin:
    """What is made of all elements along axes: from the first start to the last end.

    Where one of them is a part of each other, as where features of a place stand beside a summary of the whole, it
    lies where that part does.
    """
    axes = tuple(axes)
    return {key: _summed(stretch, axes, keepdims) for key, stretch in origin.items()}


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
        stretches = [origin.get(key, nowhere(shape)) for origin, shape in zip(origins, shapes, strict=True)]
        ends = (move([low for low, _ in stretches]), move([high for _, high in stretches]))
        found[key] = Stretch(*map(_compact, ends))
    return found


def concatenated(origins: Sequence[Origin], shapes: Sequence[Sequence[int]], axis: int) -> Origin:
    """Tensors that are put one behind the other along an axis."""
    axis %= len(shapes[0])

    def move(ends: list[Array]) -> Array:
        once = [a for a in range(ends[0].ndim) if a != axis and all(end.strides[a] == 0 for end in ends)]
        thin = [end[tuple(slice(1) if a in once else slice(None) for a in range(end.ndim))] for end in ends]
        joint = np.concatenate(thin, axis)
        if joint.size and all(end.strides[axis] == 0 for end in ends) and not _differs_along(joint, axis):
            joint = joint.take([0], axis)
        shape = list(ends[0].shape)
        shape[axis] = sum(end.shape[axis] for end in ends)
        return np.broadcast_to(joint, shape)

    return moved(origins, shapes, move)


def reshaped(origin: Origin, shape: Sequence[int]) -> Origin:
    """The same elements in the same order along other axes."""
    return {key: Stretch(*(_reshaped(end, tuple(shape)) for end in ends)) for key, ends in origin.items()}


def is_same(first: Origin, second: Origin) -> bool:
    """Whether two tensors of one shape lie at the same places."""
    return first.keys() == second.keys() and all(
        np.array_equal(_thinned(one), _thinned(other))
        for key in first
        for one, other in zip(first[key], second[key], strict=True)
    )


def with_margins(origin: Origin, widths: Sequence[tuple[int, int]]) -> Origin:
    """A tensor with something put around it: `widths` before and behind each axis, less than zero for a cut.

    Whatever stands in the margins, it lies at none of the places; but it is of the sample around which it stands.
    """
    return {key: Stretch(*_widened(stretch, widths)) for key, stretch in origin.items()}


def nowhere(shape: Sequence[int]) -> Stretch:
    """Of elements that do not depend on an input."""
    one = np.float32(np.inf)
    return Stretch(np.broadcast_to(one, tuple(shape)), np.broadcast_to(-one, tuple(shape)))


def joined(origins: Iterable[Origin], shape: Sequence[int]) -> Origin:
    """What is computed element by element of several tensors that broadcast to `shape`.

    Of a part and a whole around it, it lies where the part does; else in the hull.
    """
    found: dict[Coordinate, Stretch] = {}
    for origin in origins:
        for key, stretch in broadcast(_of_rank(origin, len(shape)), shape).items():
            found[key] = _meeting(found[key], stretch) if key in found else stretch
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
        if any(axis in of_first for axis in varying(first[key])):
            found.update(broadcast({key: first[key]}, shape))
        elif any(axis in of_second for axis in varying(second[key])):
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
                whole[key] = min(before[0], _least(low)), max(before[1], -_least(-high))
    return {
        key: Stretch(*(np.broadcast_to(np.float32(end), tuple(shape)) for end in ends))
        for key, ends in whole.items()
    }


def varying(stretch: Stretch) -> set[int]:
    """The axes of a tensor along which elements lie at different places."""
    return {axis for axis in range(stretch.low.ndim) if any(_differs_along(end, axis) for end in stretch)}


def _differs_along(end: Array, axis: int) -> bool:
    if end.shape[axis] < 2 or end.strides[axis] == 0:
        return False
    end = _thinned(end, keep=axis)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(end - end.take([0], axis)) > _ROUNDING).any())


def _thinned(end: Array, keep: int | None = None) -> Array:
    """The same without the repetitions that take no memory."""
    is_repeated = [step == 0 and axis != keep for axis, step in enumerate(end.strides)]
    return end[tuple(slice(1) if repeated else slice(None) for repeated in is_repeated)]


def _reshaped(end: Array, shape: tuple[int, ...]) -> Array:
    """As ``numpy.reshape`` does; what repeats along axes that stay apart from the others takes no memory."""
    if not end.size:
        return np.zeros(shape, end.dtype)
    once, short = list(end.shape), list(shape)
    for old, new in _groups(end.shape, shape):
        if all(end.strides[axis] == 0 or end.shape[axis] == 1 for axis in old):
            for axis in old:
                once[axis] = 1
            for axis in new:
                short[axis] = 1
    thin = end[tuple(slice(length) for length in once)]
    return np.broadcast_to(_compact(thin.reshape(short)), shape)


def _groups(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The axes that a reshape makes of each other, from the front on."""
    old: list[int] = []
    new: list[int] = []
    sizes = [1, 1]
    following = [iter(range(len(before))), iter(range(len(after)))]
    while True:
        side = int(sizes[0] > sizes[1])
        axis = next(following[side], None)
        if axis is None:
            side = 1 - side
            axis = next(following[side], None)
        if axis is None:
            break
        (old, new)[side].append(axis)
        sizes[side] *= (before, after)[side][axis]
        if sizes[0] == sizes[1] and old and new:
            yield old, new
            old, new, sizes = [], [], [1, 1]
    if old or new:
        yield old, new


def _compact(end: Array) -> Array:
    """The same, with what repeats along an axis taking no memory."""
    if not end.size:
        return end
    same = [a for a in range(end.ndim) if end.shape[a] > 1 and end.strides[a] and not _differs_along(end, a)]
    once = end[tuple(slice(1) if axis in same else slice(None) for axis in range(end.ndim))]
    return np.broadcast_to(np.array(once), end.shape) if same else end


def _least(end: Array) -> float:
    return float(_thinned(end).min())


def _along(axis: int, shape: tuple[int, ...]) -> Stretch:
    index = np.arange(shape[axis], dtype=np.float32).reshape(
        [-1 if a == axis else 1 for a in range(len(shape))]
    )
    return Stretch(np.broadcast_to(index, shape), np.broadcast_to(index + 1, shape))


def _summed(stretch: Stretch, axes: Sequence[int], keepdims: bool) -> Stretch:
    rank = stretch.low.ndim
    axes = tuple(axis % rank for axis in axes)
    shape = [1 if axis in axes else size for axis, size in enumerate(stretch.low.shape)]
    low, high = np.broadcast_arrays(*map(_thinned, stretch))
    start = low.min(axis=axes, keepdims=True, initial=np.inf)
    end = high.max(axis=axes, keepdims=True, initial=-np.inf)
    if any(low.shape[axis] > 1 for axis in axes):
        is_none = low > high
        common = np.where(is_none, -np.inf, low).max(axis=axes, keepdims=True)
        common_end = np.where(is_none, np.inf, high).min(axis=axes, keepdims=True)
        smallest = np.where(is_none, np.inf, high - low).min(axis=axes, keepdims=True)
        with np.errstate(invalid="ignore"):
            has_part = np.abs(smallest - (common_end - common)) < _ROUNDING
        start, end = np.where(has_part, common, start), np.where(has_part, common_end, end)
    ends = (np.broadcast_to(part.astype(np.float32), shape) for part in (start, end))
    return Stretch(*(part if keepdims else part.squeeze(axes) for part in ends))


def _of_rank(origin: Origin, rank: int) -> Origin:
    return {
        key: Stretch(*(end.reshape((1,) * (rank - end.ndim) + end.shape) for end in stretch))
        for key, stretch in origin.items()
    }


def _meeting(first: Stretch, second: Stretch) -> Stretch:
    """Where the smaller of two stretches is, if the other holds it; else the hull."""
    if first.low is second.low and first.high is second.high:
        return first
    shape = first.low.shape
    (low, high), (other_low, other_high) = (map(_thinned, stretch) for stretch in (first, second))
    is_none, is_other_none = low > high, other_low > other_high
    holds = (low <= other_low + _ROUNDING) & (other_high <= high + _ROUNDING)
    is_held = (other_low <= low + _ROUNDING) & (high <= other_high + _ROUNDING)
    takes_other = ~is_other_none & (is_none | (holds & ~is_held))
    takes_first = ~takes_other & (is_other_none | is_held)
    low = np.where(takes_other, other_low, np.where(takes_first, low, np.minimum(low, other_low)))
    high = np.where(takes_other, other_high, np.where(takes_first, high, np.maximum(high, other_high)))
    return Stretch(np.broadcast_to(low, shape), np.broadcast_to(high, shape))


def _widened(stretch: Stretch, widths: Sequence[tuple[int, int]]) -> Iterator[Array]:
    places = varying(stretch)
    cut = tuple(
        slice(max(-first, 0), size - max(-last, 0)) for (first, last), size in _sized(stretch, widths)
    )
    for end, fill in zip(stretch, (np.inf, -np.inf), strict=True):
        shape = [
            end[cut].shape[axis] + max(first, 0) + max(last, 0) for axis, (first, last) in enumerate(widths)
        ]
        thin = tuple(slice(None) if axis in places else slice(1) for axis in range(end.ndim))
        added = [
            (max(first, 0), max(last, 0)) if axis in places else (0, 0)
            for axis, (first, last) in enumerate(widths)
        ]
        yield np.broadcast_to(np.pad(end[cut][thin], added, constant_values=fill), shape)


def _sized(stretch: Stretch, widths: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], int]]:
    return zip(widths, stretch.low.shape, strict=True)


def _resampled(stretch: Stretch, axis: int, length: int) -> Stretch:
    """Each element's share of the whole, where an axis becomes longer or shorter."""
    stretch = _without_margins(stretch, axis)
    count = stretch.low.shape[axis]
    if count == length:
        return stretch
    if not any(_differs_along(end, axis) for end in stretch):
        shape = (*stretch.low.shape[:axis], length, *stretch.low.shape[axis + 1 :])
        return Stretch(*(np.broadcast_to(end.take([0], axis), shape) for end in stretch))
    shape = (*stretch.low.shape[:axis], length, *stretch.low.shape[axis + 1 :])
    stretch = Stretch(*(_thinned(end, keep=axis) for end in stretch))
    along = [-1 if a == axis else 1 for a in range(stretch.low.ndim)]
    starts, ends = (np.arange(length) + shift for shift in (0, 1))
    first = np.floor(starts * count / length + 1e-9).astype(int)
    last = np.maximum(np.ceil(ends * count / length - 1e-9).astype(int) - 1, first)
    before = (starts * count / length - first).reshape(along)
    behind = (last + 1 - ends * count / length).reshape(along)
    low, high = (end.take(first, axis) for end in stretch)
    last_low, last_high = (end.take(last, axis) for end in stretch)
    is_none, is_last_none = low > high, last_low > last_high
    low, high = np.where(is_none, last_low, low), np.where(is_none, last_high, high)
    last_low, last_high = np.where(is_last_none, low, last_low), np.where(is_last_none, high, last_high)
    size, last_size = np.maximum(high - low, 0), np.maximum(last_high - last_low, 0)
    is_rising = _rises(stretch.low, axis)
    new_low = np.where(is_rising, low + before * size, last_low + behind * last_size)
    new_high = np.where(is_rising, last_high - behind * last_size, high - before * size)
    return Stretch(*(np.broadcast_to(end.astype(np.float32), shape) for end in (new_low, new_high)))


def _without_margins(stretch: Stretch, axis: int) -> Stretch:
    """Without what lies nowhere at the beginning and the end of an axis."""
    if not any(_differs_along(end, axis) for end in stretch):
        return stretch
    others = tuple(a for a in range(stretch.low.ndim) if a != axis)
    low, high = np.broadcast_arrays(*(_thinned(end, keep=axis) for end in stretch))
    inner = np.flatnonzero((low < high).any(axis=others))
    within = (slice(None),) * axis + (slice(inner[0], inner[-1] + 1) if inner.size else slice(None),)
    return Stretch(*(end[within] for end in stretch))


def _rises(ends: Array, axis: int) -> Array:
    """Whether what lies along an axis is in the order of the input, rather than flipped."""
    with np.errstate(invalid="ignore"):
        steps = np.diff(ends, axis=axis)
    return np.asarray(np.sign(np.where(np.isfinite(steps), steps, 0)).sum(axis=axis, keepdims=True) >= 0)
