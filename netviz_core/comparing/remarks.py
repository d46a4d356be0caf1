"""What should be known though it is no divergence: settings that differ without effect, rounding that has grown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .causes import Cause
from .judging import Judge, Judged


def remarks_on(judge: Judge) -> tuple[Cause, ...]:
    """One cause for each difference of momentum or dropout rate, whatever number of layers has it, and for rounding."""
    seen: dict[tuple[str, Any, Any], list[Judged]] = {}
    for found in judge.judged:
        ours, theirs = found.pair.a[0].layer.config, found.pair.b[0].layer.config
        for name in ("momentum", "rate", "epsilon"):
            left, right = ours.get(name), theirs.get(name)
            if left != right and None not in (left, right) and (name != "epsilon" or found.output.within):
                seen.setdefault((name, left, right), []).append(found)
    return (*_rounding(judge), *(_remark(*differing, layers) for differing, layers in seen.items()))


def _rounding(judge: Judge) -> Iterator[Cause]:
    grown = [found for found in judge.judged if found.status == "rounding"]
    if grown:
        first, worst = grown[0], max(grown, key=lambda found: found.output.error)
        text = (
            f"rounding grows through the layers to {worst.output.error:.1e}, beyond the tolerance of "
            f"{worst.output.tolerance:g}: each layer, given the same, returns the same"
        )
        yield Cause(first.pair.a[0].path, first.pair.b[0].path, text, True, "rounding")


def _remark(name: str, left: Any, right: Any, layers: list[Judged]) -> Cause:
    first = layers[0].pair
    where = (
        f"in {len(layers)} layers, first {first.a[0].path!r}"
        if len(layers) > 1
        else f"in {first.a[0].path!r}"
    )
    words = f"{name} is {left} in a and {right} in b, {where}"
    if name == "epsilon":
        text = f"{words}: its effect is within the tolerance on this input"
        return Cause(first.a[0].path, first.b[0].path, text, False, name)
    effect = _after_one_step(layers[0], left, right) if name == "momentum" else None
    text = f"{words}: without effect in evaluation mode; training will differ"
    if effect is not None:
        text += (
            f": after one step on this input the running mean by {effect:.1e}, with the same momentum by 0"
        )
    return Cause(first.a[0].path, first.b[0].path, text, effect is not None, name)


def _after_one_step(found: Judged, left: float, right: float) -> float | None:
    """How far the running means would be apart after one step of training on this input."""
    station = found.pair.a[0]
    mean = station.weights.get("running_mean")
    if mean is None or not station.given or "channel" not in station.given[0].axes:
        return None
    x = station.given[0]
    others = tuple(place for place, axis in enumerate(x.axes) if axis != "channel")
    new = x.values.mean(others, dtype=np.float64)
    return float(np.max(np.abs((left - right) * (new - mean)))) if new.shape == mean.shape else None
