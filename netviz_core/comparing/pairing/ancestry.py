"""Which calls of layers had a part in what others were given, and which pairs cannot both be right because of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..stations import INPUT, Station


class Ancestry:
    """For each station of a side those before it whose results it depends on, as far as that is known.

    Where a value was made between layers, it is taken to depend on what ran before; two stations that were given the
    same value depend on the same.
    """

    def __init__(self, stations: Sequence[Station]) -> None:
        self._ancestors: list[int] = []
        before_value: dict[Any, int] = {}
        for station in stations:
            found = 0
            for value, source in zip(station.given, station.sources, strict=True):
                if source == INPUT:
                    continue
                place = (value.values.__array_interface__["data"][0], value.shape)
                if source is not None:
                    known = self._ancestors[source] | (1 << source)
                elif place in before_value:
                    known = before_value[place]
                else:
                    latest = station.number - 1
                    known = self._ancestors[latest] | (1 << latest) if latest >= 0 else 0
                before_value[place] = known
                found |= known
            self._ancestors.append(found)

    def is_before(self, one: Station, other: Station) -> bool:
        """Whether a station had a part in what another was given."""
        return bool(self._ancestors[other.number] >> one.number & 1)


def consistent(
    pairs: Sequence[tuple[int, int]], a: Ancestry, b: Ancestry, stations: tuple[list[Station], list[Station]]
) -> list[tuple[int, int]]:
    """Leave out pairs that stand the other way round on the two sides: layers, or weights, that changed places."""
    ours, theirs = stations
    in_order = sorted(pairs)
    crossing = [
        (one, other)
        for place, one in enumerate(in_order)
        for other in in_order[place + 1 :]
        if one[1] > other[1]
        and a.is_before(ours[one[0]], ours[other[0]])
        and b.is_before(theirs[other[1]], theirs[one[1]])
    ]
    odd = {pair for both in crossing for pair in both}
    return [pair for pair in in_order if pair not in odd]
