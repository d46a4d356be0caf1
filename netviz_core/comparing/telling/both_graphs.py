"""The graphs of both models in the page of a comparison: what corresponds, how far it is apart, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ...graphs.export import named_sizes
from ...pages.unfolding import Mark, Unfolding, link, unfolded
from ...views.base import picture
from ...words.cards import NAME, PROSE, in_short, prose, soft, table
from ...words.errors import NetvizError
from . import wording
from .cause_told import cause_told
from .findings import Fault, Findings, LayerPair
from .in_graphs import LEVELS, Ends, Known, by_id, place_of, placed
from .view_details import maps_at

_MOST_PICTURED, _MOST_LINKED = 8, 60

_LEGEND = {
    "r0": "agrees, or is apart by the noise at most",
    **{
        f"r{level}": f"apart by up to {most:,g} times the noise" for level, most in enumerate(LEVELS) if level
    },
    "r4": "by more",
    "fault": "a fault",
    "": "not judged by the noise",
}


class _Told(NamedTuple):
    """What is told of the nodes of one graph, by their ids."""

    marks: dict[str, Mark]
    sheets: dict[str, str]


def both_graphs(found: Findings) -> Iterator[str]:
    """The two graphs beside each other, and links to the faults in them; or why they are not there."""
    if found.graphs is None:
        yield soft(found.without_graphs or "compare(…, graphs=True) draws the graphs of both models here.")
        return
    told = (_Told({}, {}), _Told({}, {}))
    in_a, in_b = known = by_id(found.graphs[0]), by_id(found.graphs[1])
    corresponding, places = [], list[tuple[Fault, Ends]]()
    for pair, fault, ends in placed(found, known):
        settings = _settings((_settings_of(ends[0], in_a), _settings_of(ends[1], in_b)), found)
        sheet = _sheet(pair, fault, settings, found)
        for end, (marks, sheets) in zip(ends, told, strict=True):
            if end is not None:
                marks[end], sheets[end] = _mark(pair, fault), sheet
        if ends[0] is not None and ends[1] is not None:
            corresponding.append((ends[0], ends[1]))
        if fault is not None:
            places.append((fault, ends))
    _tell_of_unmatched(found, told)
    shown = [
        Unfolding(graph, name, own.marks, own.sheets)
        for graph, name, own in zip(found.graphs, found.names, told, strict=True)
    ]
    drawn = unfolded(shown, corresponding, _LEGEND)
    yield from _links(places, drawn.numbers, found)
    yield drawn.html


def _mark(pair: LayerPair, fault: Fault | None) -> Mark:
    if math.isnan(pair.ratio):
        state, told = "r0" if pair.status == "agrees" else "", pair.status
    else:
        level = sum(pair.ratio > most for most in LEVELS)
        state, told = f"r{level}", f"{pair.status}: {wording.times(pair.ratio)} × noise"
    return Mark(f"{state} fault".strip() if fault is not None else state, told)


def _sheet(pair: LayerPair, fault: Fault | None, settings: str, found: Findings) -> str:
    """What is told of a pair: how far it is apart, how both are set, and where it is a fault, why."""
    parts = [_numbers(pair), settings]
    if fault is not None:
        parts = [*map(cause_told, fault.causes), *parts]
        if fault in found.faults[:_MOST_PICTURED]:
            parts.append(_maps(fault, found))
    return "".join(parts)


def _numbers(pair: LayerPair) -> str:
    rows = {
        "status": wording.meaning_of(pair.status),
        "largest error": wording.figure(pair.error),
        "tolerance": wording.limit(pair.tolerance),
        "times the noise": ""
        if math.isnan(pair.ratio)
        else f"{wording.times(pair.ratio)} ({pair.precision})",
        "paired by": ", ".join(pair.evidence),
        "remark": pair.note,
        **{f"weight {name}": f"apart by {wording.figure(part.error)}" for name, part in pair.weights.items()},
    }
    lines = [(name, told) for name, told in rows.items() if told]
    return table({"": NAME, "of this pair": PROSE}, lines, list, first=len(lines))


def _settings(both: Sequence[Mapping[str, Any]], found: Findings) -> str:
    """The settings of both layers, those that differ first."""
    names = list(dict.fromkeys((*both[0], *both[1])))
    rows = [(name, *(in_short(side[name]) if name in side else "" for side in both)) for name in names]
    rows.sort(key=lambda row: row[1] == row[2])
    columns = {"setting": NAME, **dict.fromkeys(found.names, PROSE)}
    return table(columns, rows, list, is_marked=lambda row: row[1] != row[2], first=len(rows))


def _settings_of(end: str | None, known: Known) -> Mapping[str, Any]:
    node = known[end] if end is not None else None
    if node is None:
        return {}
    returned = named_sizes(node.output_shape, node.output_axes)
    return {"layer": node.id, "kind": node.kind, **node.config, "returns": returned}


def _maps(fault: Fault, found: Findings) -> str:
    """What both returned for the first sample, where these are maps."""
    there = replace(found, first_divergence=fault.pair, first_outputs=fault.outputs)
    try:
        return picture(
            maps_at(there, limit=64), "What both returned for the first sample, and the difference."
        )
    except NetvizError as error:
        return soft(f"No feature maps: {error}")


def _tell_of_unmatched(found: Findings, told: tuple[_Told, _Told]) -> None:
    for side, own, paths in zip("ab", told, (found.unmatched_a, found.unmatched_b), strict=True):
        for path in paths:
            own.marks.setdefault(path, Mark("", "no partner"))
            why = found.reasons.get(f"{side}:{path}", "")
            own.sheets.setdefault(path, soft(f"No partner was found{f': {why}' if why else ''}."))


def _links(
    places: list[tuple[Fault, Ends]], numbers: tuple[Mapping[str, int], ...], found: Findings
) -> Iterator[str]:
    """Each fault as a link to where it is, in the order in which b ran."""
    order = {place_of(fault.pair): number for number, fault in enumerate(found.faults)}
    entries = []
    for fault, ends in sorted(places, key=lambda each: order[place_of(each[0].pair)])[:_MOST_LINKED]:
        side = next((side for side in (1, 0) if ends[side] in numbers[side]), None)
        text = fault.pair.place + (f" (call {fault.pair.call})" if fault.pair.call else "")
        entries.append(prose(text) if side is None else link(text, numbers[side][str(ends[side])], side))
    if entries:
        more = len(places) - len(entries)
        yield f"<p>To the faults: {', '.join(entries)}{f' and {more:,} more' if more else ''}</p>"
