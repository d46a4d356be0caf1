"""Views are complete, and right, before anything is drawn."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import netviz_core as nv
from netviz_core.testing.reference import Conv2d, Dense, Model, example_model
from netviz_core.views.histogram import histogram_of
from netviz_core.views.tiles import squarest_grid

ANY_FLOATS = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(max_dims=2, max_side=12),
    elements=st.floats(width=32),
)


def conv(kernel: np.ndarray) -> Model:
    example_model()
    return Model(conv=Conv2d(kernel=kernel, bias=np.zeros(len(kernel))))


def test_kernels_are_out_major_slices():
    kernel = np.random.default_rng(0).normal(size=(4, 2, 3, 5))
    view = nv.kernels(conv(kernel), "conv")
    np.testing.assert_array_equal(view.tiles, kernel.reshape(8, 3, 5))
    assert view.limits == (-abs(kernel).max(), abs(kernel).max())
    assert view.title == "conv · conv2d · 4 out × 2 in, 3 × 5"
    np.testing.assert_array_equal(nv.kernels(conv(kernel), "conv", channel=1).tiles, kernel[:, 1])
    np.testing.assert_array_equal(
        nv.kernels(conv(kernel), "conv", limit=3).tiles, kernel.reshape(8, 3, 5)[:3]
    )


def test_three_input_channels_are_colours_unless_asked_otherwise():
    kernel = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    view = nv.kernels(conv(kernel), "conv")
    assert view.is_rgb
    np.testing.assert_array_equal(view.tiles, kernel.transpose(0, 2, 3, 1))
    assert nv.kernels(conv(kernel), "conv", rgb=False).tiles.shape == (12, 5, 5)
    assert nv.kernels(conv(kernel), "conv", channel=2).tiles.shape == (4, 5, 5)


def test_views_do_not_change_with_the_model():
    kernel = np.ones((2, 1, 3, 3))
    network = conv(kernel)
    before = nv.kernels(network, "conv"), nv.heatmap(network, "conv")
    kernel[:] = 7
    assert before[0].tiles.max() == 1
    assert before[1].values.max() == 1


def test_feature_maps_show_one_sample_channel_by_channel():
    x = np.random.default_rng(0).normal(size=(3, 1, 8, 8))
    network = example_model()
    captured = nv.capture(network, x)
    view = nv.feature_maps(network, "conv1", x, sample=-1)
    np.testing.assert_array_equal(view.tiles, captured["conv1"].values[2])
    np.testing.assert_array_equal(nv.feature_maps(captured, "conv1", sample=2).tiles, view.tiles)
    assert view.limits[0] == -view.limits[1]
    positive = nv.feature_maps(example_model(), "conv1", abs(x) * 0)
    assert positive.limits == (0.0, 1.0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: nv.kernels(m, "dense1"), nv.UnsupportedError, "heatmap"),
        (lambda m: nv.kernels(m, ""), nv.UnsupportedError, "layers that have one: 'conv1', 'dense1'"),
        (lambda m: nv.kernels(m, "conv1", weight="scale"), nv.UnsupportedError, "it has 'kernel', 'bias'"),
        (
            lambda m: nv.kernels(m, "conv1", channel=5),
            nv.InputError,
            "there is 1 input channel, counted from 0",
        ),
        (lambda m: nv.kernels(m, "conv1", limit=0), nv.InputError, "positive"),
        (lambda m: nv.kernels(m, "conv1", rgb=True), nv.InputError, "three input channels"),
        (lambda m: nv.kernels(m, "conv9"), nv.LayerNotFoundError, "did you mean 'conv1'"),
        (lambda m: nv.histogram(m, "conv1", bins=0), nv.InputError, "bins=0"),
        (lambda m: nv.histogram(m, "conv1", bins=[1, 0]), nv.InputError, "increasing"),
        (lambda m: nv.histogram(m, "conv1", bins="many"), nv.InputError, "many"),
        (lambda m: nv.feature_maps(m, "conv1"), nv.InputError, "no input was given"),
        (lambda m: nv.feature_maps(m, "conv1", np.ones((1, 1, 8, 8)), sample=3), nv.InputError, "1 entries"),
        (lambda m: nv.feature_maps(m, "dense1", np.ones((1, 1, 8, 8))), nv.AxisError, "no images"),
        (lambda m: nv.side_by_side(), nv.InputError, "nothing"),
        (lambda m: nv.side_by_side(m), nv.InputError, "Model"),
        (lambda m: nv.side_by_side(nv.kernels(m, "conv1"), nv.histogram(m, "conv1")), nv.InputError, "kind"),
        (lambda m: nv.side_by_side(nv.kernels(m, "conv1"), titles=["a", "b"]), nv.InputError, "one title"),
    ],
)
def test_what_cannot_be_shown_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call(example_model())


def test_side_by_side_shares_one_scale_centred_on_zero():
    small, large = conv(np.full((1, 1, 2, 2), 0.5)), conv(np.full((1, 1, 2, 2), -2.0))
    view = nv.side_by_side(nv.kernels(small, "conv"), nv.kernels(large, "conv"), titles=["small", "large"])
    assert [part.limits for part in view.views] == [(-2.0, 2.0)] * 2
    assert nv.kernels(small, "conv").limits == (-0.5, 0.5)


def test_a_heatmap_is_out_by_everything_else():
    kernel = np.random.default_rng(0).normal(size=(4, 2, 3, 5))
    view = nv.heatmap(conv(kernel), "conv")
    np.testing.assert_array_equal(view.values, kernel.reshape(4, 30))
    assert (view.row_axis, view.column_axis) == ("out", "in·y·x")
    bias = nv.heatmap(conv(kernel), "conv", weight="bias")
    assert bias.values.shape == (1, 4)
    assert (bias.row_axis, bias.column_axis) == ("", "out")


def test_nonfinite_values_are_counted():
    kernel = np.array([np.nan, np.inf, -np.inf, 2.0]).reshape(1, 1, 2, 2)
    for view in (nv.kernels(conv(kernel), "conv"), nv.heatmap(conv(kernel), "conv")):
        assert (view.nan_count, view.inf_count, view.limits) == (1, 2, (-2.0, 2.0))
    found = nv.histogram(conv(kernel), "conv")
    assert (found.nan_count, found.inf_count, found.counts.sum()) == (1, 2, 1)
    assert (found.mean, found.minimum, found.maximum) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e308, -1e308, 5e-324, 1.0])
def test_degenerate_weights_have_finite_increasing_scales(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = conv(np.full((2, 1, 3, 3), value))
        low, high = nv.kernels(network, "conv").limits
        found = nv.histogram(network, "conv")
    assert -math.inf < low < high < math.inf
    assert np.isfinite(found.edges).all()
    assert (np.diff(found.edges) > 0).all()
    assert found.counts.sum() == (18 if np.isfinite(value) else 0)


@given(ANY_FLOATS, st.integers(1, 60))
def test_a_histogram_counts_every_finite_value(values, bins):
    found = histogram_of(values, "any", "any", bins)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert found.counts.sum() == finite.size
    assert found.counts.sum() + found.nan_count + found.inf_count == values.size
    assert len(found.edges) == bins + 1
    assert (np.diff(found.edges) > 0).all()
    if finite.size:
        assert found.minimum == finite.min()
        assert found.maximum == finite.max()
        np.testing.assert_allclose(found.mean, finite.mean(), rtol=1e-6, atol=1e-6 * abs(finite).max())
        np.testing.assert_allclose(found.std, finite.std(), rtol=1e-6, atol=1e-6 * abs(finite).max())


def test_histograms_match_numpy_on_ordinary_values():
    values = np.random.default_rng(0).normal(size=10_000)
    found = histogram_of(values, "any", "any", 40)
    counts, edges = np.histogram(values, 40)
    np.testing.assert_allclose(found.edges, edges, rtol=1e-12)
    assert abs(found.counts - counts).sum() <= 2
    assert found.std == pytest.approx(values.std())


def test_given_edges_are_kept():
    found = nv.histogram(example_model(), "conv1", bins=[-1, 0, 1])
    np.testing.assert_array_equal(found.edges, [-1, 0, 1])


@given(st.integers(1, 3000))
def test_square_tiles_make_grids_as_square_as_the_count_allows(count):
    rows, columns = squarest_grid(count, 7, 7)
    assert rows * columns >= count
    assert (rows - 1) * columns < count
    assert abs(rows - columns) <= 1


@given(st.integers(1, 3000), st.integers(1, 64), st.integers(1, 64))
def test_no_row_and_no_column_of_a_grid_is_empty(count, height, width):
    rows, columns = squarest_grid(count, height, width)
    assert rows * columns >= count
    assert (rows - 1) * columns < count
    assert columns == -(-count // rows)


def test_half_floats_are_shown_as_float32_and_doubles_stay():
    example_model()
    half = Model(dense=Dense(kernel=np.ones((2, 2), np.float16), bias=np.zeros(2)))
    assert nv.heatmap(half, "dense").values.dtype == np.float32
    assert nv.wrap(half)["dense"].weights["kernel"].dtype == "float16"
    assert nv.heatmap(example_model(), "dense1").values.dtype == np.float64
