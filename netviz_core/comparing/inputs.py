"""Opens two models, and gives each of them its input."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..captures.capture import Capture
from ..captures.saved import opened
from ..models.network import Network
from ..words.arrays import AxisArray
from ..words.errors import InputError
from .common import form_of
from .sides import Side, side_of


def sides_of(a: Any, b: Any, x: Any, max_bytes: int) -> tuple[Side, Side]:
    """What both did with the input, or with that of their own."""
    models = opened(a), opened(b)
    given = _inputs(models, x)
    try:
        sides = tuple(side_of("ab"[place], models[place], given[place], max_bytes) for place in (0, 1))
    except InputError as error:
        if given[0] is not given[1] or isinstance(x, AxisArray) or np.ndim(x) < 3:
            raise
        raise InputError(
            f"one array was given to both models as it is, and not both take it so: {error}; "
            f"give nv.images(x), or another AxisArray, which is laid out for each, or a pair of inputs"
        ) from error
    _require_one_batch(*sides)
    _require_one_shape(*sides)
    return sides[0], sides[1]


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
    if isinstance(x, tuple):
        raise InputError(
            f"a tuple of {len(x)} inputs was given; give one input for both, or a pair (input of a, input of b), "
            f"each of which may be a tuple or a dict"
        )
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
    if all(sizes) and sizes[0] != sizes[1]:
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


def _only(values: set[Any]) -> Any:
    return next(iter(values))
