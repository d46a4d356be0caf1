"""How a pool of a map, or of what an activation makes of it, becomes a value that another layer is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ...words.arrays import AxisArray
from ..common import sketch, sketch_error
from .functions import Function, functions_of
from .operations import Operation, operations_of, reductions_of

Array = np.ndarray[Any, Any]

_LINEAR = Function("linear")
_APPLIED = (
    Function("relu"), Function("silu"), Function("gelu", (("approximate", False),)),
    Function("gelu", (("approximate", True),)), Function("relu6"), Function("hard_silu"),
    Function("elu", (("alpha", 1.0),)),
    *(Function("leaky_relu", (("negative_slope", slope),)) for slope in (0.01, 0.1, 0.2, 0.3)),
    Function("sigmoid"), Function("tanh"), Function("mish"),
)  # fmt: skip
"""What people apply before they pool."""

_FEW_CHANNELS = 8
_NEAR = 0.02
"""How near a few numbers have to be, to look at all of them."""


def made_of(x: AxisArray, y: AxisArray) -> Iterator[Operation]:
    """The pools, resizings and reductions that make one value of another, with an activation before or after them.

    What was flattened behind that is looked at as the map that it was.
    """
    if not x.shape or not y.shape:
        return  # one number is no map
    for target, flattened, said in _as_maps(x, y):
        few_x, few_y = _few(x, target), _few(target, x)
        for before in (_LINEAR, *_APPLIED):
            for few in _made(before, few_x, few_y):
                afters = [_LINEAR] if _is_near(few.result, few_y) else []
                if before == _LINEAR and not afters:
                    afters = functions_of(few.result.values, few_y.values)
                if not afters:
                    continue
                # Of all channels there may be another form, if these were among what was made one number of.
                whole = next((one for one in _made(before, x, target) if one.words == few.words), None)
                if whole is not None:
                    yield from (_told(whole, before, after, flattened, said) for after in afters)


def _made(before: Function, x: AxisArray, y: AxisArray) -> Iterator[Operation]:
    given = x if before == _LINEAR else AxisArray(before(x.values), x.axes)
    return chain(operations_of(given, y), reductions_of(given, y))


def _told(
    operation: Operation,
    before: Function,
    after: Function,
    flattened: Callable[[Array], AxisArray],
    said: str,
) -> Operation:
    words = f"{operation.words}{said}"
    words = words if before == _LINEAR else f"{words} of {before}"
    words = words if after == _LINEAR else f"{after} of {words}"
    values = operation.result.values if after == _LINEAR else after(operation.result.values)
    return operation._replace(words=words, result=flattened(values), functions=(before.name, after.name))


def _is_near(one: AxisArray, other: AxisArray) -> bool:
    return one.shape == other.shape and sketch_error(sketch(one.values), sketch(other.values)) < _NEAR


def _few(value: AxisArray, other: AxisArray) -> AxisArray:
    """One sample; of maps a few channels, since each is pooled by itself."""
    by_channel = value.axes[1:2] == other.axes[1:2] == ("channel",)
    few = value.values[:1, :_FEW_CHANNELS] if by_channel else value.values[:1]
    return AxisArray(few, value.axes)


def _as_maps(x: AxisArray, y: AxisArray) -> Iterator[tuple[AxisArray, Callable[[Array], AxisArray], str]]:
    """A value as it is; features also as maps with the channels of another, and how these were flattened."""
    yield y, lambda values: AxisArray(values, y.axes), ""
    if x.axes != ("batch", "channel", "y", "x") or len(y.shape) != 2 or y.shape[1] % x.shape[1]:
        return
    count = y.shape[1] // x.shape[1]
    height = round(math.sqrt(count * x.shape[2] / x.shape[3]))
    if count == 1 or not height or count % height:
        return
    sizes = dict(zip(x.axes, (len(y.values), x.shape[1], height, count // height), strict=True))
    for order in (x.axes, ("batch", "y", "x", "channel")):
        values = y.values.reshape([sizes[axis] for axis in order])
        yield AxisArray(values, order).canonical(), _flattening(order, x.axes, y), ", flattened,"


def _flattening(order: Sequence[str], axes: Sequence[str], y: AxisArray) -> Callable[[Array], AxisArray]:
    def flattened(values: Array) -> AxisArray:
        laid = AxisArray(values, tuple(axes)).transpose(*order).values
        return AxisArray(laid.reshape(len(values), -1), y.axes)

    return flattened
