"""Pictures with heat over them: what is blended, where captions go, and what gives way."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from netviz_core import side_by_side
from netviz_matplotlib.parts.captions import Captions

from .gallery import LOOKS, NAMES, losses_of
from .handmade import in_colour, losses_view, normal, overlays_view
from .test_charts import colour_bars
from .test_grids import footer_of


def pictures(count: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(count, height, width, 3)).astype(np.float32)


def heat(count: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(count, height, width)).astype(np.float32)


def colours_at(view, *place: int) -> np.ndarray:
    """The colour drawn for one pixel of one picture."""
    ax = view.plot(Figure(figsize=(6, 6)).add_subplot())
    shown = ax.images[0].get_array()
    number, y, x = place
    for row, column in np.argwhere(shown[..., 3] > 0):
        if ax.format_coord(column + 0.5, row + 0.5).startswith(f"picture {number}, y={y}, x={x}"):
            return shown[row, column]
    raise AssertionError("the pixel is not drawn")


def drawn_captions(view, size: tuple[float, float], monkeypatch) -> list[tuple[str, object]]:
    """What is written, and where, when a figure of this size is drawn."""
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    view.plot(figure.add_axes((0, 0, 1, 0.9)), title="", colorbar=False)
    written, draw, draw_all = [], Text.draw, Captions.draw

    def draw_and_note(text, renderer):
        written.append((text.get_text(), text.get_window_extent(renderer)))
        draw(text, renderer)

    def draw_all_and_note(captions, renderer):
        with monkeypatch.context() as patched:
            patched.setattr(Text, "draw", draw_and_note)
            draw_all(captions, renderer)

    with monkeypatch.context() as patched:
        patched.setattr(Captions, "draw", draw_all_and_note)
        figure.draw_without_rendering()
    return written


def test_no_heat_leaves_a_picture_as_it_is_and_much_heat_colours_it():
    images, cold = pictures(2), np.zeros((2, 8, 8), np.float32)
    hot = cold.copy()
    hot[1, 2, 3] = 1.0
    own = np.round(images[1, 2, 3] * 255).tolist()
    assert colours_at(overlays_view(images, None), 1, 2, 3)[:3].tolist() == own
    assert colours_at(overlays_view(images, cold), 1, 2, 3)[:3].tolist() == own
    yellow = colours_at(overlays_view(None, hot), 1, 2, 3)[:3]
    blended = colours_at(overlays_view(images, hot), 1, 2, 3)[:3]
    grey = images[1, 2, 3] @ (0.299, 0.587, 0.114)
    np.testing.assert_allclose(blended, 0.3 * grey * 255 + 0.7 * yellow, atol=1)


def test_heat_looks_the_same_over_hues_of_one_luminance():
    images, heat = np.zeros((1, 1, 2, 3), np.float32), np.ones((1, 1, 2), np.float32)
    images[0, 0, 0, 0], images[0, 0, 1] = 1.0, 0.299  # red, and its grey
    view = overlays_view(images, heat)
    red, grey = (colours_at(view, 0, 0, place)[:3].astype(int) for place in (0, 1))
    np.testing.assert_allclose(red, grey, atol=1)


def test_the_colour_bar_shows_heat_as_it_looks_over_grey():
    grey, levels = np.full((1, 1, 256, 3), 0.5, np.float32), np.linspace(0, 1, 256)[np.newaxis, np.newaxis]
    bar = colour_bars(overlays_view(grey, levels).plot(Figure().add_subplot()).figure)[0]
    assert (bar.scale.low, bar.scale.high) == (0.0, 1.0)
    for level in (0, 100, 255):
        seen = colours_at(overlays_view(grey, levels), 0, 0, level)
        np.testing.assert_allclose(seen[:3], bar.scale.palette[level, :3], atol=1)


def test_pictures_alone_need_no_colour_bar():
    ax = overlays_view(pictures(2), None).plot(Figure().add_subplot())
    assert colour_bars(ax.figure) == []


def test_the_cursor_tells_picture_place_and_heat():
    view = overlays_view(pictures(4), heat(4))
    ax = view.plot(Figure(figsize=(6, 6)).add_subplot())
    told = {ax.format_coord(x, y) for x in range(0, 280, 4) for y in range(0, 400, 4)}
    assert f"picture 3, y=7, x=7: {view.heat[3, 7, 7]:.4g}" in told
    assert "" in told
    assert {text.split(",")[0] for text in told} == {"", *(f"picture {number}" for number in range(4))}


@pytest.mark.parametrize("count", [1, 5, 64, 2000])
def test_any_number_of_pictures_is_one_image(count):
    ax = overlays_view(pictures(count), heat(count)).plot()
    assert len(ax.images) == 1
    assert len([artist for artist in ax.artists if isinstance(artist, Captions)]) == (count < 2000)
    assert ("too many pictures for captions" in footer_of(ax)) == (count == 2000)


@pytest.mark.parametrize("size", [(2, 2), (4, 8), (7, 4), (14, 10)])
@pytest.mark.parametrize("count", [1, 4, 9, 30])
@pytest.mark.parametrize(
    "caption", ["3 / 5\n2.31 / 0.10", "Scottish deerhound / German short-haired pointer\n9"]
)
def test_captions_never_touch_one_another_whatever_the_size(size, count, caption, monkeypatch):
    view = overlays_view(pictures(count, 20, 30), None, [caption] * count)
    boxes = [box for _, box in drawn_captions(view, size, monkeypatch)]
    assert boxes or (count == 30 and size in [(2, 2), (7, 4)]), (
        "captions are given up only where pictures are tiny"
    )
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
            assert apart, "captions overlap"


def test_a_long_caption_is_broken_and_its_longest_name_is_cut(monkeypatch):
    name = "black-and-tan coonhound of an uncommonly long description indeed"
    view = overlays_view(pictures(4, 20, 20), None, [f"daisy / {name}\n1.20 / 0.05"] * 4)
    lines = [text for text, _ in drawn_captions(view, (7, 3), monkeypatch)][:3]
    assert lines[::-1][0] == "daisy /"
    assert lines[::-1][1].startswith("black-and-tan")
    assert lines[::-1][1].endswith("…")
    assert lines[::-1][2] == "1.20 / 0.05"


def test_an_enlarged_axes_shows_more_of_a_caption(monkeypatch):
    view = overlays_view(pictures(30, 20, 20), None, ["a name that is long / another one\n1"] * 30)
    small, large = (
        max(len(text) for text, _ in drawn_captions(view, size, monkeypatch)) for size in [(6, 7), (9, 10)]
    )
    assert small < large


def test_numbers_stand_in_for_captions_that_are_not_there():
    ax = overlays_view(pictures(12), None, [""] * 12).plot(Figure(figsize=(6, 6)).add_subplot())
    assert (ax.get_ylabel(), len(ax.get_yticks())) == ("picture", 3)
    assert footer_of(ax) == []


def test_heat_that_is_not_a_number_is_marked_and_counted():
    spoiled = heat(1)
    spoiled[0, 0, 0] = np.nan
    view = overlays_view(pictures(1), spoiled)
    assert colours_at(view, 0, 0, 0).tolist() == [204, 0, 255, 255]
    assert footer_of(view.plot(Figure().add_subplot())) == ["1 NaN"]


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (16, 640)])
def test_long_pictures_are_not_mere_lines(shape):
    ax = overlays_view(pictures(3, *shape), heat(3, *shape)).plot()
    FigureCanvasAgg(ax.figure).draw()
    box = ax.get_window_extent()
    assert 0.15 < box.width / box.height < 7


def test_large_pictures_are_drawn_smaller_and_still_found_by_the_cursor():
    view = overlays_view(pictures(48, 480, 640), None)
    ax = view.plot(Figure(figsize=(7, 7)).add_subplot())
    assert ax.images[0].get_array().size < 4 * 2**23
    right, bottom = ax.get_xlim()[1], ax.get_ylim()[0]
    places = [ax.format_coord(right - 1.5, y) for y in np.arange(0.5, bottom)]
    assert ax.images[0].get_array().shape[1] < 640 * 6
    assert any(place.startswith("picture 6, y=47") and int(place.split("x=")[1]) > 630 for place in places)


def test_no_pictures_at_all_are_told():
    ax = overlays_view(np.zeros((0, 8, 8, 3)), None, []).plot(Figure().add_subplot())
    assert [text.get_text() for text in ax.texts] == ["no pictures to show"]


def texts_of(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_losses_without_pictures_are_a_table():
    ax = losses_view(np.array([9.5, 2.0])).plot()
    said = texts_of(ax)
    assert {"example", "loss", "prediction", "actual", "probability", "text"} < set(said)
    assert said[:3] == ["example", "0", "7"]
    assert {"9.500", "2.000", "cat", "dog", "0.250", "a film that begins well"} < set(said)


def test_columns_that_say_nothing_are_left_out():
    ax = losses_view(np.array([9.5]), text="").plot(Figure().add_subplot())
    assert "text" not in texts_of(ax)


def test_a_table_says_what_was_confused_most():
    ax = losses_view(normal(3)).plot()
    assert footer_of(ax)[:2] == ["most confused:", "dog → cat (12)"]
    pictured = losses_view(normal(3), images=in_colour(np.abs(normal(3, 8, 8)) / 9)).plot()
    assert footer_of(pictured)[:2] == ["most confused:", "dog → cat (12)"]


@pytest.mark.parametrize("size", [(3.5, 3), (8, 4), (12, 9)])
def test_texts_of_a_table_stay_in_their_columns(size):
    long = "a film that begins well, " * 40
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    ax = losses_view(normal(6), text=long).plot(figure.add_axes((0.02, 0.2, 0.96, 0.7)), title="")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = (
                one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 + 1 or other.y1 <= one.y0 + 1
            )
            assert apart, "texts overlap"
    # Letters are moved to whole pixels when they are drawn.
    assert max(box.x1 for box in boxes) <= 1.02 * max(ax.get_window_extent().x1, figure.dpi * 5)
    assert any(text.endswith("…") for text in texts_of(ax))


def test_rows_without_room_are_counted():
    ax = losses_view(normal(200)).plot()
    shown = sum(text.isdigit() for text in texts_of(ax))
    assert 10 < shown < 60
    assert footer_of(ax)[0] == f"and {200 - shown:,} more, see .rows"


def test_no_losses_are_told():
    ax = losses_view(np.zeros(0)).plot(Figure().add_subplot())
    assert texts_of(ax) == ["no examples to show"]


def test_views_with_heat_stand_side_by_side_with_one_colour_bar():
    views = [overlays_view(pictures(4), heat(4)) for _ in range(2)]
    axes = side_by_side(*views, titles=["before", "after"]).plot()
    assert len(colour_bars(axes[0].figure)) == 1


@pytest.mark.parametrize("look", ["panel", "column"])
def test_a_narrow_table_of_losses_leaves_columns_out_before_its_letters_are_too_small(look):
    ax = losses_of(12, NAMES["long"]).plot(**LOOKS[look])
    assert min(text.get_fontsize() for text in ax.texts) >= 5
    told = " ".join(footer_of(ax))
    assert "text" in told.partition("no room for ")[2]
    assert {"loss", "prediction", "actual"} <= {text.get_text() for text in ax.texts}
    assert "no room" not in " ".join(footer_of(losses_of(12, NAMES["long"]).plot()))
