"""What every renderer must do, as tests that the author of one subclasses.

Needs pytest. A new renderer is tested by::

    class TestBokeh(RendererConformance):
        @pytest.fixture
        def renderer(self):
            return BokehRenderer()

Beside what `Renderer` says it needs a method ``under_cursor``, which takes what ``plot`` returned and gives every text
that its user can read under the cursor: a place, in whole numbers or by names, a colon, and the value.
"""

from __future__ import annotations

import io
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ..graphs.parts import GraphEdge, GraphNode
from ..graphs.view import Graph
from ..measures.similarity_view import SimilarityMatrix
from ..views.base import View
from ..views.heatmap import Heatmap
from ..views.histogram import histogram_of
from ..views.history import HistoryHeatmap, HistoryHistogram
from ..views.measures import LayerMeasures
from ..views.overlays import Overlays
from ..views.side_by_side import side_by_side
from ..views.tiles import FeatureMapGrid, KernelGrid
from ..words.errors import FileFormatError, InputError, UnsupportedError

Array = np.ndarray[Any, Any]

_LAYERS = "stem.conv", "blocks.0.conv", "head.dense"


def _values(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape)


def _views() -> dict[str, tuple[View, dict[tuple[Any, ...], float] | None]]:
    """By name a view, and the values that its places have; None where nothing is told of places."""
    tiles, maps, matrix, layers = _values(6, 3, 3), np.abs(_values(5, 4, 6)), _values(4, 7), _values(3, 3)
    steps = np.array([0, 10, 50])
    history = HistoryHeatmap("std", np.abs(layers), _LAYERS, steps, (0.0, 3.0), "std")
    counts = np.arange(1, 13).reshape(4, 3)
    bins = HistoryHistogram("conv · activation", counts, np.array([-2.0, -1, 0, 1, 2]), steps, "activation")
    nodes = tuple(GraphNode(path, path, "conv2d", "conv2d 3×3") for path in _LAYERS)
    edges = tuple(GraphEdge(a, b, (2, 4)) for a, b in pairwise(_LAYERS))
    kernels = KernelGrid("k", tiles, (-3.0, 3.0), "kernel", "out × in", 0, 0, axes=(("out", 3), ("in", 2)))
    by_axes = {
        (n // 2, n % 2, *place): float(tiles[n][place]) for n in range(6) for place in np.ndindex(3, 3)
    }
    names = {(a, b): float(layers[i, j]) for i, a in enumerate(_LAYERS) for j, b in enumerate(_LAYERS)}
    heat = np.random.default_rng(3).random((2, 4, 4))
    return {
        "kernels": (kernels, by_axes),
        "feature maps": (FeatureMapGrid("m", maps, (0.0, 3.0), "activation", "map", 0, 0), _places(maps)),
        "heatmap": (Heatmap("h", matrix, "out", "in", (-3.0, 3.0), 0, 0, "kernel"), _places(matrix)),
        "overlays": (Overlays("o", None, heat, ("a", "b"), "Grad-CAM"), _places(heat)),
        "similarity": (SimilarityMatrix("s", layers, _LAYERS, _LAYERS, 9, 0, (), ()), names),
        "history": (
            history,
            {
                (_LAYERS[i], int(s)): float(history.values[i, j])
                for i in range(3)
                for j, s in enumerate(steps)
            },
        ),
        "histogram": (histogram_of(_values(200), "x", "kernel", 10), None),
        "steps": (bins, None),
        "measures": (LayerMeasures("t", _LAYERS, ("mean", "std", "zeros"), layers, (False,) * 3), None),
        "graph": (Graph("g", nodes, edges), None),
    }


def _places(values: Array) -> dict[tuple[Any, ...], float]:
    return {place: float(values[place]) for place in np.ndindex(values.shape)}


VIEWS = _views()


class RendererConformance:
    """Subclass it, and give it a fixture ``renderer``."""

    @pytest.fixture
    def renderer(self) -> Any:
        """The renderer: to be overridden."""
        raise NotImplementedError("override the fixture 'renderer': return a renderer")

    @pytest.mark.parametrize("name", VIEWS)
    def test_every_view_is_drawn_and_stays_as_it_is(self, renderer: Any, name: str) -> None:
        view, _ = VIEWS[name]
        assert renderer.plot(view) is not None
        for field, before in vars(_views()[name][0]).items():
            np.testing.assert_equal(getattr(view, field), before)

    @pytest.mark.parametrize("name", [name for name, (_, places) in VIEWS.items() if places])
    def test_the_cursor_tells_the_values_of_all_places(self, renderer: Any, name: str) -> None:
        view, places = VIEWS[name]
        assert places is not None
        told = {_read(text, places) for text in renderer.under_cursor(renderer.plot(view)) if text}
        found = dict(told)
        assert len(found) == len(told), "one place was told with several values"
        assert found.keys() == places.keys(), "not every place is told, or one that there is not"
        for place, value in places.items():
            assert found[place] == pytest.approx(value, rel=1e-2, abs=1e-6), place

    @pytest.mark.parametrize("name", VIEWS)
    def test_files_are_the_same_for_the_same_view(self, renderer: Any, name: str, tmp_path: Any) -> None:
        path = tmp_path / f"figure{renderer.suffixes[0]}"
        renderer.save(VIEWS[name][0], path)
        buffer = io.BytesIO()
        renderer.save(VIEWS[name][0], buffer, format=renderer.suffixes[0].removeprefix("."))
        assert path.read_bytes() == buffer.getvalue() != b""

    def test_views_side_by_side_are_drawn(self, renderer: Any) -> None:
        view, places = VIEWS["heatmap"]
        assert places is not None
        assert renderer.plot(side_by_side(view, view, titles=["a", "b"])) is not None

    def test_options_that_mean_nothing_are_refused(self, renderer: Any) -> None:
        view, _ = VIEWS["kernels"]
        for wrong in ({"colour": "red"}, {"limits": (1, 0)}, {"title": 3}, {"figsize": (0, 1)}):
            with pytest.raises(InputError):
                renderer.plot(view, **wrong)
        with pytest.raises(InputError):
            renderer.plot(VIEWS["histogram"][0], limits=(0, 1))

    def test_what_it_does_not_draw_or_write_is_refused(self, renderer: Any, tmp_path: Any) -> None:
        with pytest.raises(UnsupportedError):
            renderer.plot(View())
        with pytest.raises(FileFormatError):
            renderer.save(VIEWS["kernels"][0], tmp_path / "figure.nothing")


def _read(text: str, places: dict[tuple[Any, ...], float]) -> tuple[tuple[Any, ...], float]:
    """A place and its value, of a text that the cursor tells."""
    where, _, value = text.rpartition(":")
    for place in places:
        if any(isinstance(part, str) for part in place):
            parts = [part.strip() for part in where.split(",")]
            if all(_names(said, part) for said, part in zip(parts, place, strict=True)):
                return place, _number(value)
    return tuple(int(number) for number in re.findall(r"-?\d+", where)), _number(value)


def _names(said: str, part: Any) -> bool:
    return said.split(" of ")[0] == part if isinstance(part, str) else said.split()[-1] == str(part)


def _number(text: str) -> float:
    return float(text.strip().replace("\N{MINUS SIGN}", "-"))
