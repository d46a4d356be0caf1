"""Whether a model is deterministic: one that is not differs from every other, and from itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from ...words.arrays import AxisArray
from ...words.progress import step
from ..judging.judging import Judge
from ..sides import Side, side_of
from .causes import Cause


def nondeterministic(judge: Judge) -> list[Cause]:
    """Run each model that is here once more, and name the first layer that returned something else."""
    found = []
    for side in (judge.a, judge.b):
        path = _first_change(side, judge)
        if path is not None:
            where = f"layer {path!r}" if path else "an operation between its layers"
            text = (
                f"{side.name} is not deterministic: given the same input again, {where} returned something else; "
                f"switch off what is random in it, then compare again"
            )
            found.append(
                Cause(
                    path if side is judge.a else "",
                    path if side is judge.b else "",
                    text,
                    True,
                    "not deterministic",
                )
            )
    return found


def _first_change(side: Side, judge: Judge) -> str | None:
    if side.network is None or side.inputs is None:
        return None
    step(f"running {side.name} once more")
    adapter = side.network.adapter
    # A backend restores its random state after each pass: the same numbers would be drawn again.
    with adapter.perturbed(side.network.native) if hasattr(adapter, "perturbed") else nullcontext():
        again = side_of(side.name, side.network, side.inputs, sys.maxsize, side.entire)
    for before, after in zip(side.stations, again.stations, strict=False):
        after.show(before.layer, *before.orders)
        if not _agree(before.returned, after.returned, judge):
            return before.path if _agree(before.given, after.given, judge) else ""
    if side.whole is None or again.whole is None:
        return None
    return None if _agree(side.whole.returned, again.whole.returned, judge) else ""


def _agree(before: Sequence[AxisArray], after: Sequence[AxisArray], judge: Judge) -> bool:
    """Whether all numbers are the same, most of them to the last bit."""
    return all(
        np.array_equal(x.values, y.values) or judge.difference(x, y).within
        for x, y in zip(before, after, strict=False)
    )
