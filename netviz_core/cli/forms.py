"""What is told, as text and as JSON; every JSON form names its schema, such as ``netviz.summary/1``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Any

from ..captures.capture import Capture
from ..measures.layer_statistics import LayerStatistics
from ..measures.statistics import SHOWN_NUMBERS
from ..pages.document import document
from ..words.plain import plain
from .messages import in_options

Form = Callable[[Any], str]
Forms = Mapping[str, Form]
"""The text that a suffix stands for: at least ``.txt`` and ``.json``."""


def _json(name: str, content: Callable[[Any], Mapping[str, Any]]) -> Form:
    """The form for programs of what `content` makes of an answer."""

    def form(found: Any) -> str:
        document = {"schema": f"netviz.{name}/1", **plain(content(found))}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)

    return form


def _fields(*names: str) -> Callable[[Any], Mapping[str, Any]]:
    return lambda found: {name: getattr(found, name) for name in names}


def _layers(network: Any) -> Mapping[str, Any]:
    return {
        "backend": network.backend,
        "layers": [
            {
                "path": path,
                "kind": layer.kind,
                "type_name": layer.type_name,
                "trainable": layer.trainable,
                "weights": [
                    {
                        "name": weight.name,
                        "native_name": weight.native_name,
                        "axes": weight.axes,
                        "shape": weight.shape,
                        "dtype": str(weight.dtype),
                    }
                    for weight in layer.weights.values()
                ],
            }
            for path, layer in network.layers.items()
        ],
    }


def _statistics(found: Any) -> Mapping[str, Any]:
    def numbers(layer: LayerStatistics) -> Mapping[str, Any]:
        return {"count": layer.count, **_fields(*SHOWN_NUMBERS)(layer), "quantiles": layer.quantiles}

    layers = {key: numbers(layer) for key, layer in found.items()}
    return {"batch_count": found.batch_count, "layers": layers, "coverage": found.coverage}


def _capture(found: Capture) -> Mapping[str, Any]:
    values = {
        key: {"axes": value.axes, "shape": value.shape, "dtype": value.dtype} for key, value in found.items()
    }
    return {
        "backend": found.backend, "versions": found.versions, "values": values, "coverage": found.coverage,
    }  # fmt: skip


def _capture_text(found: Capture) -> str:
    return "\n".join(
        [f"{len(found):,} values of {len(found.coverage):,} layers", *found.coverage.lines_of_missed()]
    )


def _summary_page(found: Any) -> str:
    told = found._told()
    return document(found.title, told.parts, told.verdict, told.state)


COMPARISON: Forms = {
    ".txt": lambda found: in_options(str(found)),
    ".json": methodcaller("to_json"),
    ".html": methodcaller("to_html"),
    ".md": methodcaller("to_markdown"),
}
GRAPH: Forms = {
    ".txt": str,
    ".json": _json("graph", _fields("title", "nodes", "edges", "groups")),
    ".dot": methodcaller("to_dot"),
    ".gv": methodcaller("to_dot"),
    ".mmd": methodcaller("to_mermaid"),
}
LAYERS = _json("layers", _layers)
PLUGINS = _json("plugins", dict)
SUMMARY: Forms = {
    ".txt": lambda found: in_options(str(found)),
    ".json": _json("summary", methodcaller("to_dict")),
    ".html": _summary_page,
}
HEALTH: Forms = {
    ".txt": str,
    ".json": _json(
        "health",
        _fields(
            "is_healthy", "first_nonfinite", "cause", "sample_count", "rows", "thresholds", "coverage"
        ),
    ),
}  # fmt: skip
STATISTICS: Forms = {".txt": str, ".json": _json("statistics", _statistics)}
SIMILARITY: Forms = {
    ".txt": str,
    ".json": _json(
        "similarity",
        _fields(
            "keys_a", "keys_b", "values", "sample_count", "unused_sample_count", "left_out", "undefined"
        ),
    ),
}  # fmt: skip
TOP_LOSSES: Forms = {
    ".txt": str,
    ".json": _json("top-losses", _fields("count", "rows", "confusions")),
}
CAPTURE: Forms = {".txt": _capture_text, ".json": _json("capture", _capture)}
TRANSFER: Forms = {".txt": str, ".json": _json("weight-transfer", _fields("copied", "skipped"))}
