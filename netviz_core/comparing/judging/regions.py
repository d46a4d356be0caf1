"""Regions of more than one layer: what one side does in several, and the other in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from ...recomputing.activation import activated
from ...words.arrays import AxisArray, as_float64
from ...words.protocols import Layer
from ..common import matched
from ..pairing.pairs import StationPair
from ..sides import Side
from ..stations import INPUT, Station
from .difference import Array, Difference
from .ends import HEADS
from .judging import Judge, Judged, like, returned_by
from .recipes import Course, course_of, courses_of

_MOST = 3
"""How many layers without a partner are looked at before and behind one that has one."""

_UNDECLARED = ("relu", "relu6", "silu", "gelu", "hard_silu", "sigmoid", "tanh")
"""Activations that layers of one's own apply without saying so."""

_SAME_SIZE, _MOSTLY = 0.03, 0.9
"""Channels are the same in another order if their sizes are; scaled, if so many point the same way."""
_FOLDED, _MOSTLY_FOLDED = 1e-2, 0.5
"""How near the size of a row is to that of one with a norm folded into it, and of how many in any order."""


def join_neighbours(judge: Judge) -> None:
    """Let layers without a partner join a pair whose values have no common form without them.

    A padding before a convolution that does not pad, a cropping behind a transposed convolution.
    """
    for found in judge.judged:
        pair = found.pair
        for mine, side in ((pair.a, judge.a), (pair.b, judge.b)):
            if found.given is not None and not np.isfinite(found.given.error):
                _join_before(found, mine[0], side, judge)
        for mine, side in ((pair.a, judge.a), (pair.b, judge.b)):
            if not np.isfinite(found.output.error):
                _join_behind(found, mine, side, judge)


def join_what_agrees(judge: Judge, same: Judge, number: int) -> bool:
    """Let layers behind a pair join it, if what they return is what the other side's layer does, given the same.

    A batch norm that the other side has folded, an activation that it has built in, the second half of a separable
    convolution.

    Parameters
    ----------
    judge, same : Judge
        Of the free run, and of that in which both were given the same.
    number : int
        Of the pair.
    """
    found, given_same = judge.judged[number], same.judged[number]
    for place in (0, 1):
        own, other = _both(given_same.pair, place)
        side = (same.a, same.b)[place]
        target = returned_by(other[-1])
        behind = list(_behind(own[-1], side, judge))
        stretches = [behind[: length + 1] for length in range(len(behind))]
        values = (_after(own, joined) for joined in stretches)
        agreeing = [
            joined
            for joined, value in zip(stretches, values, strict=True)
            if value is not None and target and _agree(value, target[0], place, same)
        ]
        joined = next(
            iter(agreeing or [joined for joined in stretches if _is_folded(own, joined, other)]), None
        )
        if joined is not None:
            both = (judge.a, judge.b)[place].stations
            _both(found.pair, place)[0].extend(both[station.number] for station in joined)
            judge.look_again(found)
            return True
    return False


def what_may_join(judge: Judge, number: int) -> tuple[list[Station], Station] | None:
    """The layers of one side of a pair, and one behind without a partner that the other side may have built in."""
    found = judge.judged[number]
    for place, side in enumerate((judge.a, judge.b)):
        own, _ = _both(found.pair, place)
        behind = next(_behind(own[-1], side, judge), None)
        if behind is not None and (behind.layer.kind == "activation" or behind.layer.kind.endswith("_norm")):
            return own, behind
    return None


def has_function_on_one_side(found: Judged) -> bool:
    """Whether one side's layer applies an activation itself, and the other's does not say so."""
    tails = found.pair.a[-1].layer, found.pair.b[-1].layer
    applied = [_is_declared(tail) and tail.kind != "activation" for tail in tails]
    return applied[0] is not applied[1]


def is_laid_out_otherwise(found: Judged) -> bool:
    """Whether both sides return the same channels in another order, or each of them scaled."""
    ours, theirs = returned_by(found.pair.a[-1])[:1], returned_by(found.pair.b[-1])[:1]
    together = matched(ours[0], theirs[0]) if ours and theirs else None
    if together is None or together.a.ndim < 2:
        return False
    place = together.axes.index("channel") if "channel" in together.axes else -1
    a, b = (
        as_float64(np.moveaxis(values, place, 0).reshape(values.shape[place], -1))
        for values in (together.a, together.b)
    )
    if a.shape[1] < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    one, other = (np.sort(np.linalg.norm(values, axis=1)) for values in (a, b))
    if np.allclose(one, other, rtol=_SAME_SIZE, atol=_SAME_SIZE * float(one.mean())):
        return True
    products = (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-30)
    return bool((products > 1 - _SAME_SIZE).mean() > _MOSTLY)


