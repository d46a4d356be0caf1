"""Whether a model is deterministic: one that is not differs from every other, and from itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from ...words.arrays import AxisArray
from ...words.progress import step
from ..judging.difference import Difference, tolerance_for
from ..judging.judging import Judge
from ..judging.noise import coarsest_of
from ..sides import Side, side_of
from .causes import Cause


def nondeterministic(judge: Judge) -> list[Cause]:
    """Run each model that is here once more, and name the first layer that returned something else.

    Numbers that are another's neighbours come of sums in another order, and of nothing random.
    """
    found = []
    for side in (judge.a, judge.b):
        change = _first_change(side, judge)
        if change is None:
            continue
        path, apart = change
        where = f"layer {path!r}" if path else "an operation between its layers"
        name = "not deterministic"
        text = (
            f"{side.name} is not deterministic: given the same input again, {where} returned something else; "
            f"switch off what is random in it, then compare again"
        )
        if apart.relative <= tolerance_for(coarsest_of(side.stations)):
            name = "rounding"
            text = (
                f"{side.name} does not return the same to the last digit: given the same input again, {where} returned "
                f"what differs by {apart.max_abs:.1e} at most, as it may where sums are added up in another order by "
                f"several threads; nothing random was seen"
            )
        paths = [path if side is own else "" for own in (judge.a, judge.b)]
        found.append(Cause(paths[0], paths[1], text, True, name))
    return found


def _first_change(side: Side, judge: Judge) -> tuple[str, Difference] | None:
    if side.network is None or side.inputs is None:
        return None
    step(f"running {side.name} once more")
    adapter = side.network.adapter
    # A backend restores its random state after each pass: the same numbers would be drawn again.
    with adapter.perturbed(side.network.native) if hasattr(adapter, "perturbed") else nullcontext():
        again = side_of(side.name, side.network, side.inputs, sys.maxsize, side.entire)
    for before, after in zip(side.stations, again.stations, strict=False):
        after.show(before.layer, *before.orders)
        apart = _apart(before.returned, after.returned, judge)
        if apart is not None:
            return (before.path if _apart(before.given, after.given, judge) is None else ""), apart
    if side.whole is None or again.whole is None:
        return None
    apart = _apart(side.whole.returned, again.whole.returned, judge)
    return None if apart is None else ("", apart)


def _apart(before: Sequence[AxisArray], after: Sequence[AxisArray], judge: Judge) -> Difference | None:
    """How far the first numbers are apart that are not the same; None if all are, most of them to the last bit."""
    odd = (
        judge.difference(x, y)
        for x, y in zip(before, after, strict=False)
        if not np.array_equal(x.values, y.values)
    )
    return next((apart for apart in odd if not apart.within), None)
