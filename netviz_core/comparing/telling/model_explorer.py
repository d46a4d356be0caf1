"""Both graphs of a comparison in the JSON that Google's Model Explorer reads."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...graphs.model_explorer import as_graph, collection
from ...words.errors import UnsupportedError
from . import wording
from .findings import Fault, Findings, LayerPair
from .in_graphs import LEVELS, by_id, placed

_COLOURS = ("#e8f1fa", "#fde9c8", "#f9c99a", "#f09a85", "#e27a86")
"""Those of the page of a comparison, for each of `LEVELS` and for more."""


class ModelExplorerFiles(NamedTuple):
    """What Model Explorer reads of a comparison; each is the text of a file.

    Parameters
    ----------
    graphs : str
        Both graphs, as one collection.
    node_data : str
        How many times the noise each node is apart from its partner, with thresholds and their colours.
    navigation : str
        Which nodes of the two correspond, for its navigation of two panes.
    """

    graphs: str
    node_data: str
    navigation: str


class _Side(NamedTuple):
    """What is told of one graph: of its nodes and containers by their ids, and how far they are apart."""

    notes: dict[str, dict[str, str]]
    ratios: dict[str, float]


def to_model_explorer(found: Findings) -> ModelExplorerFiles:
    """See `netviz_core.comparing.telling.view.Comparison.to_model_explorer`."""
    if found.graphs is None:
        raise UnsupportedError(
            found.without_graphs
            or "the comparison has no graphs; ask for them: nv.compare(a, b, x, graphs=True)"
        )
    known = by_id(found.graphs[0]), by_id(found.graphs[1])
    sides, mapping = (_Side({}, {}), _Side({}, {})), {}
    for pair, fault, ends in placed(found, known):
        for end, side in zip(ends, sides, strict=True):
            if end is not None:
                side.notes[end] = _notes(pair, fault)
                if not math.isnan(pair.ratio):
                    side.ratios[end] = pair.ratio
        if ends[0] is not None and ends[1] is not None:
            mapping[ends[0]] = ends[1]
    for name, side, paths in zip("ab", sides, (found.unmatched_a, found.unmatched_b), strict=True):
        for path in paths:
            own = side.notes.setdefault(path, {})
            own["partner"] = found.reasons.get(f"{name}:{path}") or "none was found"
    told = list(zip(found.graphs, found.names, sides, known, strict=True))
    return ModelExplorerFiles(
        collection(
            found.title,
            [
                as_graph(graph, name, side.notes, _containers(side.ratios, nodes))
                for graph, name, side, nodes in told
            ],
        ),
        _as_json({name: _node_data(side.ratios, nodes) for _, name, side, nodes in told}),
        _as_json({"type": "sync_navigation", "mapping": mapping, "disableMappingFallback": True}),
    )


def _notes(pair: LayerPair, fault: Fault | None) -> dict[str, str]:
    """What is told of a pair where one of its nodes is chosen."""
    told = {
        "pair": pair.place,
        "status": wording.meaning_of(pair.status),
        "largest error": wording.figure(pair.error),
        "tolerance": wording.limit(pair.tolerance),
        "times the noise": "" if math.isnan(pair.ratio) else wording.times(pair.ratio),
        "remark": pair.note,
    }
    for number, cause in enumerate(fault.causes if fault is not None else (), 1):
        state = "confirmed" if cause.confirmed else "not confirmed"
        told[f"cause {number}"] = f"({state}) {wording.cause_words(cause)}"
    return {name: words for name, words in told.items() if words}


def _colour(ratio: float) -> str:
    return _COLOURS[sum(ratio > most for most in LEVELS)]


def _containers(ratios: Mapping[str, float], nodes: Mapping[str, object]) -> dict[str, str]:
    return {path: _colour(ratio) for path, ratio in ratios.items() if nodes[path] is None}


def _node_data(ratios: Mapping[str, float], nodes: Mapping[str, object]) -> dict[str, Any]:
    return {
        "name": "times the noise",
        "results": {id: _result(ratio) for id, ratio in ratios.items() if nodes[id] is not None},
        "thresholds": [
            {"value": most, "bgColor": colour}
            for most, colour in zip((*LEVELS, sys.float_info.max), _COLOURS, strict=True)
        ],
    }


def _result(ratio: float) -> dict[str, Any]:
    """JSON has no number for what is beyond all: a word, with the colour that no threshold can give it."""
    return {"value": ratio} if math.isfinite(ratio) else {"value": "not finite", "bgColor": _COLOURS[-1]}


def _as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
