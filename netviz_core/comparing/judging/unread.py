"""What of two models' outputs could not be held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...words.structure import is_number
from ..sides import Side

_CLOSE = 1e-4
"""How far apart plain numbers may be, as a share of the larger."""


def not_compared(a: Side, b: Side) -> Iterator[str]:
    """Say of each part of the outputs that it was not compared, or is a plain number and another on the other side.

    What cannot be looked into is the same where both sides say that theirs are equal.
    """
    equal = {name for name in a.others.keys() & b.others.keys() if _is_equal(a.others[name], b.others[name])}
    for name in sorted(a.others.keys() & b.others.keys() - equal):
        ours, theirs = a.others[name], b.others[name]
        if is_number(ours) and is_number(theirs):
            yield f"a returned {ours!r} and b {theirs!r}" + (f" as part {name!r}" if name else "")
    for side in (a, b):
        hidden = {name for name, value in side.others.items() if not is_number(value)}
        if side.unread and not (hidden and hidden <= equal):
            yield f"of what {side.name} returned not all could be compared: {side.unread}"


def _is_equal(ours: Any, theirs: Any) -> bool:
    if is_number(ours) and is_number(theirs):
        return bool(np.isclose(ours, theirs, rtol=_CLOSE, atol=0, equal_nan=True))
    try:
        return ours is theirs or bool(ours == theirs)
    except Exception:  # whatever a class of somebody's own does
        return False
