"""What a layer may do that its settings do not tell, or tell wrongly: each as a change to be put to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from ...words.arrays import AxisArray
from ..common import matched
from ..judging.recipes import Course, Recipe

Array = np.ndarray[Any, Any]


class Variant(NamedTuple):
    """One change; `words` call the side that was recomputed {own}, and the one it was held against {other}."""

    name: str
    words: str
    changed: Callable[[Recipe], Recipe]


_ACTIVATIONS = (
    "linear relu relu6 gelu silu tanh sigmoid elu selu softplus softsign mish hard_silu hard_sigmoid "
    "leaky_relu softmax log_softmax exponential"
).split()
_EPSILONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0.0)


def variants_of(course: Course, target: AxisArray) -> Iterator[Variant]:
    """What the first layer of a course could do otherwise, the likely first; the other side returned `target`."""
    recipe = course.recipes[0]
    kind = recipe.kind
    if kind.endswith("_norm"):
        yield from _of_norm(recipe, course)
    if kind.endswith("_norm") or recipe.config.get("activation") in ("softmax", "log_softmax"):
        yield from _of_axis(recipe, course)
    if kind.startswith(("conv", "depthwise", "separable")) or kind == "pool":
        yield from _of_padding(recipe)
    if kind == "pool":
        yield from _of_pool(recipe)
    if kind not in ("lstm", "gru", "rnn", "pool", "dropout", "embedding", "reshape", "merge"):
        yield from _of_activation(recipe, course, target)
    yield from _of_weights(recipe)


def _of_norm(recipe: Recipe, course: Course) -> Iterator[Variant]:
    own = recipe.config.get("epsilon")
    for epsilon in _EPSILONS:
        if epsilon != own:
            words = f"{{other}} works with an epsilon of {epsilon:g}, {{own}} with {own}"
            yield Variant("epsilon", words, _setting("epsilon", epsilon))
    if recipe.kind == "batch_norm" and course.inputs:
        x = course.inputs[0]
        others = tuple(place for place, axis in enumerate(x.axes) if axis != "channel")
        if "channel" in x.axes and {"running_mean", "running_variance"} <= recipe.weights.keys():
            values = x.values.astype(np.float64)
            moments = {"running_mean": values.mean(others), "running_variance": values.var(others)}
            words = "{other} normalises with the statistics of the batch, as in training, {own} with the running ones"
            yield Variant("training mode", words, lambda recipe: recipe.with_weights(**moments))


def _of_axis(recipe: Recipe, course: Course) -> Iterator[Variant]:
    """The same along other axes."""
    if not course.inputs:
        return
    axes = course.orders[0] if course.orders else course.inputs[0].axes
    for count in range(1, len(axes)):
        for places in combinations(range(1, len(axes)), count):
            said = " and ".join(axes[place] for place in places)
            words = f"{{other}} works along {said}, {{own}} does not"
            yield Variant("axis", words, _setting("axis", places[0] if count == 1 else places))


def _of_padding(recipe: Recipe) -> Iterator[Variant]:
    padding = recipe.config.get("padding")
    sizes = recipe.config.get("kernel_size")
    if not isinstance(sizes, tuple):
        return
    lost = [
        (size - 1) * step
        for size, step in zip(sizes, recipe.config.get("dilation", (1,) * len(sizes)), strict=False)
    ]
    sides = sorted(
        {
            pair
            for total in lost
            for before in range(total + 1)
            for pair in ((before, total - before), (before, before))
        }
    )
    options: list[Any] = ["same"]
    options += [((before, after),) * len(sizes) for before, after in sides]
    for option in options:
        if option != padding:
            words = f"{{other}} pads by {option}, {{own}} by {padding}"
            yield Variant("padding", words, _setting("padding", option))
    for mode in ("reflect", "replicate", "circular"):
        words = f"{{other}} pads with {mode}ed values, {{own}} with zeros"
        yield Variant("padding", words, _setting("padding_mode", mode))


def _of_pool(recipe: Recipe) -> Iterator[Variant]:
    counted = bool(recipe.config.get("count_include_pad"))
    words = (
        "{other} "
        + ("does not count" if counted else "counts")
        + " padding in its averages, {own} does the opposite"
    )
    yield Variant("pool padding", words, _setting("count_include_pad", not counted))
    ceil = bool(recipe.config.get("ceil_mode"))
    yield Variant(
        "pool padding", "{other} rounds the number of windows the other way", _setting("ceil_mode", not ceil)
    )
    for pooling in ("max", "average"):
        if recipe.config.get("pooling") != pooling:
            words = f"{{other}} takes the {pooling}, {{own}} does not"
            yield Variant("pooling", words, _setting("pooling", pooling))


def _of_activation(recipe: Recipe, course: Course, target: AxisArray) -> Iterator[Variant]:
    own = recipe.config.get("activation") or "linear"
    said = f"{{own}} {own}"
    slope = _slope(recipe, course, target)
    if slope is not None:
        words = f"{{other}} has a slope of {slope:.4g} below zero, {{own}} {recipe.config.get('negative_slope', 0)}"
        yield Variant("slope", words, _settings(activation="leaky_relu", negative_slope=slope))
    for name, approximate in product(_ACTIVATIONS, (False, True)):
        if approximate and name != "gelu":
            continue
        if name == own and approximate == bool(recipe.config.get("approximate")):
            continue
        told = (
            f"{name} (tanh approximation)" if approximate else f"{name} (exact)" if name == "gelu" else name
        )
        settings = (
            {"negative_slope": 0.01} if name == "leaky_relu" else {"approximate": approximate, "alpha": 1.0}
        )
        words = f"{{other}} applies {told}, {said}"
        yield Variant("activation", words, _settings(activation=name, **settings))


def _slope(recipe: Recipe, course: Course, target: AxisArray) -> float | None:
    """The slope of the other side below zero, if it has one there and the identity above."""
    before = course.result(first=recipe.with_config(activation="linear"))
    together = matched(before, target) if before is not None else None
    if together is None:
        return None
    x, y = together.a.ravel(), together.b.ravel()
    below, above = x < -1e-3 * np.std(x), x > 0
    if not below.any() or not above.any() or not np.allclose(y[above], x[above], rtol=1e-3, atol=1e-5):
        return None
    slopes = y[below] / x[below]
    slope = float(np.median(slopes))
    # No slope is a ReLU, and a slope of one no activation at all: these are tried by name.
    told = min(abs(slope), abs(slope - 1)) > 1e-6
    return slope if told and np.allclose(slopes, slope, rtol=1e-2, atol=1e-3) else None


def _of_weights(recipe: Recipe) -> Iterator[Variant]:
    """Weights that are the same, and used in another way."""
    for name, values in recipe.weights.items():
        spatial = tuple(range(2, values.ndim))
        if "bias" in name and values.any():
            yield Variant(
                "bias",
                f"{{other}} does not add its {name}, {{own}} does",
                _weights(name, np.zeros_like(values)),
            )
        if name == "kernel" and spatial:
            flipped = np.ascontiguousarray(np.flip(values, spatial))
            yield Variant(
                "flipped kernel", "{other} uses the kernel flipped, {own} as it is", _weights(name, flipped)
            )
            if values.ndim == 4 and values.shape[2] == values.shape[3]:
                turned = np.ascontiguousarray(values.swapaxes(2, 3))
                yield Variant(
                    "transposed kernel",
                    "{other} uses the kernel with y and x exchanged",
                    _weights(name, turned),
                )
        if name == "kernel" and values.ndim >= 2 and values.shape[0] == values.shape[1]:
            turned = np.ascontiguousarray(values.swapaxes(0, 1))
            yield Variant(
                "transposed kernel",
                "{other} uses the kernel with in and out exchanged",
                _weights(name, turned),
            )


def _setting(name: str, value: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe.with_config(**{name: value})


def _settings(**settings: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe.with_config(**settings)


def _weights(name: str, values: Array) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe.with_weights(**{name: values})
