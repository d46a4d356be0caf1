"""A table of health as it is to be read: alarms in front, and one line for many layers that are alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil

from ..views.measures import LayerMeasures, MeasureLine

_WHOLE = 12
"""So many parts of one container stay together."""

Rows = list[int]


def alarms_in_front(view: LayerMeasures, at_most: int, are_makers: Sequence[bool]) -> tuple[MeasureLine, ...]:
    """See `netviz_core.measures.health_view.Health.lines`; who made what others pass on is the very first."""
    if not view.layers:
        return ()
    order = sorted(
        range(len(view.layers)),
        key=lambda row: (not are_makers[row], not view.marked[row], not view.findings[row]),
    )
    for groups in _groupings(view, order, at_most):
        if len(groups) <= at_most:
            break
    sizes = Counter(container for path in view.layers for container in _containers(path))
    return tuple(
        view.line_of(rows, _name([view.layers[row] for row in rows], rows, sizes)) for rows in groups
    )


def _groupings(view: LayerMeasures, order: Rows, at_most: int) -> Iterator[list[Rows]]:
    """The rows one by one, then in coarser and coarser groups of which the same is said."""
    yield [[row] for row in order]
    parts = [re.split(r"[./]", path) for path in view.layers]
    # Rows that follow one another here and in the model are as far from their places in the model.
    run = {row: row - place for place, row in enumerate(order)}
    for keeps_runs in (True, False):
        finer = [[row] for row in order]
        for depth in range(max(map(len, parts)) - 1, -1, -1):
            groups: dict[Hashable, list[Rows]] = {}
            for rows in finer:
                said = view.marked[rows[0]], view.findings[rows[0]], run[rows[0]] if keeps_runs else 0
                groups.setdefault((*said, *parts[rows[0]][:depth]), []).append(rows)
            most_whole = 1 if not depth else _WHOLE
            may_be_cut = [
                not view.marked[children[0][0]] and len(children) > most_whole for children in groups.values()
            ]
            yield _cut(list(groups.values()), may_be_cut, at_most)
            finer = [_joined(children) for children in groups.values()]


def _cut(groups: list[list[Rows]], may_be_cut: Sequence[bool], at_most: int) -> list[Rows]:
    """Groups of what lies in one container, the long ones in pieces of as few parts as there is room for."""

    def pieces(length: int) -> list[int]:
        return [
            ceil(len(parts) / length) if may else 1 for parts, may in zip(groups, may_be_cut, strict=True)
        ]

    longest = max(map(len, groups))
    length = next((n for n in range(2, longest) if sum(pieces(n)) <= at_most), longest)
    cut = []
    for parts, count in zip(groups, pieces(length), strict=True):
        ends = [round(len(parts) * number / count) for number in range(count + 1)]
        cut += [_joined(parts[start:end]) for start, end in pairwise(ends)]
    return cut


def _joined(parts: Sequence[Rows]) -> Rows:
    return [row for part in parts for row in part]


def _name(paths: Sequence[str], rows: Rows, sizes: Mapping[str, int]) -> str:
    """What several rows are called: the container that holds them and no others, or the first and the last."""
    if len(rows) == 1:
        return ""
    common = set(_containers(paths[0])).intersection(*map(_containers, paths[1:]))
    whole = [container for container in common if sizes[container] == len(rows)]
    if whole:
        return max(whole, key=len)
    first, last = paths[0] or "output", _what_differs(paths[-1] or "output", paths[0])
    is_run = rows[-1] - rows[0] == len(rows) - 1
    return f"{first} … {last}" if is_run else f"{first}, …, {last}"


def _what_differs(path: str, other: str) -> str:
    """A path without the containers that it shares with another, and without what both end with."""
    own, others = re.split(r"(?<=[./])", path), re.split(r"(?<=[./])", other)
    while len(own) > 1 and len(others) > 1 and own[0] == others[0]:
        own, others = own[1:], others[1:]
    while len(own) > 1 and len(others) > 1 and own[-1] == others[-1]:
        own, others = own[:-1], others[:-1]
    return "".join(own).rstrip("./")


def _containers(path: str) -> list[str]:
    """A path and those of all that it lies in, but for the model itself."""
    return [path[: match.start()] for match in re.finditer(r"[./]|$", path) if match.start()]