def apart_without_padding(
    ours: Sequence[AxisArray], theirs: Sequence[AxisArray], judge: Judge
) -> Iterator[Difference]:
    """Of two maps, the larger of which has zeros around it, how far they are apart without these, wherever they lie."""
    if len(ours) != 1 or len(theirs) != 1 or ours[0].axes != theirs[0].axes:
        return
    small, large = sorted((ours[0], theirs[0]), key=lambda value: value.values.size)
    room = np.subtract(large.shape, small.shape)
    if (room < 0).any() or not room.any():
        return
    starts = (
        range(max(last + 1 - size, 0), min(first, more) + 1)
        for (first, last), size, more in zip(extents_of(large.values), small.shape, room, strict=True)
    )
    for start in product(*starts):
        place = tuple(slice(at, at + size) for at, size in zip(start, small.shape, strict=True))
        yield judge.difference(like(large, large.values[place], large.axes), small)


def extents_of(values: Array) -> Iterator[tuple[int, int]]:
    """Along each axis, from where to where there is anything but zeros."""
    there = values != 0
    for axis, size in enumerate(values.shape):
        places = np.flatnonzero(there.any(tuple(other for other in range(values.ndim) if other != axis)))
        yield (int(places[0]), int(places[-1])) if len(places) else (size, -1)


def side_with_function(found: Judged, judge: Judge) -> str:
    """Which side's layer applies an activation itself that is all that differs; empty if that is not so.

    The one that it declares; or, of a layer that does other than its settings say, one that its numbers tell.
    """
    for place in (0, 1):
        own, other = _both(found.pair, place)
        tails = own[-1].layer, other[-1].layer
        if "activation" in (tails[0].kind, tails[1].kind) or _is_declared(tails[1]):
            continue  # an activation that is a layer of its own is nothing built in
        ours, theirs = returned_by(own[-1]), returned_by(other[-1])
        if not ours or not theirs:
            continue
        plain = theirs[0]
        axis = plain.axes.index("channel") if "channel" in plain.axes else -1
        names: tuple[str, ...] = ()
        if _is_declared(tails[0]):
            names = (str(tails[0].config["activation"]),)
        elif not _does_as_it_says(courses_of(found.pair)[place], ours[0], judge):
            names = _UNDECLARED
        for name in names:
            result = activated(name, plain.values, tails[0].config, axis)
            if result is not None and _agree(like(plain, result, plain.axes), ours[0], 1 - place, judge):
                return "ab"[place]
    return ""


def applied_behind(found: Judged, judge: Judge) -> tuple[str, bool] | None:
    """The side whose layer applies the activation that the other side's applies by itself only behind its layer.

    And whether that is seen: at the end of both models it may be a head that only one of them has.
    """
    for place, side in enumerate((judge.b, judge.a)):
        own, other = _both(found.pair, place)
        settings = own[-1].layer.config
        if (
            not _is_declared(own[-1].layer)
            or _is_declared(other[-1].layer)
            or own[-1].layer.kind == "activation"
        ):
            continue
        for value in (
            *returned_by(other[-1])[:1],
            *returned_by(own[-1])[:1],
        ):  # which may have been put in place
            axis = value.axes.index("channel") if "channel" in value.axes else -1
            made = activated(str(settings["activation"]), value.values, settings, axis)
            if made is not None and any(
                given.shape == made.shape and judge.difference(like(value, made, value.axes), given).within
                for station in side.stations[other[-1].number + 1 :]
                for given in (*station.given, *returned_by(station))
            ):
                return "ab"[place], True
        ends = [one.whole.sources if one.whole is not None else () for one in (judge.a, judge.b)]
        tails = found.pair.a[-1].number, found.pair.b[-1].number
        if settings["activation"] in HEADS and all(
            tail in end for tail, end in zip(tails, ends, strict=True)
        ):
            return "ab"[place], False
    return None


