"""The figure of a comparison explains itself: by shapes and words, in dark styles, in one column, with many faults."""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.text import Text

from netviz_core.comparing.telling.findings import Fault
from netviz_core.comparing.telling.view import Comparison
from netviz_core.comparing.telling.wording import meaning_of

from ..comparisons import chain, comparison, pair
from .handmade import comparison_view
from .looks import faults
from .test_comparison import LONG, marks, ticks
from .test_grids import footer_of
from .test_measures import contrast

STATUSES = ["agrees", "differs", "propagates", "compensated", "rounding", "weights", "gradient", "suspicion"]


def drawn(view: Comparison, **style):
    ax = view.plot(**style)
    ax.figure.canvas.draw()
    return ax


def markers(ax) -> list:
    return [found for found in ax.collections if "PathCollection" in type(found).__name__]


def with_faults(count: int, *numbers: int, name: str = "stage{0}.conv{1}") -> Comparison:
    pairs = [
        pair(
            name.format(number // 10, number),
            error=0.03 if number >= numbers[0] else 1e-7,
            status="differs" if number in numbers else "propagates" if number > numbers[0] else "agrees",
        )
        for number in range(count)
    ]
    return comparison(*pairs, faults=tuple(Fault(pairs[number], ()) for number in numbers), causes=())


def test_each_status_has_a_marker_and_a_meaning_of_its_own():
    ax = drawn(comparison(*(pair(status, error=0.01, status=status) for status in STATUSES)))
    shapes = {found.get_paths()[0].vertices.round(3).tobytes() for found in markers(ax)}
    assert len(shapes) == len(STATUSES)
    words = " ".join(footer_of(ax)).replace("\n", " ")
    for status in STATUSES:
        assert f"{status}: 1 ({meaning_of(status)})" in words


def test_the_statuses_of_the_docs_are_those_with_a_meaning():
    from netviz_core.comparing.telling.findings import LayerPair

    for status in STATUSES:
        assert f"``{status}``" in LayerPair.__doc__


@pytest.mark.parametrize("size", [None, (3.3, 2.6)])
@pytest.mark.parametrize("count", [300, 2048])
def test_many_layers_share_marks_of_which_each_is_seen(count, size):
    errors = 10.0 ** np.linspace(-8, 0, count)
    statuses = [STATUSES[number % 4] for number in range(count)]
    ax = drawn(
        comparison(
            *(pair(f"conv{n}", error=float(errors[n]), status=statuses[n]) for n in range(count)),
            first=pair("conv1", error=float(errors[1]), status="differs"),
        ),
        **({} if size is None else {"figsize": size}),
    )
    ax.figure.canvas.draw()
    places = np.concatenate([found.get_offsets() for found in markers(ax)])
    sizes = np.concatenate([np.full(len(found.get_offsets()), found.get_sizes()[0]) for found in markers(ax)])
    pixels, radius = ax.transData.transform(places), np.sqrt(sizes) / 2 / 72 * ax.figure.dpi
    order = np.argsort(pixels[:, 0])
    apart = np.hypot(*np.diff(pixels[order], axis=0).T)
    hidden = apart < 0.7 * np.maximum(radius[order][1:], radius[order][:-1])
    assert np.count_nonzero(hidden) <= 2, "a mark hides another"
    (shared,) = (words for words in footer_of(ax) if "share marks" in words)
    together = int(shared.split()[0].replace(",", ""))
    lines = [found for found in ax.collections if "LineCollection" in type(found).__name__]
    assert len(lines) == 4
    (low, high), *_ = (segment[:, 1] for segment in lines[0].get_segments())
    agreeing = np.log10(errors[:together:4])
    np.testing.assert_allclose([low, high], [agreeing.min(), agreeing.max()])


def test_every_line_of_the_plane_is_explained():
    errors = [0.0, 1e-7, 1e-3, np.inf]
    broken = drawn(comparison(*(pair(f"l{n}", error=error) for n, error in enumerate(errors))))
    for plane, breaks in ((drawn(with_faults(12, 5)), 0), (broken, 2)):
        connected = [line for line in plane.lines if line.get_linestyle() != "None"]
        assert all(len(set(line.get_xdata())) == 1 for line in connected), (
            "lines lead up to names, none across"
        )
        assert len([line for line in plane.lines if line.get_transform() != plane.transData]) == breaks


def test_what_agrees_has_no_empty_plane_above_what_is_tolerated():
    ax = drawn(comparison(*(pair(f"layer{number}", error=0.0, given=0.0) for number in range(8))))
    assert max(place for name, place in ticks(ax).items() if name.startswith("1e")) == -4
    (ground,) = (found for found in ax.collections if "FillBetween" in type(found).__name__)
    assert ground.get_datalim(ax.transData).y1 == pytest.approx(-4)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_lines_and_markers_have_a_contrast_of_three_and_words_of_four_and_a_half(style):
    with plt.style.context(style):
        view = comparison(*(pair(status, error=0.01, status=status) for status in STATUSES))
        ax = drawn(view)
        ground = np.array(to_rgba(ax.get_facecolor())[:3])
        for text in ax.figure.findobj(Text):
            if text.get_text() and text.get_visible():
                assert contrast(text.get_color(), ground) >= 4.5, text.get_text()
        (tolerance,) = (patch for patch in ax.patches if patch.get_linestyle() == "--")
        lines = [tolerance.get_edgecolor(), *(line.get_color() for line in ax.lines)]
        for colour in (*lines, *(found.get_edgecolor()[0] for found in markers(ax))):
            *rgb, alpha = to_rgba(colour)
            assert contrast(np.array(rgb) * alpha + ground * (1 - alpha), ground) >= 3, colour


@pytest.mark.parametrize("count", [60, 300])
def test_every_fault_is_named_where_there_is_room(count):
    numbers = [5, count // 2, count // 2 + 1, count - 4]
    ax = drawn(with_faults(count, *numbers))
    names = [f"stage{number // 10}.conv{number}" for number in numbers]
    assert marks(ax) == [f"first: {names[0]}", *names[1:]]
    assert overlaps(ax) == 0


def test_faults_that_have_no_room_for_a_name_are_counted():
    ax = drawn(with_faults(300, *range(100, 160)))
    named = len(marks(ax))
    assert 2 < named < 20
    assert f"no room for the names of {60 - named} more" in footer_of(ax)
    assert overlaps(ax) == 0


def overlaps(ax) -> int:
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    return sum(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("size", [(3.3, 2.8), (3.3, 4)])
@pytest.mark.parametrize("name", ["conv{1}", LONG])
@pytest.mark.parametrize("count", [1, 12, 60, 300])
def test_words_stay_on_the_paper_in_a_column_of_a_journal(size, name, count):
    ax = drawn(with_faults(count, count // 3, name=name), figsize=size)
    paper = ax.figure.bbox
    for text in ax.figure.findobj(Text):
        if text.get_text() and text.get_visible():
            box = Text.get_window_extent(text)
            assert box.x0 >= paper.x0 - 1, text.get_text()
            assert box.x1 <= paper.x1 + 1, text.get_text()
            assert box.y0 >= paper.y0 - 1, text.get_text()
            assert box.y1 <= paper.y1 + 1, text.get_text()
    assert min(ax.get_window_extent().size) > 0.55 * ax.figure.dpi


def test_names_of_faults_stay_apart_however_short():
    ax = drawn(with_faults(60, 10, 30, 50, name=LONG), figsize=(6, 4))
    assert len(set(marks(ax))) == len(marks(ax)) >= 2


def test_a_comparison_without_faults_names_none():
    assert marks(drawn(chain(12))) == []


@pytest.mark.parametrize("size", [(7, 5), (3.3, 2.6), (2.3, 2.0)])
@pytest.mark.parametrize("lowest", [-9.0, -3.4])
def test_zero_and_infinity_have_their_places_beside_the_powers_of_ten(size, lowest):
    errors = np.concatenate([[0.0, np.inf], 10.0 ** np.linspace(lowest, -2.1, 40)])
    ax = comparison_view(errors).plot(figsize=size)
    assert faults(ax.figure) == []
    told = [text.get_text() for text in ax.get_yticklabels()]
    assert told[-2:] == ["0", "∞"]
    assert len(told) > 2
    assert [ax.get_ylim()[0] < place < ax.get_ylim()[1] for place in ax.get_yticks()] == [True] * len(told)
