"""What a layer may do that its settings do not tell, or tell wrongly: each as a change to be put to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ...words.arrays import AxisArray, as_float64
from ..common import matched
from ..judging.recipes import Course
from ..narrow import ROUNDINGS
from .functions import activation_cause, functions_of, told
from .recognising import EPSILONS, epsilon_of

Array = np.ndarray[Any, Any]


class Variant(NamedTuple):
    """One change; `words` call the side that was recomputed {own}, and the one it was held against {other}."""

    name: str
    words: str
    changed: Callable[[Course], Course]


_RECURRENT = ("lstm", "gru", "rnn")
_MULTIPLYING = ("conv", "depthwise", "separable", "dense", "einsum", "attention", *_RECURRENT)


def variants_of(course: Course, target: AxisArray) -> Iterator[Variant]:
    """What the first layer of a course could do otherwise, the likely first; the other side returned `target`."""
    kind = course.first.kind
    if kind.endswith("_norm"):
        yield from _of_norm(course, target)
    if kind.endswith("_norm") or course.first.config.get("activation") in ("softmax", "log_softmax"):
        yield from _of_axis(course)
    if kind == "pool":
        yield from _of_pool(course)
    if kind.startswith(("conv", "depthwise", "separable")) or kind == "pool":
        yield from _of_padding(course)
    if kind == "attention":
        yield from _of_attention(course)
    if kind in _RECURRENT:
        backwards = not course.first.config.get("go_backwards", False)
        yield Variant(
            "direction", "{other} reads the steps in the other direction", _setting("go_backwards", backwards)
        )
    else:
        yield from _of_activation(course, target)
    yield from _of_weights(course)
    if kind.startswith(_MULTIPLYING):
        yield from _of_precision()


def _of_norm(course: Course, target: AxisArray) -> Iterator[Variant]:
    first = course.first
    own = first.config.get("epsilon")
    for epsilon in dict.fromkeys((epsilon_of(course, target), *EPSILONS)):
        if epsilon != own:
            words = f"{{other}} works with an epsilon of {epsilon:g}, {{own}} with {own:g}"
            yield Variant("epsilon", words, _setting("epsilon", epsilon))
    if "scale" in first.weights:
        offset = first.config.get("scale_offset", 0)
        words = "{other} multiplies by one more than its scale, {own} by its scale"
        yield Variant(
            "scale",
            words if not offset else words.replace("one more", "one less"),
            _setting("scale_offset", offset + 1 if not offset else None),
        )
    if first.kind == "batch_norm" and course.inputs:
        x = course.inputs[0]
        others = tuple(place for place, axis in enumerate(x.axes) if axis != "channel")
        if "channel" in x.axes and {"running_mean", "running_variance"} <= first.weights.keys():
            values = as_float64(x.values)
            moments = {"running_mean": values.mean(others), "running_variance": values.var(others)}
            words = "{other} normalises with the statistics of the batch, as in training, {own} with the running ones"
            yield Variant("training mode", words, lambda course: course.with_weights(**moments))


def _of_axis(course: Course) -> Iterator[Variant]:
    """The same along other axes."""
    if not course.inputs:
        return
    axes = course.orders[0] if course.orders else course.inputs[0].axes
    for count in range(1, len(axes)):
        for places in combinations(range(1, len(axes)), count):
            said = " and ".join(axes[place] for place in places)
            words = f"{{other}} works along {said}, {{own}} does not"
            yield Variant("axis", words, _setting("axis", places[0] if count == 1 else places))


def _of_padding(course: Course) -> Iterator[Variant]:
    padding = course.first.config.get("padding")
    sizes = course.first.config.get("kernel_size")
    if not isinstance(sizes, tuple):
        return
    dilation = course.first.config.get("dilation", (1,) * len(sizes))
    lost = [(size - 1) * step for size, step in zip(sizes, dilation, strict=False)]
    sides = {
        pair
        for total in lost
        for before in range(total + 1)
        for pair in ((before, total - before), (before, before))
    }
    for option in ("same", *(((before, after),) * len(sizes) for before, after in sorted(sides))):
        if option != padding:
            words = f"{{other}} pads by {option}, {{own}} by {padding}"
            yield Variant("padding", words, _setting("padding", option))
    for mode in ("reflect", "replicate", "circular"):
        words = f"{{other}} pads with {mode}ed values, {{own}} with zeros"
        yield Variant("padding", words, _setting("padding_mode", mode))


def _of_pool(course: Course) -> Iterator[Variant]:
    config = course.first.config
    if course.padding is not None:
        words = "{own} pads with zeros, which count, {other} with what counts for nothing"
        inside = _setting("count_include_pad", False)
        yield Variant("pool padding", words, lambda course: inside(course.padding_inside()))
    if config.get("pooling") == "max":
        words = "{other} pads with zeros, {own} with what is smaller than every number"
        yield Variant("pool padding", words, _setting("value", 0.0))
    counted = bool(config.get("count_include_pad"))
    does = "does not count" if counted else "counts"
    words = f"{{other}} {does} padding in its averages, {{own}} does the opposite"
    yield Variant("pool padding", words, _setting("count_include_pad", not counted))
    words = "{other} rounds the number of windows the other way"
    yield Variant("pool padding", words, _setting("ceil_mode", not config.get("ceil_mode")))
    for pooling in ("max", "average"):
        if config.get("pooling") != pooling:
            words = f"{{other}} takes the {pooling}, {{own}} does not"
            counting = {"count_include_pad": False} if pooling == "average" else {}
            yield Variant("pooling", words, _settings(pooling=pooling, **counting))


def _of_attention(course: Course) -> Iterator[Variant]:
    causal = not course.first.config.get("causal")
    words = "{other} looks at what comes later, {own} does not"
    if causal:
        words = "{other} looks at nothing that comes later (a causal mask), {own} at all"
    yield Variant("mask", words, _setting("causal", causal))
    kernel = course.first.weights.get("query_kernel")
    if kernel is None:
        return
    heads, size = kernel.shape[:2]
    for scale, said in (
        (1.0, "1"),
        (1 / size, f"1 / {size}"),
        ((heads * size) ** -0.5, f"1 / √{heads * size}"),
    ):
        words = f"{{other}} scales what queries and keys make by {said}, {{own}} by 1 / √{size}"
        yield Variant("scale", words, _setting("scale", scale))


def _of_activation(course: Course, target: AxisArray) -> Iterator[Variant]:
    """What the other side makes of what comes before the activation of this one."""
    own = course.activation
    before = course.with_activation({}).result()
    together = matched(before, target) if before is not None else None
    if together is None:
        return
    name = str(own.get("activation", "linear"))
    for function in functions_of(together.a, together.b, together.axes):
        if function.along is not None:
            continue
        settings = {"activation": function.name, **dict(function.settings)}
        words = f"{{other}} applies {function}, {{own}} {told(name, own)}"
        cause = activation_cause(function.name, name)
        yield Variant(cause, words, partial(Course.with_activation, settings=settings))


def _of_precision() -> Iterator[Variant]:
    """Products of narrower numbers, added up in wider ones."""
    for name, rounding in ROUNDINGS.items():
        words = f"{{other}} multiplies in {name}, {{own}} does not"
        yield Variant("precision", words, partial(Course.rounded, rounding=rounding))


def _of_weights(course: Course) -> Iterator[Variant]:
    """Weights that are the same, and used in another way."""
    for name, values in course.first.weights.items():
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


def _setting(name: str, value: Any) -> Callable[[Course], Course]:
    return _settings(**{name: value})


def _settings(**settings: Any) -> Callable[[Course], Course]:
    return lambda course: course.with_config(**settings)


def _weights(name: str, values: Array) -> Callable[[Course], Course]:
    return lambda course: course.with_weights(**{name: values})
