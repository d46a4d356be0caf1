"""Which pool, resizing or attention makes of earlier values this one: tried with the settings that people give them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import Any, NamedTuple

import numpy as np

from ...recomputing.attention import attended
from ...recomputing.layers import recomputed
from ...words.arrays import AxisArray

_MAP = ("batch", "channel", "y", "x")
_SIZES = (2, 3, 5, 7)
_MOST_SCORES = 1 << 24


class Operation(NamedTuple):
    """What makes a value, and in words; `name` is what it is called if two differ."""

    name: str
    words: str
    result: AxisArray

    def __str__(self) -> str:
        return self.words


def operations_of(x: AxisArray, y: AxisArray) -> Iterator[Operation]:
    """The pools and resizings that make of one map another one of its size."""
    if x.axes != _MAP or y.axes != _MAP or x.shape[:2] != y.shape[:2]:
        return
    for name, words, kind, config in (
        *_pools(x.shape[2:], y.shape[2:]),
        *_resizings(x.shape[2:], y.shape[2:]),
    ):
        result = recomputed(kind, "", config, {}, [x])
        if result is not None and result.shape == y.shape:
            yield Operation(name, words, result)


def _pools(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for size, stride in product(_SIZES, (1, 2, 3)):
        for pad in range(size // 2 + 1):
            counts = [(old + 2 * pad - size) / stride + 1 for old in before]
            if any(
                new not in (math.floor(one), math.ceil(one)) for one, new in zip(counts, after, strict=True)
            ):
                continue
            config = {
                "kernel_size": (size, size), "stride": (stride, stride), "padding": ((pad, pad),) * 2,
                "ceil_mode": any(new != math.floor(one) for one, new in zip(counts, after, strict=True)),
            }  # fmt: skip
            said = f"of {size} × {size} (stride {stride}, padding {pad}"
            yield "pooling", f"the maximum {said})", "pool", {**config, "pooling": "max"}
            if pad:
                zeros = {**config, "pooling": "max", "value": 0.0}
                yield "pool padding", f"the maximum {said} with zeros)", "pool", zeros
            for counting in (True, False) if pad else (False,):
                counted = "" if not pad else ", which counts" if counting else ", which does not count"
                average = {**config, "pooling": "average", "count_include_pad": counting}
                yield "pool padding" if pad else "pooling", f"the average {said}{counted})", "pool", average


def _resizings(
    before: Sequence[int], after: Sequence[int]
) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    if tuple(before) == tuple(after):
        return
    for mode, aligned in product(("nearest", "bilinear", "bicubic"), (False, True)):
        if mode == "nearest" and aligned:
            continue
        config = {"interpolation": mode, "align_corners": aligned, "output_size": tuple(after)}
        said = f"{mode} interpolation" + (" with corners aligned (align_corners)" if aligned else "")
        for coefficient in (-0.75, -0.5) if mode == "bicubic" else (None,):
            yield "interpolation", said, "other", {**config, "cubic_coefficient": coefficient}


def attentions_of(parts: Sequence[AxisArray], y: AxisArray) -> Iterator[tuple[Operation, tuple[int, ...]]]:
    """The attentions of three values, of which it is not known which is what, that make another one."""
    batch, steps, width = y.shape
    for order in permutations(range(3)):
        for heads in (n for n in range(1, width + 1) if width % n == 0):
            if batch * heads * steps**2 > _MOST_SCORES:
                return
            size = width // heads
            query, key, value = (parts[place].values.reshape(batch, -1, heads, size) for place in order)
            scales = {"1 / √head": size**-0.5, "1": 1.0, "1 / head": 1 / size, "1 / √width": width**-0.5}
            for (said, scale), causal in product(scales.items(), (False, True)):
                made = attended(query[:1], key[:1], value[:1], scale, causal)
                if not np.allclose(made.reshape(y.values[:1].shape), y.values[:1], rtol=1e-2, atol=1e-3):
                    continue
                whole = attended(query, key, value, scale, causal).reshape(y.shape)
                words = (
                    f"attention with {heads} heads, scale {said}, {'a causal mask' if causal else 'no mask'}"
                )
                yield Operation("mask", words, AxisArray(whole, y.axes)), order
