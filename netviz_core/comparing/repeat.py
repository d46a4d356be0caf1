"""Whether a model returns the same twice: one that does not differs from every other, and from itself."""

from __future__ import annotations

import sys
from contextlib import nullcontext

from .causes import Cause
from .judging import Judge
from .sides import Side, side_of


def unsteady(judge: Judge) -> list[Cause]:
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
    backend = side.network.backend
    # A backend puts its random generators back after each pass: the same numbers would be drawn again.
    with backend.stirred(side.network.native) if hasattr(backend, "stirred") else nullcontext():
        again = side_of(side.name, side.network, side.inputs, sys.maxsize)
    for before, after in zip(side.stations, again.stations, strict=False):
        apart = [judge.difference(x, y) for x, y in zip(before.returned, after.returned, strict=False)]
        if not all(part.within for part in apart):
            given = [judge.difference(x, y) for x, y in zip(before.given, after.given, strict=False)]
            return before.path if all(part.within for part in given) else ""
    if side.whole is None or again.whole is None:
        return None
    ends = zip(side.whole.returned, again.whole.returned, strict=False)
    return None if all(judge.difference(x, y).within for x, y in ends) else ""
