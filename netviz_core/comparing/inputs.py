"""Opens two models, and gives each of them its input."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import Capture
from ..captures.saved import opened
from ..models.alignment import LayerMapping
from ..models.network import Network
from ..words.arrays import Activation, AxisArray
from ..words.errors import InputError
from ..words.progress import step
from .common import form_of, is_named, matched, sketch, sketch_error
from .reading import as_read, axes_as_read
from .sides import Side, containers_of, side_of
from .stations import INPUT, Station

Array = np.ndarray[Any, Any]

_CLOSE = 1e-3
"""How far apart the numbers of the same samples may be."""


def sides_of(a: Any, b: Any, x: Any, mapping: LayerMapping | None, max_bytes: int) -> tuple[Side, Side]:
    """What both did with the input, or with that of their own.

    A tuple of two is an input for each, if both models can take it so, else one of two inputs for both; anything
    else, another tuple, a list or a dict, is for both.

    Raises
    ------
    InputError
        If the models do not take the input so, are not given the same samples, or it can be read in several ways.
    """
    opened_a, opened_b = opened(a), opened(b)
    entire = _entire(opened_a, opened_b, mapping)
    models = _Model("a", opened_a, entire[0], max_bytes), _Model("b", opened_b, entire[1], max_bytes)
    given = _inputs((opened_a, opened_b), x)
    is_pair = isinstance(x, tuple) and len(x) == 2
    try:
        sides = _of_pair(models, given, x) if is_pair else _run(models, given)
    except InputError as error:
        hint = "" if is_pair else _hint(x)
        if not hint:
            raise
        raise InputError(f"{hint.format(error=error)}") from error
    _require_one_batch(*sides)
    _require_one_shape(*sides)
    if given[0] is given[1] and not isinstance(x, AxisArray):
        _require_one_reading(*sides)
    return sides


def as_given(a: Side, b: Side) -> tuple[list[Activation], list[Activation]]:
    """What both models were given, by axes of the same names.

    Axes without names are called as the first layers that read them do; where these do not tell, as those of the
    other side, if the numbers are the same so.
    """
    ours, theirs = (
        [_as_read(value, side) for value in side.whole.given] if side.whole else [] for side in (a, b)
    )
    if len(ours) == len(theirs):
        theirs = [_renamed(other, one) for one, other in zip(ours, theirs, strict=True)]
        ours = [_renamed(one, other) for one, other in zip(ours, theirs, strict=True)]
    return ours, theirs


def _as_read(value: Activation, side: Side) -> Activation:
    """An input with the axes that the first layer takes it for that has names for them."""
    reader = _reader(value, side)
    return as_read(reader.layer, value, value.axes) if reader is not None else value


def _reader(value: Activation, side: Side) -> Station | None:
    if all(map(is_named, value.axes)):
        return None
    for station in side.stations:
        for source, given in zip(station.sources, station.given, strict=True):
            if source == INPUT and given.values.size == value.values.size:
                named = as_read(station.layer, value, value.axes)
                if all(map(is_named, named.axes)) and np.array_equal(named.values, given.values):
                    return station
    return None


def _renamed(value: Activation, other: Activation) -> Activation:
    """A value without names by those of another one, if its numbers are the other's in one order of the axes."""
    if all(map(is_named, value.axes)) or sorted(value.shape) != sorted(other.shape):
        return value
    for order in permutations(other.axes):
        moved = other.transpose(*order)
        if moved.shape == value.shape and _are_close(moved.values, value.values):
            return replace(value, axes=order)
    return value


def _are_close(one: Array, other: Array) -> bool:
    return sketch_error(sketch(one), sketch(other)) < _CLOSE and np.allclose(
        one, other, rtol=_CLOSE, atol=_CLOSE, equal_nan=one.dtype.kind == "f"
    )


def _are_same(a: Side, b: Side) -> bool:
    """Whether both were given the same numbers, however they are laid out."""
    ours, theirs = as_given(a, b)
    together = [matched(one, other) for one, other in zip(ours, theirs, strict=False)]
    return len(ours) == len(theirs) and all(
        both is not None and _are_close(both.a, both.b) for both in together
    )


def _hint(x: Any) -> str:
    """What to write in the place of an input that a model does not take; empty if there is nothing to say."""
    if isinstance(x, tuple):
        return (
            f"{{error}}; a tuple of {len(x)} inputs was given, which goes to both models; "
            f"for one input each give a pair (input of a, input of b)"
        )
    if isinstance(x, list) and len(x) == 2:
        return (
            "{error}; a list goes to both models; for one input each give a tuple, (input of a, input of b)"
        )
    if isinstance(x, AxisArray) or getattr(x, "ndim", 0) < 3:
        return ""
    return f"one array was given to both models as it is, and not both take it so: {{error}}; give {_ADVICE}"


_ADVICE = "nv.images(x), or another AxisArray, which is laid out for each, or a pair of inputs"


def _of_pair(models: tuple[_Model, _Model], given: tuple[Any, Any], x: Any) -> tuple[Side, Side]:
    """Both sides, with one of a pair of inputs each; or with both, where neither model takes one alone.

    That each was given other samples is told with what differs because of it.
    """
    single = tuple(part[0] if isinstance(part, tuple) and len(part) == 1 else part for part in given)
    try:
        return _run(models, (single[0], single[1]))
    except (InputError, TypeError) as error:  # a TypeError from a call that takes two and was given one
        try:
            return _run(models, (x, x))
        except Exception:
            raise error from None


