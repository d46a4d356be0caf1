"""What the numbers alone say of a difference: a scale, an order, a function, a narrower float, values dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ...words.arrays import AxisArray, as_float64
from ..common import Matched, matched
from ..judging.difference import Difference
from ..judging.judging import Judge, like
from ..narrow import round_to
from ..permutations import in_words, order_along
from .functions import functions_of

Array = np.ndarray[Any, Any]

Candidate = tuple[str, str, Array, Array]
"""The name and the words of what may have been done, and what a's and b's numbers would then be."""

_ORDERS = {"channel": "channel order", "time": "direction", "batch": "order of samples"}
"""What it is called if an axis is in another order."""

_MOST_COLOURS = 4
_NO_SCALE = 1e-4
"""Scales are as good as one that are no further from it."""

_DIGITS = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23}
"""How far apart numbers of these floats stand; the narrowest first, whose numbers all wider ones have, too."""


class Signature(NamedTuple):
    """How b's numbers come from a's: one word, the same in words, and what remains of the difference."""

    name: str
    words: str
    left: Difference


def corrected(found: Signature, before: Difference) -> str:
    """The words of a signature, and what it makes of the difference."""
    return (
        f"{found.words}; with that corrected, the difference falls from {before.max_abs:.1e} "
        f"to {found.left.max_abs:.1e}"
    )


def called(found: Signature, at_input: bool) -> str:
    """The name of a signature; what is done to the model's input is preprocessing."""
    return "preprocessing" if at_input and found.name in ("scale", "offset") else found.name


def signature(
    a: AxisArray, b: AxisArray, judge: Judge, orders: Iterable[tuple[str, Array]] = ()
) -> Signature | None:
    """Find what was done to a's numbers to get b's, or the reverse.

    Parameters
    ----------
    a, b : AxisArray
        What was given or returned at the place in question.
    judge : Judge
        Says what agrees.
    orders : iterable of pairs
        In which orders a map may have been flattened to these features, in words and as indices.
    """
    if b.canonical().shape == a.canonical().shape or matched(a, b) is not None:
        together = matched(a, b)
        assert together is not None
        for name, words, left, right in _candidates(together, tuple(orders)):
            found = judge.difference(like(a, left, together.axes), like(b, right, together.axes))
            if found.within:
                return Signature(name, words, found)
        narrow = _precision(together, judge)
        if narrow is not None:
            return narrow
    return _laid_out(a, b, judge)


def _candidates(both: Matched, orders: Iterable[tuple[str, Array]]) -> Iterator[Candidate]:
    a, b = (np.asarray(values, np.float64) for values in (both.a, both.b))
    yield from _dropped(a, b, "b")
    yield from _dropped(b, a, "a")
    yield from _reordered(a, b, both.axes, orders)
    for order in permutations(range(1, a.ndim)):
        whole = (0, *order)
        if whole != tuple(range(a.ndim)) and a.transpose(whole).shape == b.shape:
            said = ", ".join(both.axes[place] for place in whole)
            yield "layout", f"b has the axes in the order {said}", a.transpose(whole), b
    yield from _affine(a, b, both.axes)
    if "channel" in both.axes:
        turned = np.flip(a, both.axes.index("channel"))
        for _, words, left, right in _affine(turned, b, both.axes):
            yield "scale", f"b has the channels in reverse order (RGB against BGR), and {words}", left, right
    for function in functions_of(a, b, both.axes):
        yield "activation", f"b applies {function}, a does not", function(a), b
    for function in functions_of(b, a, both.axes):
        yield "activation", f"a applies {function}, b does not", a, function(b)
    yield from _added(a, b)


def _reordered(
    a: Array, b: Array, axes: Sequence[str], flattened: Iterable[tuple[str, Array]]
) -> Iterator[Candidate]:
    """The slices along an axis in another order."""
    for said, indices in flattened if a.ndim == 2 else ():
        yield "flatten order", f"b flattens in the order {said}", a[:, indices], b
        yield "flatten order", f"a flattens in the order {said}", a, b[:, indices]
    for place, axis in reversed(list(enumerate(axes))):
        order = order_along(a, b, place)
        if order is not None:
            name = _ORDERS.get(axis, "channel order" if a.ndim == 2 else "layout")
            yield name, f"b has a's axis {axis} in another order: {in_words(order)}", a.take(order, place), b


def _added(a: Array, b: Array) -> Iterator[Candidate]:
    """Something that is the same for all samples, such as a table of positions."""
    if len(a) < 2 or not np.isfinite(a).all() or not np.isfinite(b).all():
        return
    table = (b - a).mean(0, keepdims=True)
    # Of samples that are alike this would be true in any case.
    if np.std(a - a.mean(0, keepdims=True)) > 1e-2 * np.std(table):
        size = float(np.sqrt(np.mean(np.square(table))))
        words = (
            f"b has something added that is the same for all samples (of about {size:.3g}), such as a table"
        )
        yield "addition", words, a + table, b


