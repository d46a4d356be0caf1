"""Two models layer by layer: errors in their places, the first divergence marked, its maps and weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

import netviz_core as nv
from netviz_core.comparing.telling.view import Comparison
from netviz_core.testing import example_model
from netviz_matplotlib.parts.colours import scale_for
from netviz_matplotlib.parts.style import Style

from ..comparisons import chain, comparison, pair, weights_apart, with_outputs
from .handmade import normal
from .test_charts import colour_bars
from .test_grids import footer_of
from .test_histories import picture_of

LONG = "backbone.encoder.stages.{0}.blocks.{1}.residual_branch.depthwise.pointwise"
FIRST = "#b2182b"


def dots(ax) -> dict[float, tuple[float, str, bool]]:
    """For each pair: how high it is drawn, its colour, and whether its marker is filled."""
    found = {}
    for collection in ax.collections:
        if "PathCollection" in type(collection).__name__:
            is_filled = len(collection.get_facecolor()) > 0
            colour = to_hex(collection.get_edgecolor()[0])
            found |= {float(x): (float(y), colour, is_filled) for x, y in collection.get_offsets()}
    return found


def ticks(ax) -> dict[str, float]:
    return dict(
        zip((label.get_text() for label in ax.get_yticklabels()), map(float, ax.get_yticks()), strict=True)
    )


def marks(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_errors_are_drawn_in_order_on_a_scale_of_powers_of_ten():
    found = chain(12, first=5)
    ax = found.plot()
    drawn = dots(ax)
    assert sorted(drawn) == list(range(12))
    for number, one in enumerate(found.pairs):
        assert drawn[number][0] == pytest.approx(np.log10(one.error))
    assert ticks(ax)["1e-4"] == -4
    assert ax.get_ylabel() == "max |a − b| / (rms + |b|)"
    assert [label.get_text() for label in ax.get_xticklabels()] == [one.path_a for one in found.pairs]


def test_zero_lies_below_all_powers_and_what_cannot_be_compared_above():
    ax = comparison(
        pair("x", error=0.0), pair("y", error=1e-6), pair("z", error=np.inf), pair("u", error=np.nan)
    ).plot()
    drawn, scale = dots(ax), ticks(ax)
    assert drawn[0][0] == scale["0"] < min(place for name, place in scale.items() if name.startswith("1e"))
    assert (
        drawn[2][0]
        == drawn[3][0]
        == scale["∞"]
        > max(place for name, place in scale.items() if name.startswith("1e"))
    )
    assert [drawn[number][2] for number in range(4)] == [True, True, False, False]
    assert "∞: cannot be compared" in footer_of(ax)
    low, high = ax.get_ylim()
    assert low < scale["0"]
    assert high > scale["∞"]
    assert not {"0", "∞"} & ticks(comparison(pair("x"), pair("y")).plot()).keys()


def test_the_tolerance_is_a_line_with_steps_where_it_changes():
    found = comparison(pair("x"), pair("y", tolerance=1e-2), pair("z", error=np.inf, tolerance=0.0))
    ax = found.plot()
    (line,) = (patch for patch in ax.patches if patch.get_linestyle() == "--")
    values, edges, _ = line.get_data()
    np.testing.assert_array_equal(edges, [-0.5, 0.5, 1.5, 2.5])
    np.testing.assert_allclose(values, [-4, -2, np.nan])
    assert "– – tolerated: 0.0001 to 0.01" in footer_of(ax)


def test_what_layers_were_given_is_joined_to_what_they_made_of_it():
    found = comparison(
        pair("x", error=1e-6, given=0.0), pair("y", error=1e-2, given=1e-6), pair("z", given=np.nan)
    )
    ax = found.plot()
    (lines,) = (found for found in ax.collections if "LineCollection" in type(found).__name__)
    zero = ticks(ax)["0"]
    drawn = [np.array(segment).tolist() for segment in lines.get_segments()]
    assert drawn == [[[0, zero], [0, -6]], [[1, -6], [1, -2]]]
    assert "given: how far their inputs are apart" in footer_of(ax)
    many = chain(150, 50).plot()
    assert not [found for found in many.collections if "LineCollection" in type(found).__name__]
    assert "given" not in " ".join(footer_of(many))


def test_the_first_divergence_is_marked_and_named():
    ax = chain(12, first=5).plot()
    assert marks(ax) == ["first: stage0.block5.conv"]
    ring = next(line for line in ax.lines if line.get_marker() == "o")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (5, pytest.approx(np.log10(0.03)))
    assert dots(ax)[5][1] == FIRST
    assert [number for number, (_, colour, _) in dots(ax).items() if colour == FIRST] == [5]
    assert footer_of(ax)[:3] == [
        "agrees: 5 (within the tolerance)",
        "differs: 1 (a difference begins here)",
        "propagates: 6 (passes on an earlier one)",
    ]
    agreed = chain(12).plot()
    assert marks(agreed) == []
    assert FIRST not in {colour for _, colour, _ in dots(agreed).values()}


def test_a_divergence_between_layers_is_marked_between_them():
    first = pair("", "permute", 0.5, evidence=("between layers",), status="differs")
    ax = comparison(pair("x"), pair("y", error=0.5), first=first).plot()
    assert marks(ax) == ["between: permute"]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_color() == FIRST] == [0.5]
    at_the_end = comparison(pair("x"), pair("y"), first=first).plot()
    assert [line.get_xdata()[0] for line in at_the_end.lines if line.get_color() == FIRST] == [1.5]


@pytest.mark.parametrize(("count", "first"), [(1, 0), (2, 1), (30, 0), (30, 29), (30, 12), (2000, 700)])
@pytest.mark.parametrize("name", ["conv{1}", LONG])
def test_all_words_are_whole_on_the_paper_and_apart_from_each_other(count, first, name):
    found = chain(count, first, name)
    ax = found.plot()
    FigureCanvasAgg(ax.figure).draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert min(box.y0 for box in boxes) >= 0
    for one, other in pairwise(boxes):
        assert one.x1 <= other.x0 + 1
    heights = sorted((label.get_window_extent() for label in ax.get_yticklabels()), key=lambda box: box.y0)
    for one, other in pairwise(heights):
        assert one.y1 <= other.y0 + 1
    (mark,) = ax.texts
    box, paper = mark.get_window_extent(), ax.figure.bbox
    assert box.x0 >= 0
    assert box.x1 <= paper.x1
    assert box.y1 <= paper.y1
    assert min(ax.get_window_extent().size) > 1.5 * ax.figure.dpi
    if count < 100:
        assert dots(ax).keys() == set(range(count))
    else:  # which share marks
        assert {0 <= place < count for place in dots(ax)} == {True}
        assert first in dots(ax)


def test_what_lies_under_the_cursor_is_told():
    found = comparison(pair("x"), pair("y", "z", 0.5, given=1e-7))
    ax = found.plot()
    told = "y of a (torch), z of b (keras): error 0.5, given 1e-07, tolerated 0.0001"
    assert ax.format_coord(1.2, 0) == told
    assert ax.get_xlabel() == "layers of a (torch), in order"
    assert ax.format_coord(2.6, 0) == ax.format_coord(-0.6, 0) == ""


def test_comparisons_are_drawn_side_by_side_and_into_an_axes_given():
    axes = nv.side_by_side(chain(3, 1), chain(4)).plot()
    assert [len(dots(ax)) for ax in axes] == [3, 4]
    assert axes[0].figure.axes[0] is axes[0]


def test_no_pairs_are_told():
    assert marks(comparison().plot()) == ["no pair of layers"]


def test_statuses_that_are_not_known_are_drawn_too():
    view = replace(chain(2), pairs=(pair("x", status="odd"), pair("y")))
    assert footer_of(view.plot())[:2] == ["odd: 1", "agrees: 1 (within the tolerance)"]


def real() -> Comparison:
    a, b = example_model(), example_model()
    b.layers["conv1"].parameters["kernel"][1, 0, 1, 1] += 1
    return nv.compare(a, b, normal(2, 1, 8, 8))


def test_a_real_comparison_is_drawn():
    ax = real().plot()
    assert marks(ax) == ["first: conv1"]
    assert dots(ax)[0][1] == FIRST
    assert ax.get_title().replace("\n", " ").startswith("netviz_core and netviz_core first differ at conv1")


def test_maps_have_one_scale_and_their_difference_its_own():
    a = np.abs(normal(1, 4, 5, 5))
    maps = with_outputs(a, a + (np.arange(4) == 2)[:, None, None]).feature_maps()
    axes = maps.plot()
    assert [ax.get_title() for ax in axes] == ["a: torch", "b: keras", "a − b, on its own scale"]
    bars = colour_bars(axes[0].figure)
    shared, own = ((bar.scale.low, bar.scale.high) for bar in bars)
    assert shared == pytest.approx(maps.a.limits)
    assert own == pytest.approx((-1, 1))
    assert [bar.get_ylabel() for bar in bars] == ["activation", "a − b"], "one for a and b"
    lowest, zero = scale_for((-1.0, 1.0), Style()).rgba(np.array([-1.0, 0.0]))
    drawn = [(picture_of(axes[2]) == colour).all(axis=-1).sum() for colour in (lowest, zero)]
    assert 3 * drawn[0] == drawn[1] > 0, "one tile of four differs"


def test_weights_are_drawn_over_each_other():
    a = normal(1000)
    view = weights_apart(a, a + 0.5).weight_histograms(bins=20)
    ax = view.plot()
    own, other = ax.patches
    np.testing.assert_array_equal(own.get_data().values, view.a.counts)
    np.testing.assert_array_equal(other.get_data().values, view.b.counts)
    np.testing.assert_array_equal(own.get_data().edges, other.get_data().edges)
    assert (own.get_fill(), other.get_fill()) == (True, False)
    assert footer_of(ax) == ["a: torch", "b: keras", "differ by 0.5 at most"]
    assert ax.get_ylim()[1] >= max(view.a.counts.max(), view.b.counts.max())


def test_pairs_of_weights_side_by_side_keep_their_own_axes():
    a = normal(1000)
    views = [weights_apart(a, a + apart).weight_histograms(bins=20) for apart in (0.5, 9.0)]
    axes = nv.side_by_side(*views).plot()
    assert [footer_of(ax)[-1] for ax in axes] == ["differ by 0.5 at most", "differ by 9 at most"]
    assert axes[0].get_xlim()[1] < axes[1].get_xlim()[1]


def test_weights_that_are_not_shown_are_counted():
    a = np.array([1.0, np.nan, np.inf, 2.0])
    ax = weights_apart(a, np.full(4, np.nan)).weight_histograms().plot()
    assert footer_of(ax)[:2] == ["a: torch (1 NaN, 1 infinite)", "b: keras (4 NaN)"]
    nothing = weights_apart(np.full(3, np.nan), np.full(3, np.nan)).weight_histograms().plot()
    assert marks(nothing) == ["no values within these bins"]
