"""Which pool, resizing or attention makes of earlier values this one: tried with the settings that people give them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, permutations, product
from typing import Any, NamedTuple

import numpy as np

from ...recomputing.activation import softmax
from ...recomputing.layers import recomputed
from ...words.arrays import AxisArray

Array = np.ndarray[Any, Any]

_MAP = ("batch", "channel", "y", "x")
_SIZES = (2, 3, 5, 7)
_MOST_SCORES = 1 << 24


class Operation(NamedTuple):
    """What makes a value, and in words; `name` is what it is called if two differ."""

    name: str
    words: str
    result: AxisArray
    attention: Attention | None = None
    functions: tuple[str, ...] = ()
    """The activations that are applied before and after it."""

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
    whole = max(before[0] // after[0], 1)
    for size, stride in dict.fromkeys((*product(_SIZES, (1, 2, 3)), (whole, whole))):
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


def reductions_of(x: AxisArray, y: AxisArray) -> Iterator[Operation]:
    """What makes one number of all along some axes: their mean, sum or largest, or that at one place."""
    missing = x.values.ndim - y.values.ndim
    if missing < 1 or x.values.ndim > _MOST_AXES:
        return
    for places in combinations(range(1, x.values.ndim), missing):
        if tuple(size for place, size in enumerate(x.shape) if place not in places) != y.shape:
            continue
        said = " and ".join(x.axes[place] for place in places)
        for words, function in _REDUCTIONS.items():
            yield Operation("pooling", f"{words} along {said}", AxisArray(function(x.values, places), y.axes))
        if missing == 1:
            for place, words in ((0, "first"), (-1, "last")):
                taken = x.values.take(place, places[0])
                yield Operation("order", f"the {words} place along {said}", AxisArray(taken, y.axes))


_MOST_AXES = 5
_REDUCTIONS: Mapping[str, Callable[[Array, tuple[int, ...]], Array]] = {
    "the mean": np.mean,
    "the maximum": np.max,
    "the sum": np.sum,
    "the minimum": np.min,
}


class Attention(NamedTuple):
    """What an attention may do, besides the values that it is given."""

    heads: int
    scale: tuple[str, float]
    causal: bool = False
    axis: int = -1
    rotary: tuple[str, float] | None = None
    kept: int = 0
    is_tiled: bool = False

    def __call__(self, query: Array, key: Array, value: Array) -> Array:
        """What it makes of three values of batch, time and features."""
        size = query.shape[-1] // self.heads
        query, key, value = (
            part.reshape(*part.shape[:2], -1, size).astype(np.float32) for part in (query, key, value)
        )
        if self.rotary is not None:
            query, key = (rotated(part, *self.rotary) for part in (query, key))
        count = self.heads // key.shape[2]
        if count > 1:
            key, value = (
                np.tile(part, (1, 1, count, 1)) if self.is_tiled else np.repeat(part, count, 2)
                for part in (key, value)
            )
        scores = np.einsum("bqhd,bkhd->bhqk", query, key, optimize=True) * np.float32(self.scale[1])
        if self.causal:
            scores = np.where(np.triu(np.ones(scores.shape[-2:], bool), 1), -np.inf, scores)
        shares = softmax(scores, self.axis)
        mixed = np.einsum("bhqk,bkhd->bqhd", shares, value, optimize=True)
        result: Array = mixed.reshape(*mixed.shape[:2], -1)
        return result

    @property
    def words(self) -> list[str]:
        """What it does, part by part."""
        words = [
            f"{self.heads} heads",
            f"scale {self.scale[0]}",
            "a causal mask" if self.causal else "no mask",
        ]
        if self.axis != -1:
            words.append("its softmax along the queries, not the keys")
        if self.rotary is not None:
            words.append(f"rotary positions ({self.rotary[0]} pairs, base {self.rotary[1]:g})")
        if self.kept not in (0, self.heads):
            how = "one after another (tiled)" if self.is_tiled else "each several times in a row"
            words.append(f"{self.kept} heads of keys and values, repeated {how}")
        return words

    def __str__(self) -> str:
        return f"attention with {', '.join(self.words)}"


_CAUSES = {
    "axis": "axis",
    "rotary": "rotary",
    "causal": "mask",
    "heads": "heads",
    "is_tiled": "heads",
    "scale": "scale",
}
"""By what two attentions differ in, and what that is called; the first counts."""


def attention_cause(one: Attention, other: Attention) -> str:
    """What it is called that two attentions differ."""
    odd = (name for field, name in _CAUSES.items() if getattr(one, field) != getattr(other, field))
    return next(odd, "order of layers")


def may_be_made_up_for(one: Attention, other: Attention) -> bool:
    """Whether queries and keys in another order or scale, from the layers that make them, may undo what differs."""
    fields = ("scale", "rotary", "heads", "is_tiled")
    return any(getattr(one, field) != getattr(other, field) for field in fields)


def attentions_apart(one: Attention, other: Attention) -> tuple[str, str]:
    """Two attentions by what each does and the other does not."""
    ours, theirs = (
        ", ".join(word for word in left.words if word not in right.words)
        for left, right in ((one, other), (other, one))
    )
    return f"with {ours}" if ours else "without", f"with {theirs}" if theirs else "without"


def rotated(values: Array, pairs: str, base: float) -> Array:
    """Values with rotary positions: of neighbours, or of one half with the other."""
    size = values.shape[-1]
    angles = np.arange(values.shape[1])[:, np.newaxis] * base ** (-np.arange(0, size, 2) / size)
    cos, sin = (part[:, np.newaxis].astype(np.float32) for part in (np.cos(angles), np.sin(angles)))
    if pairs == "interleaved":
        one, other = values[..., ::2], values[..., 1::2]
        turned = np.stack([one * cos - other * sin, other * cos + one * sin], -1)
        return turned.reshape(values.shape)
    one, other = np.split(values, 2, -1)
    return np.concatenate([one * cos - other * sin, other * cos + one * sin], -1)


def attentions_of(parts: Sequence[AxisArray], y: AxisArray) -> Iterator[tuple[Operation, tuple[int, ...]]]:
    """The attentions of three values, of which it is not known which is what, that make another one."""
    errors: list[tuple[float, int, Attention, tuple[int, ...]]] = []
    size = float(np.linalg.norm(y.values[:1])) or 1.0
    for order in permutations(range(3)):
        query, key, value = (parts[place].values[:1] for place in order)
        if query.shape != y.values[:1].shape or key.shape != value.shape:
            continue
        for option in _attentions(query.shape, key.shape[-1]):
            if option.heads * query.shape[1] ** 2 > _MOST_SCORES:
                continue
            apart = float(np.linalg.norm(option(query, key, value) - y.values[:1])) / size
            if apart < _NEAR:
                errors.append((apart, len(errors), option, order))
    for _, _, option, order in sorted(errors)[:_TRIED]:
        whole = option(*(parts[place].values for place in order))
        yield Operation("mask", str(option), AxisArray(whole, y.axes), option), order


_NEAR = 0.1
_TRIED = 4
_BASES = (1e4, 5e5, 1e6)


def _attentions(shape: tuple[int, ...], kept_width: int) -> Iterator[Attention]:
    """All that people have: those without positions first."""
    width = shape[-1]
    for rotary in (None, *product(("half", "interleaved"), _BASES)):
        for heads in (n for n in range(1, width + 1) if width % n == 0):
            size = width // heads
            if kept_width % size or heads % (kept_width // size) or (rotary is not None and size % 2):
                continue
            kept = kept_width // size
            scales = {
                "1 / √head": size**-0.5, "1": 1.0, "1 / head": 1 / size, "1 / √width": width**-0.5,
                "1 / 8": 0.125,
            }  # fmt: skip
            seen: set[float] = set()
            for said, scale in scales.items():
                if scale in seen:
                    continue
                seen.add(scale)
                for causal, axis, is_tiled in product((False, True), (-1, -2), (False, True)):
                    if (causal and axis == -2) or (is_tiled and kept in (1, heads)):
                        continue
                    yield Attention(heads, (said, scale), causal, axis, rotary, kept, is_tiled)