def _does_as_it_says(course: Course, returned: AxisArray, judge: Judge) -> bool:
    result = course.result() if course.inputs else None
    return result is not None and judge.difference(result, returned).within


def _is_declared(layer: Layer) -> bool:
    return layer.config.get("activation") not in (None, "linear")


def _both(pair: StationPair, place: int) -> tuple[list[Station], list[Station]]:
    """The stations of one side, and those of the other."""
    return (pair.a, pair.b) if place == 0 else (pair.b, pair.a)


def _agree(value: AxisArray, target: AxisArray, place: int, judge: Judge) -> bool:
    return (judge.difference(value, target) if place == 0 else judge.difference(target, value)).within


def _after(own: Sequence[Station], joined: Sequence[Station]) -> AxisArray | None:
    """What comes out behind the layers that join, of what this side returned given the same."""
    returned = returned_by(own[-1])
    if not returned:
        return None
    course = course_of(joined)
    return (
        course.result(inputs=(like(returned[0], returned[0].values, course.inputs[0].axes),))
        if course.inputs
        else None
    )


def _is_folded(own: Sequence[Station], joined: Sequence[Station], other: Sequence[Station]) -> bool:
    """Whether the other side's layer has the weights of these, the norm folded into them, whatever else is wrong."""
    course = course_of([*own, *joined])
    ours, theirs = course.folded().first.weights.get("kernel"), other[0].weights.get("kernel")
    plain = course.first.weights.get("kernel")
    if ours is plain or ours is None or plain is None or theirs is None or ours.shape != theirs.shape:
        return False
    as_folded, as_it_is, there = (
        np.sort(np.linalg.norm(k.reshape(len(k), -1), axis=1)) for k in (ours, plain, theirs)
    )
    near, far = (np.mean(np.abs(sizes - there) <= _FOLDED * there) for sizes in (as_folded, as_it_is))
    return bool(near > _MOSTLY_FOLDED > far)


def _unpaired(judge: Judge) -> set[tuple[int, int]]:
    pairs = [found.pair for found in judge.judged]
    ours = {(0, station.number) for pair in pairs for station in (*pair.before_a, *pair.a)}
    return ours | {(1, station.number) for pair in pairs for station in (*pair.before_b, *pair.b)}


def _behind(station: Station, side: Side, judge: Judge) -> Iterator[Station]:
    """Layers without a partner that take, one after the other, just what the one before returned."""
    which = 0 if side.name == judge.a.name else 1
    taken = _unpaired(judge)
    for _ in range(_MOST):
        users = [other for other in side.stations[station.number + 1 :] if station.number in other.sources]
        if len(users) != 1 or users[0].sources != (station.number,) or (which, users[0].number) in taken:
            return
        station = users[0]
        yield station


def _join_before(found: Judged, station: Station, side: Side, judge: Judge) -> None:
    pair = found.pair
    which = 0 if station is pair.a[0] else 1
    others = (pair.head_b if which == 0 else pair.head_a).given
    taken = _unpaired(judge)
    joined: list[Station] = []
    for _ in range(_MOST):
        source = station.sources[0] if len(station.sources) == 1 else None
        if source is None or source == INPUT or (which, source) in taken:
            return
        station = side.stations[source]
        joined.insert(0, station)
        if (
            station.given
            and others
            and np.isfinite(judge.difference(*_in_order(station.given[0], others[0], which)).error)
        ):
            (pair.before_a if which == 0 else pair.before_b)[:] = joined
            judge.look_again(found)
            return


def _join_behind(found: Judged, own: list[Station], side: Side, judge: Judge) -> None:
    which = 0 if own is found.pair.a else 1
    others = returned_by((found.pair.b if which == 0 else found.pair.a)[-1])
    joined: list[Station] = []
    for station in _behind(own[-1], side, judge):
        joined.append(station)
        returned = returned_by(station)
        if (
            returned
            and others
            and np.isfinite(judge.difference(*_in_order(returned[0], others[0], which)).error)
        ):
            own.extend(joined)
            judge.look_again(found)
            return


def _in_order(own: AxisArray, other: AxisArray, which: int) -> tuple[AxisArray, AxisArray]:
    return (own, other) if which == 0 else (other, own)
