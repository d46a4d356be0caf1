"""What a reshape leaves of the names of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .arrays import SPATIAL_AXES

Names = tuple[str | None, ...]
"""One name for each axis; None where it is not known."""


def reshaped(before: Sequence[int], names: Names, after: Sequence[int]) -> Names:
    """Keep the names of axes that a reshape leaves alone; flattening all but the batch gives channels.

    Axes are matched from the front and from the back. Where an axis of the same length stands at
    the same place, and all before it (or behind it) are matched too, the same numbers lie along it. An axis of
    length one that is gone became one with its neighbour, as it would have if it were longer.

    Examples
    --------
    >>> reshaped((2, 6, 5), ("batch", "time", "channel"), (2, 3, 2, 5))
    ('batch', None, None, 'channel')
    >>> reshaped((2, 6, 5), ("batch", "channel", "x"), (2, 30))
    ('batch', 'channel')
    """
    front = 0
    while front < min(len(before), len(after)) and before[front] == after[front]:
        front += 1
    if front == len(before) == len(after):
        return names
    if names[0] == "batch" and front and len(after) == 2 and None not in names:
        return ("batch", "channel")
    old, new = len(before), len(after)
    kept: list[tuple[int, str | None]] = []
    while old > front and new > front:
        if before[old - 1] == after[new - 1]:
            kept.insert(0, (old - 1, names[old - 1]))
            old, new = old - 1, new - 1
        elif before[old - 1] == 1 and old - front > new - front:
            old -= 1
        else:
            break
    found = {place: names[place] for place in range(front)} | dict(kept)
    if new == front:
        for gone in range(len(before)):
            if gone not in found and (taker := _neighbour(gone, found, names)) is not None:
                found[taker] = None
    named = [name for place, name in found.items() if place < front] + [None] * (new - front)
    return (*named, *(found[place] for place, _ in kept))


def _neighbour(gone: int, found: Mapping[int, str | None], names: Names) -> int | None:
    """Which of the axes beside one that is gone it became one with: a spatial one, else not the batch."""
    beside = [
        place
        for place in (
            max((p for p in found if p < gone), default=None),
            min((p for p in found if p > gone), default=None),
        )
        if place is not None
    ]
    by_place = [place for place in beside if names[place] in SPATIAL_AXES and names[gone] in SPATIAL_AXES]
    others = [place for place in beside if names[place] != "batch"]
    return next(iter(by_place or others or beside), None)
