"""What a figure leaves out is said in it, and outliers do not hide what they lie beside."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing.reference import Conv2d, Dense, Model
from netviz_core.views.tiles import fullest_grid

NORMAL = np.random.default_rng(0).normal(size=(40, 20))


def wide() -> Model:
    return Model(conv=Conv2d(kernel=np.ones((6, 4, 3, 3), "float32"), bias=np.zeros(6, "float32")))


def of_values(values: np.ndarray) -> Model:
    return Model(dense=Dense(kernel=values, bias=np.zeros(len(values))))


def test_a_limit_and_a_channel_are_in_the_title():
    assert nv.kernels(wide(), "conv", limit=5).title.endswith("the first 5 of 24 kernels")
    assert "input channel 2 of 4" in nv.kernels(wide(), "conv", channel=-2).title
    assert "first" not in nv.kernels(wide(), "conv", limit=24).title


def test_a_sample_is_in_the_title_where_there_are_several():
    x = np.ones((3, 4, 8, 8), "float32")
    assert nv.feature_maps(wide(), "conv", x, sample=-1, limit=2).title.endswith(
        "the first 2 of 6 maps · sample 2 of 3"
    )
    assert "sample" not in nv.feature_maps(wide(), "conv", x[:1]).title


def test_kernels_are_outputs_by_inputs():
    view = nv.kernels(wide(), "conv")
    assert (view.axes, view.grid_shape, view.group) == ((("out", 6), ("in", 4)), (6, 4), 4)
    many = Model(conv=Conv2d(kernel=np.ones((64, 2, 3, 3), "float32"), bias=np.zeros(64, "float32")))
    rows, columns = nv.kernels(many, "conv").grid_shape
    assert rows * columns >= 128
    assert columns % 2 == 0, "the inputs of an output stay together"


@pytest.mark.parametrize(
    ("count", "grid"), [(32, (4, 8)), (1, (1, 1)), (0, (0, 0)), (12, (3, 4)), (512, (23, 23))]
)
def test_few_places_of_a_grid_are_empty(count, grid):
    assert fullest_grid(count, 3, 3) == grid


def test_histograms_say_how_many_weights_they_do_not_show():
    view = nv.histograms(nv.testing.example_model())
    assert view.title == "2 kernels · 2 other weights not shown"
    assert nv.histograms(nv.testing.example_model(), weight="*").title == "4 weights"
    assert nv.histograms(nv.testing.example_model(), weight="b*").value_label == "weight"


def test_an_outlier_leaves_more_than_one_bar():
    values = NORMAL.copy()
    values[0, 0] = 1e6
    view = nv.histogram(of_values(values), "dense")
    assert (view.counts > 0).sum() > 20
    assert (view.outside_count, view.maximum) == (1, 1e6)
    assert view.counts.sum() == values.size - 1
    assert nv.histogram(of_values(values), "dense", limits="all").outside_count == 0
    rows = nv.histograms(of_values(values))
    assert rows.outside_counts.tolist() == [1]


def test_rows_do_not_mix_zeros_with_what_is_below_zero():
    values = NORMAL.copy()
    values[values < 0] *= 0.31
    zeros = np.where(values < 0, 0.0, values)
    rows = nv.histograms({"a.weight": values, "b.weight": zeros})
    (zero,) = np.flatnonzero(rows.edges == 0)
    assert rows.counts[0, :zero].sum() == (values < 0).sum()
    assert rows.counts[1, :zero].sum() == 0


def test_values_without_outliers_are_all_counted():
    view = nv.histogram(of_values(NORMAL), "dense")
    assert (view.outside_count, view.edges[0], view.edges[-1]) == (0, NORMAL.min(), NORMAL.max())
    narrow = nv.histogram(of_values(NORMAL), "dense", limits=(-1, 1))
    assert (narrow.edges[0], narrow.edges[-1]) == (-1, 1)
    assert narrow.outside_count == (abs(NORMAL) > 1).sum()


@pytest.mark.parametrize("limits", [(1, 1), (0, float("nan")), "most", 3, (1, 2, 3)])
def test_limits_that_are_none_are_refused(limits):
    with pytest.raises(nv.InputError, match="limits="):
        nv.histogram(of_values(NORMAL), "dense", limits=limits)
