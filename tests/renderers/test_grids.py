"""A grid of maps is one image whose every pixel can be accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from netviz_core.renderer_api import NAN_COLOUR, NEGATIVE_INFINITY_COLOUR, POSITIVE_INFINITY_COLOUR
from netviz_core.views.mosaic import MosaicLayout, mosaic
from netviz_matplotlib.parts.colours import (
    ColourScale,
    scale_for,
)
from netviz_matplotlib.parts.style import Style

from .handmade import feature_map_grid, kernel_grid, normal
from .looks import as_without_green


def picture_of(view, **style):
    return view.plot(Figure().add_subplot(), **style).images[0].get_array()


def footer_of(ax):
    from matplotlib.offsetbox import AnnotationBbox, TextArea

    boxes = [artist for artist in ax.artists if isinstance(artist, AnnotationBbox)]
    return [area.get_text() for box in boxes for area in box.findobj(TextArea)]


@pytest.mark.parametrize("count", [1, 2, 7, 512, 2048])
def test_any_number_of_maps_is_one_image_in_one_axes(count):
    figure = Figure()
    ax = feature_map_grid(np.abs(normal(count, 6, 6))).plot(figure.add_subplot())
    assert len(ax.images) == 1
    assert figure.axes == [ax]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
    st.booleans(),
    st.data(),
)
def test_every_value_has_its_colour_in_its_place(shape, signed, data):
    elements = st.floats(-3 if signed else 0, 3, width=32)
    tiles = data.draw(arrays(np.float32, shape, elements=elements, fill=elements))
    view = (kernel_grid if signed else feature_map_grid)(tiles)
    picture = picture_of(view)
    layout = MosaicLayout.of(*shape, view.grid_shape)
    colours = scale_for(view.limits, Style()).rgba(tiles)
    seen = np.zeros(shape, int)
    for y, x in np.ndindex(picture.shape[:2]):
        place = layout.locate(y + 0.5, x + 0.5)
        if place is None:
            assert picture[y, x, 3] == 0, "gaps and unused cells are transparent"
        else:
            seen[place] += 1
            assert (picture[y, x] == colours[place]).all()
    assert (seen == layout.zoom**2).all()


def test_the_cursor_tells_the_tile_its_place_and_its_value():
    tiles = np.arange(4 * 9.0).reshape(4, 3, 3)
    ax = kernel_grid(tiles).plot(Figure().add_subplot())
    layout = MosaicLayout.of(4, 3, 3, (2, 2))
    y, x = layout.centre(1, 0)
    assert ax.format_coord(x, y) == "kernel 2, y=1, x=1: 22"
    assert ax.format_coord(3 * layout.zoom + layout.gap / 2, y) == ""
    assert ax.format_coord(-1, -1) == ""


def test_ticks_say_where_each_row_begins():
    ax = kernel_grid(normal(32, 3, 3)).plot(Figure(figsize=(6, 6)).add_subplot())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "8", "16", "24"]
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"+{n}" for n in range(8)]


def test_many_rows_are_labelled_sparsely_and_one_tile_not_at_all():
    many = kernel_grid(normal(2048, 3, 3)).plot(Figure().add_subplot())
    assert 2 <= len(many.get_yticks()) <= 10
    one = kernel_grid(normal(1, 3, 3)).plot(Figure().add_subplot())
    assert len(one.get_xticks()) == len(one.get_yticks()) == 0


def test_signed_values_are_diverging_and_others_sequential():
    assert scale_for((-1.0, 1.0), Style()).colormap.name == "RdBu_r"
    assert scale_for((0.0, 1.0), Style()).colormap.name == "viridis"
    assert scale_for((0.0, 1.0), Style.from_options({"cmap": "magma"})).colormap.name == "magma"


def test_values_that_are_not_finite_have_colours_and_counts_of_their_own():
    tiles = np.zeros((1, 1, 4))
    tiles[0, 0, 1:] = np.nan, np.inf, -np.inf
    ax = kernel_grid(tiles).plot(Figure().add_subplot())
    layout = MosaicLayout.of(1, 1, 4, (1, 1))
    shown = ax.images[0].get_array()[0, layout.zoom // 2 :: layout.zoom][1:4]
    expected = to_rgba_array([NAN_COLOUR, POSITIVE_INFINITY_COLOUR, NEGATIVE_INFINITY_COLOUR]) * 255
    assert (shown == np.round(expected)).all()
    assert footer_of(ax) == ["1 NaN", "1 +inf", "1 -inf"]
    assert footer_of(kernel_grid(np.zeros((1, 1, 4))).plot(Figure().add_subplot())) == []


@pytest.mark.parametrize("cmap", ["RdBu_r", "viridis"])
def test_those_colours_are_not_in_the_default_maps(cmap):
    import matplotlib

    palette = matplotlib.colormaps[cmap](np.linspace(0, 1, 256))[:, :3]
    marks = to_rgba_array([NAN_COLOUR, POSITIVE_INFINITY_COLOUR, NEGATIVE_INFINITY_COLOUR])[:, :3]
    for seen in (np.asarray, as_without_green):
        distances = np.linalg.norm(seen(palette)[:, None] - seen(marks)[None], axis=-1)
        assert distances.min() > 0.25
    apart = np.linalg.norm(as_without_green(marks)[:, None] - as_without_green(marks), axis=-1)
    assert apart[~np.eye(3, dtype=bool)].min() > 0.25


def test_colour_tiles_map_each_channel_from_the_limits():
    tiles = np.zeros((1, 1, 3, 3))
    tiles[0, 0, 0], tiles[0, 0, 1], tiles[0, 0, 2] = (-2, 0, 2), (2, -2, 1), (np.nan, 0, 0)
    view = kernel_grid(tiles)
    ax = view.plot(Figure().add_subplot())
    zoom = MosaicLayout.of(1, 1, 3, (1, 1)).zoom
    shown = ax.images[0].get_array()[0, ::zoom]
    assert shown[0].tolist() == [0, 128, 255, 255]
    assert shown[1].tolist() == [255, 0, 191, 255]
    assert shown[2].tolist() == [204, 0, 255, 255], "one NaN channel makes the pixel NaN"
    assert footer_of(ax) == ["1 NaN"]


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(width=64)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_float_lies_on_any_scale_in_order(values, one, other):
    low, high = sorted((one, other))
    assume(low < high)
    levels = ColourScale(low, high, scale_for((0, 1), Style()).colormap).levels(values)
    finite = np.isfinite(values)
    assert (np.diff(levels[finite][np.argsort(values[finite])].astype(int)) >= 0).all()
    assert (levels[values <= low] == 0).all()
    assert (levels[values >= high] == 255).all()


def test_a_large_mosaic_needs_little_more_memory_than_itself():
    import tracemalloc

    tiles = np.zeros((2048, 56, 56), np.float32)
    layout = MosaicLayout.of(*tiles.shape, (46, 45))
    scale = scale_for((0.0, 1.0), Style())
    tracemalloc.start()
    try:
        picture = mosaic(tiles, layout, scale.rgba)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * picture.base.nbytes


def test_a_grid_without_tiles_says_so():
    ax = kernel_grid(np.zeros((0, 3, 3))).plot(Figure().add_subplot())
    assert [text.get_text() for text in ax.texts] == ["no kernel to show"]
