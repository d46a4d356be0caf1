"""The renderer for Plotly, and what it shares with that for matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netviz_core as nv
from netviz_core import plugins
from netviz_core.testing import RendererConformance
from netviz_matplotlib import MatplotlibRenderer

pytest.importorskip("plotly", reason="pip install plotly")

from netviz_plotly import PlotlyRenderer

from .gallery import NAMES, compared_of, grids_of
from .handmade import feature_map_grid, heatmap_view, histogram_view, normal


class TestMatplotlib(RendererConformance):
    @pytest.fixture
    def renderer(self) -> MatplotlibRenderer:
        return MatplotlibRenderer()


class TestPlotly(RendererConformance):
    @pytest.fixture
    def renderer(self) -> PlotlyRenderer:
        return PlotlyRenderer()


@pytest.fixture
def default_is_kept() -> Iterator[None]:
    yield
    nv.set_default_renderer("matplotlib")


@pytest.mark.parametrize("option", [{"cmap": "magma"}, {"colorbar": False}])
def test_options_of_colours_are_refused_where_a_view_has_its_own(option: dict[str, Any]) -> None:
    with pytest.raises(nv.InputError, match="on this FeatureMapGrid, as tiles of red, green and blue"):
        PlotlyRenderer().plot(feature_map_grid(normal(2, 4, 4, 3)), **option)
    with pytest.raises(nv.InputError, match="has no effect on a Histogram; it has one on TileGrid"):
        PlotlyRenderer().plot(histogram_view(normal(9)), **option)


def test_many_maps_are_one_image() -> None:
    figure = PlotlyRenderer().plot(feature_map_grid(normal(2048, 4, 4)))
    assert [trace.type for trace in figure.data] == ["heatmap"]


def test_what_is_not_finite_is_told() -> None:
    values = normal(2, 3)
    values[0, 1], values[1, 2] = np.nan, -np.inf
    renderer = PlotlyRenderer()
    told = set(renderer.under_cursor(renderer.plot(heatmap_view(values))))
    assert {"out 0, in 1: NaN", "out 1, in 2: -inf"} <= told
    assert len(told) == 6


def test_a_page_needs_no_network_and_names_are_no_markup(tmp_path: Path) -> None:
    PlotlyRenderer().save(heatmap_view(normal(2, 2), "<script>alert(1)</script>"), tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<script src" not in page


def test_static_pictures_are_matplotlibs(tmp_path: Path) -> None:
    with pytest.raises(nv.FileFormatError, match=r"writes \.html alone, not \.png; .* matplotlib's"):
        PlotlyRenderer().save(heatmap_view(normal(2, 2)), tmp_path / "x.png")


@pytest.mark.usefixtures("default_is_kept")
def test_a_session_chooses_and_files_choose_by_their_suffix(tmp_path: Path) -> None:
    for name in ("matplotlib", "plotly"):
        plugins.register_renderer(name, f"netviz_{name}:{name.capitalize()}Renderer")
    view = heatmap_view(normal(2, 2))
    nv.set_default_renderer("plotly")
    assert type(view.plot()).__name__ == "Figure"
    for name, start in (("x.html", b"<!doctype"), ("x.png", b"\x89PNG")):
        view.save(tmp_path / name)
        assert (tmp_path / name).read_bytes()[:9].lower().startswith(start.lower())
    with pytest.raises(nv.InputError, match="nowhere"):
        nv.set_default_renderer("nowhere")


def test_markers_of_thousands_of_layers_are_small_and_none_hides_what_differs() -> None:
    few, many = (PlotlyRenderer().plot(compared_of(count, "conv{}")).data for count in (12, 2048))
    assert [trace.name for trace in many][-1] == "differs"
    assert {trace.marker.size for trace in few[1:]} == {9}
    assert {trace.marker.size for trace in many[1:]} == {3}


def test_titles_of_views_side_by_side_have_room_of_their_own() -> None:
    short, long = (PlotlyRenderer().plot(grids_of(12, NAMES[name])) for name in ("short", "long"))
    assert short.layout.margin.t < long.layout.margin.t
    width = long.layout.width / 2
    titles = [note.text for note in long.layout.annotations[:2]]
    assert titles[0] != titles[1]
    assert max(map(len, titles)) * 7 < width


def test_sizes_stay_in_one_line() -> None:
    figure = PlotlyRenderer().plot(feature_map_grid(normal(4, 4, 4), f"{'a' * 70}: 2,048 channels, 12 × 12"))
    assert "12 × 12" in figure.layout.title.text
