"""What a layer of which nothing is known does, by its numbers: an activation, a norm, a product with its weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...words.arrays import AxisArray
from ..common import matched
from ..judging.judging import Judge
from ..judging.recipes import Course, Recipe
from .functions import functions_of

Array = np.ndarray[Any, Any]

EPSILONS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0.0)
"""As people have them."""

_TINY = 2e-6
"""What rounding to float32 makes of a share, with room."""


def recognised(course: Course, target: AxisArray, judge: Judge) -> Course:
    """Call the first layer of a course by what it does, where only its numbers tell.

    Parameters
    ----------
    course : Course
    target : AxisArray
        What it returned.
    judge : Judge
        Says what agrees.
    """
    if len(course.inputs) != 1 or course.result() is not None:
        return course
    options = _of_unknown_kind if course.first.kind == "other" else _with_activations
    for option in options(course, target):
        result = option.result()
        if result is not None and judge.difference(result, target).within:
            return option
    return course


def _with_activations(course: Course, target: AxisArray) -> Iterator[Course]:
    """A layer that is known, but for the function that it applies in the end."""
    before = course.with_activation({}).result()
    together = matched(before, target) if before is not None else None
    if together is not None:
        for function in functions_of(together.a, together.b):
            yield course.with_activation({"activation": function.name, **dict(function.settings)})


def _of_unknown_kind(course: Course, target: AxisArray) -> Iterator[Course]:
    first, x = course.first, course.inputs[0]
    together = matched(x, target)
    if together is not None and not first.weights:
        for function in functions_of(together.a, together.b, together.axes):
            if function.name == "linear":
                return
            along = {"axis": _position(course, function.along[1])} if function.along else {}
            settings = {"activation": function.name, **dict(function.settings), **along}
            yield course.with_first(Recipe("activation", first.type_name, settings, {}))
    if together is not None:
        for recipe in _norms(course):
            norm = course.with_first(recipe)
            yield norm.with_config(epsilon=epsilon_of(norm, target))
    for recipe in _products(first, x):
        yield course.with_first(recipe)


def _norms(course: Course) -> Iterator[Recipe]:
    x, name = course.inputs[0], course.first.type_name
    vectors = {key: value.ravel() for key, value in course.first.weights.items() if value.size > 1}
    weights = {_role(key): value for key, value in vectors.items()}
    if len(weights) < len(vectors) or len({value.size for value in vectors.values()}) > 1:
        return
    kinds = (
        ["batch_norm"]
        if "running_mean" in weights
        else ["layer_norm"]
        if "bias" in weights
        else ["rms_norm", "layer_norm"]
    )
    count = next((value.size for value in vectors.values()), None)
    for axis, size in zip(reversed(x.axes[1:]), reversed(x.shape[1:]), strict=True):
        if count not in (None, size):
            continue
        for kind in kinds:
            for offset in (0, 1) if "scale" in weights else (0,):
                settings: Mapping[str, Any] = {"axis": _position(course, axis), "epsilon": 0.0}
                yield Recipe(
                    kind, name, {**settings, "scale_offset": offset} if offset else settings, weights
                )
    if x.values.ndim > 2:
        yield Recipe("instance_norm", name, {"epsilon": 0.0}, weights)


def _role(name: str) -> str:
    """What a weight of a norm is, by what people call it."""
    for part, role in (("mean", "running_mean"), ("var", "running_variance")):
        if part in name:
            return role
    return "bias" if name == "b" or any(part in name for part in ("bias", "beta", "shift")) else "scale"


def _products(first: Recipe, x: AxisArray) -> Iterator[Recipe]:
    """A matrix that stands either way, and a bias."""
    matrices = [value for value in first.weights.values() if value.ndim == 2]
    vectors = [value for value in first.weights.values() if value.ndim == 1]
    if len(matrices) != 1 or len(vectors) > 1 or len(first.weights) > 2:
        return
    for kernel in (matrices[0], matrices[0].T):
        if kernel.shape[1] == x.shape[-1] and all(len(bias) == len(kernel) for bias in vectors):
            weights = {"kernel": kernel, **({"bias": vectors[0]} if vectors else {})}
            yield Recipe("dense", first.type_name, {}, weights)


def _position(course: Course, axis: str) -> int:
    """Where an axis stands in the framework's own tensor."""
    order = course.orders[0] if course.orders and axis in course.orders[0] else course.inputs[0].axes
    return -1 if order[-1] == axis else order.index(axis)


def epsilon_of(course: Course, target: AxisArray) -> float:
    """The epsilon by which a norm would return what was returned, solved for; 0 if there is none.

    Without a bias, a norm with an epsilon of e returns y(e) with (y(0) / y(e))² = 1 + e / variance. Two epsilons tell
    the variance, and where it is smallest e can be told best.
    """
    bare = replace(course.with_weights(bias=None), recipes=course.with_weights(bias=None).recipes[:1])
    made = [bare.with_config(epsilon=epsilon).result() for epsilon in (0.0, 1.0)]
    whole = replace(course, recipes=course.recipes[:1]).with_config(epsilon=1.0).result()
    if whole is None or made[0] is None or made[1] is None:
        return 0.0
    forms = [matched(part, target) for part in (made[0], made[1], whole)]
    if any(form is None for form in forms):
        return 0.0
    none, one, full = (np.asarray(form.a, np.float64) for form in forms if form is not None)
    returned = np.asarray(forms[0].b if forms[0] is not None else 0.0, np.float64) - (full - one)
    variance = 1 / (np.square(none / one) - 1)
    found = (np.square(none / returned) - 1) * variance
    clear = np.isfinite(found) & (variance > 0) & (np.abs(returned) > 0.1 * np.std(returned))
    if not clear.any():
        return 0.0
    least = variance[clear] <= np.quantile(variance[clear], 0.1)
    epsilon, unsure = float(np.median(found[clear][least])), _TINY * float(np.median(variance[clear][least]))
    near = [other for other in EPSILONS if abs(other - epsilon) <= max(0.01 * other, unsure)]
    return min(near, key=lambda other: abs(other - epsilon)) if near else max(float(f"{epsilon:.3g}"), 0.0)
