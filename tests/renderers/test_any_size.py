"""Figures explain themselves at any size: names stay apart, values keep a pixel, files hold letters."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from itertools import combinations, pairwise

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from netviz_core import side_by_side
from netviz_core.words.short_names import short_names
from netviz_matplotlib.parts.colour_bar import ColourBar
from netviz_matplotlib.parts.text import number, text_width, wrapped
from netviz_matplotlib.parts.ticks import fit_ticks

from .gallery import KINDS, LOOKS, NAMES, drawn
from .handmade import feature_map_grid, history_view, kernel_grid, normal, similarity_view
from .looks import contrast, faults
from .test_grids import footer_of

PARTS = st.lists(
    st.sampled_from(["encoder", "layer_1", "layer_12", "attention", "0", "11", "out"]), min_size=1
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS.map(".".join), min_size=1, max_size=20, unique=True), st.booleans())
def test_different_names_stay_different(names, from_start):
    short = short_names(names, 14, from_start=from_start)
    assert len(set(short)) == len(names)
    assert all(text == name for text, name in zip(short, names, strict=True) if len(name) <= 14)


def wide(outs: int, ins: int):
    view = kernel_grid(normal(outs * ins, 3, 3).astype(np.float32))
    return replace(view, axes=(("out", outs), ("in", ins)), tile_label="out × in")


def test_kernels_are_outputs_down_and_inputs_across():
    ax = wide(8, 6).plot(Figure(figsize=(5, 5)).add_subplot())
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("out", "in")
    assert [label.get_text() for label in ax.get_xticklabels()] == list("012345")
    assert ax.format_coord(1, 1).startswith("out 0, in 0, y=0, x=0")


def test_of_more_kernels_than_can_be_seen_the_strongest_are_shown():
    view = wide(300, 300)
    view.tiles[7 * 300 + 250] = np.nan
    ax = view.plot()
    told = re.fullmatch(r"strongest first: (\d+) of 300 out × (\d+) of 300 in", footer_of(ax)[0])
    assert told is not None
    assert min(map(int, told.groups())) >= 40
    assert ax.format_coord(1, 1).startswith("out 7, in 250"), "what is not finite comes first"
    sums = np.nansum(view.tiles.reshape(300, 300, 9) ** 2, axis=(1, 2))
    second = int(ax.get_yticklabels()[1].get_text())
    assert sums[second] > np.median(sums)


@pytest.mark.parametrize("shape", [(512, 28, 28), (64, 56, 56), (12, 197, 197), (2048, 12, 12)])
def test_a_grid_has_a_pixel_for_each_value(shape):
    view = feature_map_grid(np.abs(normal(*shape)).astype(np.float32))
    ax = view.plot()
    assert max(ax.figure.get_size_inches()) <= 12
    ax.figure.canvas.draw()
    rows, columns = view.grid_shape
    box = ax.get_window_extent()
    assert box.height >= rows * shape[1]
    assert box.width >= columns * shape[2]


def test_every_value_of_a_grid_is_drawn_with_sharp_edges():
    tiles = np.random.default_rng(0).integers(0, 2, (4, 5, 5)).astype(float)
    ax = feature_map_grid(tiles).plot(Figure(figsize=(4, 4)).add_subplot(), colorbar=False, title="")
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].reshape(-1, 3)
    box = ax.get_window_extent()
    ends = [matplotlib.colormaps["viridis"](end, bytes=True)[:3] for end in (0.0, 1.0)]
    drawn = sum(int((picture == end).all(axis=1).sum()) for end in ends)
    assert drawn > 0.85 * box.width * box.height


@pytest.mark.parametrize("width", [3.3, 8.0])
def test_numbers_stand_in_cells_where_there_is_room(width):
    ax = similarity_view(np.full((12, 12), 0.98)).plot(figsize=(width, width))
    ax.figure.canvas.draw()
    texts = [text for text in ax.texts if text.get_text()]
    assert bool(texts) == (width > 4)
    boxes = [text.get_window_extent() for text in texts[:12]]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_history_begins_where_training_does():
    ax = history_view(np.abs(normal(3, 4)), [0, 50, 100, 150]).plot(Figure().add_subplot())
    assert ax.get_xlim() == (-0.5, 175)
    later = history_view(np.abs(normal(3, 2)), [100, 150]).plot(Figure().add_subplot())
    assert later.get_xlim() == (75, 175)


def test_lines_between_kernels_are_seen_in_the_dark():
    with matplotlib.style.context("dark_background"):
        ax = wide(256, 8).plot()
    assert {contrast(line.get_color(), ax.get_facecolor()) > 4.5 for line in ax.lines} == {True}


@pytest.mark.parametrize("kind", ["maps", "histogram", "maps side by side"])
def test_a_title_of_many_lines_makes_a_figure_higher(kind):
    short, long = (drawn(KINDS[kind](12, NAMES[names]), {}) for names in NAMES)
    assert short.get_figheight() + 0.15 < long.get_figheight()
    assert short.get_figwidth() == long.get_figwidth()


@pytest.mark.parametrize(
    "name", [NAMES["long"], "TransformerEncoderLayerWithResidualConnections{}", "norm_{}/residual_branch"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_titles_are_broken_between_words(kind, name):
    view = KINDS[kind](12, name)
    figure = drawn(view, LOOKS["panel"])
    given = "\n".join([view.title, *getattr(view, "titles", ())])
    for text in (*(ax.title for ax in figure.axes), figure._suptitle):
        lines = [] if text is None else text.get_text().split("\n")
        for one, other in pairwise(lines):
            is_within = one[-1:].isalnum() and other[:1].isalnum() and one[-3:] + other[:3] in given
            assert not is_within or (one[-1].islower() and other[0].isupper()), (one, other)


@pytest.mark.parametrize("width", [1.0, 1.3, 1.6, 2.0])
def test_words_are_kept_whole_before_the_parts_of_a_path_are(width):
    font = FontProperties(size="medium")
    lines = wrapped(
        "first differ at stage0.block5.conv / TransformerEncoder · 64 out × 8 in, 3 × 3",
        lambda line: text_width(line, font) <= width,
    ).split("\n")
    assert not [line for line in lines if line.endswith((" 64", " 8")) or line[:1] in "×/."]
    assert all(text_width(line, font) <= width for line in lines)
    assert " ".join(lines).split()[:3] == ["first", "differ", "at"]


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0.3, 3.0))
def test_numbers_are_parted_only_where_they_fit_nowhere(value, width):
    font = FontProperties(size="small")
    lines = wrapped(f"mean {number(value)}", lambda line: text_width(line, font) <= width).split("\n")
    assert number(value) in lines[-1] or text_width(number(value), font) > width


@pytest.mark.parametrize("width", [0.4, 0.7, 1.2, 3.0, 9.0])
@pytest.mark.parametrize("ends", [(-0.1, 0.1), (0.0, 1.0), (-3e4, 2e4), (0.331, 0.337)])
def test_an_axis_has_as_many_numbers_as_fit(width, ends):
    figure = Figure(figsize=(width + 2, 2))
    ax = figure.add_axes((1 / (width + 2), 0.4, width / (width + 2), 0.4))
    ax.set_xlim(*ends)
    fit_ticks(ax.xaxis)
    assert [fault for fault in faults(figure) if "overlap" in fault] == []
    shown = [text for text in ax.get_xticklabels() if text.get_text()]
    assert len(shown) >= min(2, width / 0.7)


def test_grids_side_by_side_show_the_same_tiles_where_there_is_no_room_for_all():
    faint, strong = (np.abs(normal(2048, 12, 12, seed=n)) * scale for n, scale in ((0, 1e-3), (1, 1.0)))
    faint[1234] *= 9
    axes = side_by_side(feature_map_grid(faint), feature_map_grid(strong)).plot(figsize=(3.3, 2.6))
    shown = [{ax.format_coord(x, 3).split(",")[0] for x in range(0, 200, 5)} for ax in axes]
    assert shown[0] == shown[1]
    assert axes[0].format_coord(1, 1).startswith("channel 1234"), "each counts by its own scale"


@pytest.mark.parametrize("kind", ["histograms side by side", "maps side by side", "maps that differ"])
def test_neighbours_say_once_what_they_have_in_common(kind):
    figure = drawn(KINDS[kind](12, NAMES["short"]), {})
    figure.canvas.draw()
    first, second = figure.axes[:2]
    assert first.get_ylabel()
    assert [text.get_text() for text in first.get_yticklabels() if text.get_visible()]
    assert not second.get_ylabel()
    assert not any(tick.label1.get_visible() for tick in second.yaxis.get_major_ticks())
    bars = figure.findobj(ColourBar)
    assert len(bars) == {"histograms side by side": 0, "maps side by side": 1, "maps that differ": 2}[kind]


@pytest.mark.parametrize("width", [2.3, 3.3, 7.0])
def test_views_side_by_side_lie_in_their_parts_of_the_figure(width):
    for kind in ("maps side by side", "maps that differ"):
        figure = drawn(KINDS[kind](300, NAMES["short"]), {"figsize": (width, 2.6)})
        figure.canvas.draw()
        boxes = [ax.get_window_extent() for ax in figure.axes]
        for one, other in combinations(boxes, 2):
            assert one.x1 < other.x0 or other.y1 < one.y0
        assert faults(figure) == []


def test_an_alarm_has_its_mark_where_layers_are_too_many_for_numbers():
    ax = KINDS["measures"](300, NAMES["short"]).plot(figsize=(3.3, 2.6))
    assert [text.get_text() for text in ax.texts] == ["▲"]


def test_of_many_markers_each_is_small():
    few, many = (
        [found.get_sizes()[0] for found in KINDS["comparison"](count, NAMES["short"]).plot().collections
         if "PathCollection" in type(found).__name__]
        for count in (12, 2048)
    )  # fmt: skip
    assert np.median(many) < np.median(few) / 2


def test_letters_of_a_pdf_are_no_drawings_and_those_of_an_svg_are_text(tmp_path):
    before = dict(matplotlib.rcParams)
    view = KINDS["histogram"](12, NAMES["short"])
    view.save(tmp_path / "view.pdf")
    view.save(tmp_path / "view.svg")
    data = (tmp_path / "view.pdf").read_bytes()
    for part in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            data += zlib.decompress(part)
        except zlib.error:
            continue
    assert b"/Type3" not in data
    assert b">kernel</text>" in (tmp_path / "view.svg").read_bytes()
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        view.save(tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == (tmp_path / "view.pdf").read_bytes()
