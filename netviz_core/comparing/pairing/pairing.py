"""Finds which calls of layers of two models correspond, and says by what evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...models.alignment import LayerMapping, given_groups
from ...words.errors import InputError
from ...words.protocols import Layer
from ..sides import Side
from ..stations import Station
from .ancestry import Ancestry, consistent
from .likeness import Likeness
from .pairs import StationPair

Array = np.ndarray[Any, Any]

_SURE = 1e6
"""The score of a pair of which there is no doubt: the rest is aligned around it."""


def pair_up(a: Side, b: Side, mapping: LayerMapping | None = None) -> list[StationPair]:
    """Pair the stations of two models; those with no partner are left out.

    First those that names, weights or values leave no doubt of, in whatever order they ran; the rest by the best
    alignment that keeps the order (dynamic programming, Needleman and Wunsch 1970), where b's order is that of
    the partners from which its layers get what they are given.
    """
    pairs = list(_given(a, b, mapping))
    taken = {id(station) for pair in pairs for station in (pair.a[0], pair.b[0])}
    ours, theirs = ([s for s in side.stations if id(s) not in taken] for side in (a, b))
    if ours and theirs:
        likeness = Likeness(ours, theirs)
        sure = consistent(likeness.sure(), Ancestry(a.stations), Ancestry(b.stations), likeness.stations)
        sure += _behind(likeness, sure)
        places = sure + _in_order(likeness, sure)
        places += _across(likeness, places)
        pairs += [likeness.pair(i, j) for i, j in places]
    pairs.sort(key=lambda pair: pair.a[0].number)
    return pairs


def _given(a: Side, b: Side, mapping: LayerMapping | None) -> Iterator[StationPair]:
    """The pairs that the user names, call by call."""
    for ours, theirs in given_groups(list(a.layers.values()), b.layers, mapping):
        for left, right in zip(_calls(a, ours), _calls(b, theirs), strict=False):
            named = len(left), len(right)
            pair = StationPair(left, right, ("given",), 1.0, named=named)
            if pair.is_of_several:
                _require_one_result(a, left, ours, theirs)
                _require_one_result(b, right, ours, theirs)
                pair.notes.append(f"{_listed(ours)} of a as {_listed(theirs)} of b, as the mapping has it")
            yield pair


def _calls(side: Side, layers: Sequence[Layer]) -> Iterator[list[Station]]:
    """The calls of layers that are named together, in the order in which they ran."""
    calls = [[station for station in side.stations if station.path == layer.path] for layer in layers]
    for together in zip(*calls, strict=False):
        yield sorted(together, key=lambda station: station.number)


def _require_one_result(
    side: Side, stations: Sequence[Station], ours: Sequence[Layer], theirs: Sequence[Layer]
) -> None:
    """Refuse layers that run side by side: there is no value that they return together.

    Raises
    ------
    InputError
    """
    for place, station in enumerate(stations[:-1], 1):
        behind = {source for other in stations[place:] for source in other.sources}
        if not behind & {station.number, None}:  # what was made between layers may be made of it
            raise InputError(
                f"mapping: {_listed(ours)} to {_listed(theirs)}: {side.name}'s {station.path!r} has no part in what "
                f"{stations[-1].path!r} returns, so that there is no one value to compare; leave them out of mapping, "
                f"and what is made of them is compared, or leave x out, and their weights are"
            )


def _listed(layers: Sequence[Layer]) -> str:
    return ", ".join(repr(layer.path) for layer in layers)


def _behind(likeness: Likeness, sure: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What takes just what a pair returned, where that is one station of a kind and form on either side; and so on."""
    numbers = [[f.station.number for f in side] for side in (likeness.ours, likeness.theirs)]
    partner = {numbers[0][i]: numbers[1][j] for i, j in sure}
    free_a, free_b = ({*range(len(side))} - {place[n] for place in sure} for n, side in enumerate(numbers))
    found = []
    for i, one in enumerate(likeness.ours):
        source = one.station.sources[0] if len(one.station.sources) == 1 else None
        if i not in free_a or source not in partner:
            continue
        rivals = [r for r in free_a if likeness.ours[r].station.sources == (source,)]
        readers = [j for j in free_b if likeness.theirs[j].station.sources == (partner[source],)]
        own = [r for r in rivals if likeness.ours[r].signature == one.signature]
        others = [
            j for j in readers if likeness.theirs[j].signature == one.signature and likeness.scores[i, j]
        ]
        if len(own) == len(others) == 1:
            found.append((i, others[0]))
            free_a.remove(i)
            free_b.remove(others[0])
            partner[numbers[0][i]] = numbers[1][others[0]]
    return found


def _in_order(likeness: Likeness, sure: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The rest in order, between the sure ones: of b in that of the partners before them."""
    partner = {j: i for i, j in sure}
    latest = -1
    keys: list[tuple[int, bool, int]] = []
    before: dict[int, int] = {}
    for j, features in enumerate(likeness.theirs):
        latest = partner.get(j, latest)
        known = [before[source] for source in features.station.sources if source in before]
        key = partner.get(j, max(known, default=latest))
        before[features.station.number] = key
        keys.append((key, j not in partner, j))
    columns = sorted(range(len(likeness.theirs)), key=lambda j: keys[j])
    scores = likeness.scores.copy()
    for i, j in sure:
        scores[i, :] = scores[:, j] = 0
        scores[i, j] = _SURE
    places = [(i, columns[j]) for i, j in _aligned(scores[:, columns])]
    return [(i, j) for i, j in places if partner.get(j) != i]


def _aligned(scores: Array) -> list[tuple[int, int]]:
    """The pairs, in order on both sides, with the largest sum of scores."""
    rows, columns = scores.shape
    best = np.zeros((rows + 1, columns + 1))
    for i in range(rows):
        paired = np.where(scores[i] > 0, best[i, :-1] + scores[i], 0)
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], paired))
    pairs, i, j = [], rows, columns
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _across(likeness: Likeness, places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs that stand in another order on the two sides: branches, or layers that changed places."""
    left = set(range(len(likeness.ours))) - {i for i, _ in places}
    right = set(range(len(likeness.theirs))) - {j for _, j in places}
    sure = likeness.same_weights | likeness.same_output
    found = []
    for i, j in sorted(((i, j) for i in left for j in right), key=lambda place: -likeness.scores[place]):
        if i not in left or j not in right or not likeness.scores[i, j]:
            continue
        if sure[i, j] or _only_ones(likeness, i, j, left, right):
            found.append((i, j))
            left.remove(i)
            right.remove(j)
    return found


def _only_ones(likeness: Likeness, i: int, j: int, left: set[int], right: set[int]) -> bool:
    """Whether two stations with weights are the last of their kind that have no partner."""
    signature = likeness.ours[i].signature
    return (
        bool(likeness.ours[i].weight_form)
        and signature == likeness.theirs[j].signature
        and sum(likeness.ours[other].signature == signature for other in left) == 1
        and sum(likeness.theirs[other].signature == signature for other in right) == 1
    )
