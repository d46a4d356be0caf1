"""A table of health as it is to be read: alarms in front, and one line for many layers that are alike."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from itertools import product
from math import ceil

import numpy as np

from ..views.measures import LayerMeasures, MeasureLine

_WHOLE = 12
"""So many layers of one container stay together."""

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
    return tuple(view.line_of(rows, _name(view.layers, rows)) for rows in groups)


def _groupings(view: LayerMeasures, order: Rows, at_most: int) -> Iterator[list[Rows]]:
    """The rows one by one, then in coarser and coarser groups of which the same is said."""
    yield [[row] for row in order]
    parts = [re.split(r"[./]", path) for path in view.layers]
    # Rows that follow one another here and in the model are as far from their places in the model.
    run = {row: row - place for place, row in enumerate(order)}
    for keeps_runs, depth in product((True, False), range(max(map(len, parts)) - 1, -1, -1)):
        groups: dict[Hashable, Rows] = {}
        for row in order:
            key = view.marked[row], view.findings[row], run[row] if keeps_runs else 0, *parts[row][:depth]
            groups.setdefault(key, []).append(row)
        may_be_cut = [
            not view.marked[rows[0]]
            and all(len(parts[row]) <= depth + 1 for row in rows)
            and (not depth or len(rows) > _WHOLE)
            for rows in groups.values()
        ]
        yield _cut(list(groups.values()), may_be_cut, at_most)


def _cut(groups: list[Rows], may_be_cut: Sequence[bool], at_most: int) -> list[Rows]:
    """Cut groups that no containers divide into even pieces, as short as there is room for."""

    def pieces(length: int) -> list[int]:
        return [ceil(len(rows) / length) if may else 1 for rows, may in zip(groups, may_be_cut, strict=True)]

    longest = max(map(len, groups))
    length = next((n for n in range(2, longest) if sum(pieces(n)) <= at_most), longest)
    return [
        piece.tolist()
        for rows, count in zip(groups, pieces(length), strict=True)
        for piece in np.array_split(rows, count)
    ]


def _name(layers: Sequence[str], rows: Rows) -> str:
    """What several rows are called; empty for one, which has a name."""
    if len(rows) == 1:
        return ""
    first, last = (layers[row] or "output" for row in (rows[0], rows[-1]))
    for end in reversed([match.start() for match in re.finditer(r"[./]", first)]):
        if {
            row for row, path in enumerate(layers) if re.match(rf"{re.escape(first[:end])}([./]|$)", path)
        } == set(rows):
            return first[:end]
    is_run = rows[-1] - rows[0] == len(rows) - 1
    return f"{first} … {last}" if is_run else f"{first}, …, {last}"