def _run(models: tuple[_Model, _Model], given: tuple[Any, Any]) -> tuple[Side, Side]:
    a, b = (model.side(x) for model, x in zip(models, given, strict=True))
    return a, b


class _Model(NamedTuple):
    """A model to be seen as a side."""

    name: str
    model: Capture | Network
    entire: Collection[str]
    max_bytes: int

    def side(self, x: Any) -> Side:
        """What it does with an input; a list that is not one is several."""
        step(f"running {self.name}")
        try:
            return self._side(x)
        except (InputError, TypeError):
            if not isinstance(x, list):
                raise
            try:
                return self._side(tuple(x))
            except (InputError, TypeError):
                pass
            raise

    def _side(self, x: Any) -> Side:
        return side_of(self.name, self.model, x, self.max_bytes, self.entire)


def _entire(
    a: Capture | Network, b: Capture | Network, mapping: LayerMapping | None
) -> tuple[set[str], set[str]]:
    """What the user names as a layer that corresponds to one, where one of the two holds others, and one does not."""
    found: tuple[set[str], set[str]] = set(), set()
    pairs = mapping.items() if isinstance(mapping, Mapping) else ()
    holding = [{above for path in model.layers for above in containers_of(path)} for model in (a, b)]
    for path_a, path_b in pairs:
        if not isinstance(path_a, str) or not isinstance(path_b, str):
            continue
        is_told = path_a in a.layers and path_b in b.layers
        if is_told and (path_a in holding[0]) is not (path_b in holding[1]):
            found[0].add(path_a)
            found[1].add(path_b)
    return found


def _inputs(models: tuple[Capture | Network, Capture | Network], x: Any) -> tuple[Any, Any]:
    """What each of the two is to be given; None for a capture, and for both where weights alone are compared."""
    captures = [isinstance(model, Capture) for model in models]
    if x is not None and all(captures):
        raise InputError("two captures were given, which need no input: leave x out")
    if x is None and any(captures) and not all(captures):
        name = "ab"[captures.index(False)]
        raise InputError(f"{name} is a model, and the other a capture; give x, the input that was captured")
    if x is None and all(
        isinstance(model, Network) and hasattr(model.adapter, "example") for model in models
    ):
        assert isinstance(models[0], Network)
        x = models[0].input_or_example(None)
        return x, x
    if isinstance(x, tuple) and len(x) == 2:
        for name, model, given in zip("ab", models, x, strict=True):
            if given is None and not isinstance(model, Capture):
                raise InputError(
                    f"the pair of inputs has none for {name}; give one for each, or x=None for both"
                )
        return x
    return x, x


def _require_one_batch(a: Side, b: Side) -> None:
    if a.whole is None or b.whole is None:
        return
    for name, whole in (("a", a.whole), ("b", b.whole)):
        empty = next((value for value in whole.given if not value.values.size), None)
        if empty is not None:
            raise InputError(
                f"{name} was given an input of shape {empty.shape}, which holds nothing; give at least one sample"
            )
    sizes = [
        {value.sizes.get("batch", value.shape[:1]) for value in side.whole.given[:1]}
        for side in (a, b)
        if side.whole
    ]
    if all(sizes) and sizes[0] != sizes[1] and not _are_same(a, b):
        raise InputError(
            f"a was given a batch of {_only(sizes[0])} and b one of {_only(sizes[1])}; give both the same samples"
        )


def _require_one_shape(a: Side, b: Side) -> None:
    """Refuse inputs of the same rank of which no order of the axes has the same sizes on both sides."""
    if a.whole is None or b.whole is None:
        return
    ours, theirs = a.whole.given, b.whole.given
    ranks, sizes = (
        [sorted(of(value.shape) for value in given) for given in (ours, theirs)] for of in (len, sorted)
    )
    if ranks[0] == ranks[1] and sizes[0] != sizes[1]:
        told = [", ".join(map(form_of, given)) for given in (ours, theirs)]
        raise InputError(
            f"a was given {told[0]} and b {told[1]}; give both the same samples, of the same size"
        )


def _require_one_reading(a: Side, b: Side) -> None:
    """Refuse an array of which the two models take different axes for the same."""
    if a.whole is None or b.whole is None:
        return
    for one, other in zip(a.whole.given, b.whole.given, strict=False):
        readers = _reader(one, a), _reader(other, b)
        if one.axes != other.axes or one.shape != other.shape or None in readers:
            continue
        orders = [axes_as_read(reader.layer, one.axes) for reader in readers if reader is not None]
        if orders[0] != orders[1]:
            told = [
                f"{side.name}'s {reader.path!r} takes its axes for ({', '.join(order)})"
                for side, reader, order in zip((a, b), readers, orders, strict=True)
                if reader is not None
            ]
            raise InputError(
                f"one array of shape {one.shape} was given to both models as it is: {' and '.join(told)}; "
                f"give {_ADVICE}"
            )


def _only(values: set[Any]) -> Any:
    return next(iter(values))
