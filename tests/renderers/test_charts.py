"""Histograms, heatmaps, and views side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from netviz_core import InputError, side_by_side
from netviz_matplotlib.parts.colour_bar import ColourBar

from .handmade import heatmap_view, histogram_view, kernel_grid, normal
from .test_grids import footer_of


def new_ax():
    return Figure().add_subplot()


def colour_bars(figure):
    return figure.findobj(ColourBar)


def heights(ax):
    return ax.patches[0].get_data().values


def test_a_histogram_shows_counts_mean_and_spread():
    view = histogram_view(normal(1000), bins=20)
    ax = view.plot(new_ax())
    assert (heights(ax) == view.counts).all()
    assert ax.lines[0].get_xdata()[0] == pytest.approx(view.mean)
    band = ax.patches[1]
    assert (band.get_x(), band.get_width()) == pytest.approx((view.mean - view.std, 2 * view.std))
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("kernel", "count", view.title)
    assert [note.split()[0] for note in footer_of(ax)] == ["mean", "std", "min", "max"]


def test_a_histogram_counts_what_is_not_finite():
    ax = histogram_view(np.array([1.0, 2.0, np.nan, np.inf, -np.inf])).plot(new_ax())
    assert footer_of(ax)[-2:] == ["1 NaN", "2 infinite"]


@pytest.mark.parametrize(
    ("values", "bins", "said"),
    [
        (np.full(3, np.nan), 50, "no finite values"),
        (np.zeros(0), 50, "no values"),
        (np.ones(3), [5.0, 6.0], "no values within these bins"),
    ],
)
def test_an_empty_histogram_says_why(values, bins, said):
    ax = histogram_view(values, bins=bins).plot(new_ax())
    assert [text.get_text() for text in ax.texts] == [said]


def test_an_axis_of_tiny_values_names_its_unit():
    ax = histogram_view(np.array([0.0, 5e-7])).plot(new_ax())
    assert ax.get_xlabel() == "kernel, in 1e-7"
    assert ax.get_xlim() == pytest.approx((-0.1, 5.1))


def test_a_heatmap_puts_rows_down_and_columns_across():
    view = heatmap_view(normal(10, 144))
    ax = view.plot(new_ax())
    assert ax.images[0].get_array().shape == (10, 144, 4)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("out (10)", "in (144)")
    assert ax.get_ylim() == (9.5, -0.5)
    assert ax.format_coord(3.2, 7.4) == f"out 7, in 3: {view.values[7, 3]:.4g}"
    assert ax.format_coord(-2, 0) == ""


def test_a_vector_has_no_rows_to_label():
    view = replace(heatmap_view(normal(1, 64)), row_axis="", column_axis="out")
    ax = view.plot(new_ax())
    assert (len(ax.get_yticks()), ax.get_ylabel(), ax.get_xlabel()) == (0, "", "out (64)")


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (300, 1), (10, 4096)])
def test_ticks_of_a_heatmap_are_whole_numbers(shape):
    ax = heatmap_view(normal(*shape)).plot(new_ax())
    assert all(float(tick).is_integer() for tick in (*ax.get_xticks(), *ax.get_yticks()))


def test_an_empty_heatmap_says_so():
    ax = heatmap_view(np.zeros((0, 5))).plot(new_ax())
    assert [text.get_text() for text in ax.texts] == ["no values: 0 × 5"]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_views_on_one_scale_have_one_colour_bar(count, renderer):
    view = side_by_side(*[kernel_grid(normal(16, 3, 3) * (i + 1)) for i in range(count)])
    axes = view.plot()
    assert len(axes) == count
    assert len(colour_bars(axes[0].figure)) == 1
    assert [ax.get_title().replace("\n", " · ") for ax in axes] == list(view.titles)


def test_views_on_different_scales_have_a_colour_bar_each():
    axes = side_by_side(kernel_grid(normal(4, 3, 3)), kernel_grid(normal(4, 3, 3, 3))).plot()
    assert len(colour_bars(axes[0].figure)) == 2


def test_histograms_with_the_same_bins_share_axes_and_keep_counts():
    views = [histogram_view(normal(500) * scale, bins=[-3, -1, 1, 3]) for scale in (0.5, 1.0)]
    one, other = side_by_side(*views).plot()
    assert one.get_ylabel() == "count"
    assert (heights(other) == views[1].counts).all()
    assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())


def test_histograms_with_other_bins_are_compared_as_densities():
    views = [histogram_view(normal(500)), histogram_view(normal(9000) * 5, bins=20)]
    one, other = side_by_side(*views).plot()
    assert (one.get_ylabel(), other.get_ylabel()) == ("density", ""), "what is the same is said once"
    for ax in (one, other):
        edges = ax.patches[0].get_data().edges
        assert (heights(ax) * np.diff(edges)).sum() == pytest.approx(1)
    widths = [np.diff(ax.patches[0].get_data().edges)[0] for ax in (one, other)]
    assert widths[0] == pytest.approx(widths[1], rel=0.1), "a narrow one does not look more ragged"
    assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())


def test_one_axes_is_divided_and_no_figure_made():
    import matplotlib.pyplot as plt

    ax = new_ax()
    panels = side_by_side(*[kernel_grid(normal(4, 3, 3))] * 3, titles=["a", "b", "c"]).plot(ax)
    assert [panel in ax.child_axes for panel in panels] == [True] * 3
    assert ax.get_title() != ""
    assert plt.get_fignums() == []


def test_one_axes_for_each_view_is_used_as_it_is():
    axes = Figure().subplots(1, 2)
    drawn = side_by_side(*[kernel_grid(normal(4, 3, 3))] * 2).plot(axes)
    assert list(drawn) == list(axes)
    assert [len(ax.images) for ax in axes] == [1, 1]


@pytest.mark.parametrize("ax", ["ax", [], Figure(), [None, None], 3])
def test_anything_else_is_no_place_to_draw(ax):
    view = kernel_grid(normal(4, 3, 3))
    with pytest.raises(InputError, match="matplotlib Axes"):
        side_by_side(view, view).plot(ax)
    with pytest.raises(InputError, match="matplotlib Axes"):
        view.plot(ax)


def test_the_wrong_number_of_axes_is_told():
    view = kernel_grid(normal(4, 3, 3))
    with pytest.raises(InputError, match=r"a ndarray of 3; give one .* sequence of 2"):
        side_by_side(view, view).plot(Figure().subplots(1, 3))
