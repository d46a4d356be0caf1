"""Every option of a figure has an effect, or is refused with the names of the views on which it has one."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import netviz_core as nv
from netviz_core.comparing.telling.view_details import HistogramPair
from netviz_core.views.catalogue import ONLY_SOME
from netviz_core.views.histogram import HistogramRows
from netviz_matplotlib.catalogue import CATALOGUE

from .handmade import (
    attention_view,
    comparison_view,
    graph_view,
    heatmap_view,
    histogram_view,
    history_histogram_view,
    history_view,
    kernel_grid,
    losses_view,
    measures_view,
    normal,
    overlays_view,
    similarity_view,
)
from .test_grids import footer_of

OPTIONS = CATALOGUE.options
PICTURES = np.abs(normal(3, 8, 8)) / 4
EDGES = np.linspace(-1, 1, 5)
ROWS = HistogramRows(
    "weights", ("a", "b"), np.array([[1, 2, 3, 4], [4, 3, 2, 1]]), EDGES, *[np.zeros(2, int)] * 3, "kernel"
)
VIEWS: dict[str, Any] = {
    "AttentionMaps": attention_view(PICTURES),
    "TileGrid": kernel_grid(normal(4, 3, 3)),
    "Heatmap": heatmap_view(normal(6, 8)),
    "HistogramRows": ROWS,
    "Histogram": histogram_view(normal(90)),
    "HistogramPair": HistogramPair(
        "kernel", histogram_view(normal(90)), histogram_view(normal(80)), ("a", "b"), 0.1
    ),
    "Comparison": comparison_view(np.array([1e-7, 1e-2])),
    "Graph": graph_view([("conv", "fc")]),
    "TopLosses": replace(losses_view(np.array([2.0, 1.0, 0.5]), images=PICTURES[..., None]), heat=PICTURES),
    "Overlays": overlays_view(PICTURES[..., None], PICTURES),
    "LayerMeasures": measures_view(normal(3, 2)),
    "SimilarityMatrix": similarity_view(np.abs(normal(3, 3)) / 4),
    "HistoryHeatmap": history_view(normal(3, 4)),
    "HistoryHistogram": history_histogram_view(np.arange(12).reshape(4, 3)),
}
GIVEN: dict[str, Any] = {
    "title": "another title",
    "cmap": "magma",
    "limits": (-0.123, 0.321),
    "colorbar": False,
    "fontsize": 5,
    "figsize": (3, 2.5),
    "dpi": 40,
}


def written(view: nv.Heatmap, **options: Any) -> bytes:
    file = io.BytesIO()
    view.save(file, format="png", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", VIEWS)
def test_an_option_has_an_effect_or_is_refused(kind):
    view, plain = VIEWS[kind], written(VIEWS[kind])
    for option, value in GIVEN.items():
        if option in OPTIONS[kind]:
            assert written(view, **{option: value}) != plain, option
            continue
        with pytest.raises(nv.InputError) as caught:
            written(view, **{option: value})
        having = [other for other in OPTIONS if option in OPTIONS[other]]
        assert str(caught.value).startswith(
            f"{option}= has no effect on a {kind}; it has one on {', '.join(having)}"
        )


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (
            kernel_grid(normal(2, 3, 3, 3)),
            "KernelGrid, as tiles of red, green and blue have their own colours",
        ),
        (overlays_view(PICTURES[..., None], None), "Overlays, as it has no heat"),
        (losses_view(np.array([2.0, 1.0])), "TopLosses, as it has no heat"),
    ],
)
def test_a_colormap_is_refused_where_it_would_colour_nothing(view, words):
    for shown in (view, nv.side_by_side(view, view)):
        with pytest.raises(nv.InputError, match=words):
            written(shown, cmap="magma")


def test_every_kind_of_view_is_tried():
    assert set(VIEWS) == set(OPTIONS)
    assert set(GIVEN) == {option for options in OPTIONS.values() for option in options}


def test_of_views_side_by_side_each_must_have_it():
    pair = nv.side_by_side(VIEWS["Histogram"], VIEWS["Histogram"])
    with pytest.raises(nv.InputError, match="cmap= has no effect on a Histogram"):
        pair.plot(cmap="magma")
    pair = nv.side_by_side(VIEWS["Heatmap"], VIEWS["Heatmap"])
    assert written(pair, limits=(-9, 9)) != written(pair)


def test_every_option_is_described_in_one_place():
    from netviz_matplotlib.parts.style import Style

    described = Style.__doc__ or ""
    assert set(ONLY_SOME) <= set(GIVEN)
    assert all(f"    {option} : " in described for option in GIVEN)


def test_letters_of_a_size_leave_the_settings_alone():
    before = dict(matplotlib.rcParams)
    ax = VIEWS["Heatmap"].plot(fontsize=5)
    ax.figure.canvas.draw()
    assert {label.get_fontsize() for label in ax.get_xticklabels()} == {5 * 0.833}
    assert ax.title.get_fontsize() <= 6
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("form", ["png", "svg", "pdf", ".PNG"])
def test_a_file_that_is_open_gets_the_same_bytes(form, tmp_path):
    view, file = VIEWS["Heatmap"], io.BytesIO()
    view.save(file, format=form)
    path = tmp_path / f"figure.{form.lower().removeprefix('.')}"
    view.save(path)
    assert file.getvalue() == path.read_bytes()


def test_a_format_is_asked_for_where_nothing_names_one(tmp_path):
    for options, words in (
        ({}, "give format="),
        ({"format": "bmp"}, "use one of png"),
        ({"format": 3}, "format=3"),
    ):
        with pytest.raises(nv.FileFormatError, match=words):
            VIEWS["Heatmap"].save(io.BytesIO(), **options)
    VIEWS["Heatmap"].save(tmp_path / "figure", format="png")
    assert (tmp_path / "figure").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("value", [0, -1, "large", float("nan"), True])
def test_a_size_of_letters_is_a_number_of_points(value):
    with pytest.raises(nv.InputError, match="fontsize="):
        VIEWS["Heatmap"].plot(fontsize=value)


@pytest.mark.parametrize("kind", ["TileGrid", "Heatmap", "HistoryHeatmap", "AttentionMaps"])
def test_what_limits_leave_out_is_said(kind):
    view = VIEWS[kind]
    values = np.asarray(view.tiles if hasattr(view, "tiles") else view.values)
    low, high = np.quantile(values, [0.25, 0.75])
    share = 100 * ((values < low) | (values > high)).mean()
    told = [f"{share:.2g} % of the values are beyond the limits"]
    for limits, expected in (((float(low), float(high)), told), ((-1e9, 1e9), []), (None, [])):
        ax = view.plot(Figure().add_subplot(), limits=limits)
        assert [note for note in footer_of(ax) if "beyond" in note] == expected