def _dropped(kept: Array, thinned: Array, who: str) -> Iterator[Candidate]:
    """Some values are zero: by dropout if the rest is larger by what makes up for it, by a mask if it is as it was."""
    there = kept != 0
    zero = there & (thinned == 0)
    share = float(zero.sum() / max(there.sum(), 1))
    rest = there & ~zero
    if not 0.005 < share < 0.995 or not rest.any():
        return
    factor = float(np.median(thinned[rest] / kept[rest]))
    # How many are dropped is itself a matter of chance.
    slack = 0.02 + 3 * float(np.sqrt(share / (1 - share) / there.sum()))
    if factor > 1 + share / 2 and abs(factor * (1 - share) - 1) < slack:
        words = (
            f"dropout is on in {who}: {share:.0%} of the values are zero there, "
            f"and the rest is {factor:.4g} times as large"
        )
        yield "dropout", words, np.where(zero, 0, kept * factor), thinned
    elif _whole_places(zero, there):
        words = f"{who} has zeros in {share:.0%} of the places, at each for all features: a mask"
        yield "mask", words, np.where(zero, 0, kept), thinned


def _whole_places(zero: Array, there: Array) -> bool:
    """Whether what is zero is so along one whole axis, that of features or of steps."""
    return any(
        bool((zero == (zero.any(place, keepdims=True) & there)).all()) for place in range(1, zero.ndim)
    )


def _affine(a: Array, b: Array, axes: Sequence[str]) -> Iterator[Candidate]:
    scale, offset = _fit(a.ravel(), b.ravel())
    yield "scale", f"b is {_times(scale, offset)}", a * scale + offset, b
    if "channel" not in axes or a.shape[axes.index("channel")] > 4096:
        return
    place = list(axes).index("channel")
    left, right = (np.moveaxis(values, place, 0).reshape(values.shape[place], -1) for values in (a, b))
    if left.shape[1] < 8:
        return
    fits = [_fit(x, y) for x, y in zip(left, right, strict=True)]
    shape = [-1 if place == other else 1 for other in range(a.ndim)]
    scales, offsets = (np.array(part).reshape(shape) for part in zip(*fits, strict=True))
    if len(fits) > _MOST_COLOURS and np.abs(scales - 1).max() < _NO_SCALE:
        added = (right - left).mean(1)
        said = "; ".join(f"{number:.6g}" for number in added[:3]) + "; …"
        yield "offset", f"b has added, channel by channel, {said}, as a bias is", a + added.reshape(shape), b
    said = "; ".join(_times(*fit) for fit in fits[:3]) + ("; …" if len(fits) > 3 else "")
    said += _as_normalised(fits)
    yield "scale", f"b is, channel by channel, {said}", a * scales + offsets, b


def _fit(x: Array, y: Array) -> tuple[float, float]:
    """The straight line through a cloud of points."""
    mean_x, mean_y = x.mean(), y.mean()
    spread = np.dot(x - mean_x, x - mean_x)
    scale = float(np.dot(x - mean_x, y - mean_y) / spread) if spread else 0.0
    return scale, float(mean_y - scale * mean_x)


def _times(scale: float, offset: float) -> str:
    if abs(offset) < 1e-6 * (abs(scale) + 1):
        return f"{scale:.6g} × a" if abs(scale) > 0.1 else f"a / {1 / scale:.6g}" if scale else "0"
    return f"{scale:.6g} × a {'+' if offset > 0 else '−'} {abs(offset):.6g}"


def _as_normalised(fits: Sequence[tuple[float, float]]) -> str:
    """The same of few channels as pictures are normalised."""
    if len(fits) > _MOST_COLOURS or not all(scale for scale, _ in fits):
        return ""
    means, spreads = ([f"{part:.4g}" for part in parts] for parts in zip(*_normalised(fits), strict=True))
    return f", that is (a − mean) / std with mean {', '.join(means)} and std {', '.join(spreads)}"


def _normalised(fits: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for scale, offset in fits:
        yield -offset / scale + 0.0, 1 / scale


def _precision(both: Matched, judge: Judge) -> Signature | None:
    """A narrower float: all numbers of one side are such, and the other side's are as near as they can be."""
    if both.a.dtype.kind != "f" or both.b.dtype.kind != "f" or not both.a.size:
        return None
    if not (np.isfinite(both.a).all() and np.isfinite(both.b).all()):
        return None
    for dtype, digit in _DIGITS.items():
        for who, own, other in (("b", both.b, both.a), ("a", both.a, both.b)):
            if not np.array_equal(round_to(own, dtype), own) or np.array_equal(round_to(other, dtype), other):
                continue
            apart = np.abs(as_float64(own) - other)
            scale = float(np.sqrt(np.mean(np.square(own, dtype=np.float64))))
            if (apart <= 8 * digit * (np.abs(own) + scale)).all():
                rounded = AxisArray(round_to(other, dtype), both.axes)
                left = judge.difference(rounded, AxisArray(own, both.axes))
                words = (
                    f"{who} computes in {dtype}: every number it returned is one, "
                    f"and no error is larger than rounding brings"
                )
                return Signature("precision", words, left)
    return None


def _laid_out(a: AxisArray, b: AxisArray, judge: Judge) -> Signature | None:
    """The same numbers, read in another order: a reshape in the place of a transposition."""
    ours, theirs = a.canonical(), b.canonical()
    if ours.values.size != theirs.values.size or ours.shape[:1] != theirs.shape[:1] or ours.values.ndim > 5:
        return None
    for who, other, source, target in (("b", "a", ours, theirs), ("a", "b", theirs, ours)):
        for order in permutations(range(1, source.values.ndim)):
            read = source.values.transpose(0, *order).reshape(target.shape)
            found = judge.difference(AxisArray(read, target.axes), target)
            if found.within:
                said = ", ".join(source.axes[place] for place in (0, *order))
                words = (
                    f"{who} has the same numbers in another place: "
                    f"those of {other} read in the order {said}, and reshaped"
                )
                return Signature("layout", words, found)
    return None
