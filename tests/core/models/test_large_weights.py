"""Large weights are reduced without losing an outlier; gates and heads stay together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netviz_core as nv
from netviz_core.views.heatmap import _block_edges


def state(values: np.ndarray) -> dict[str, np.ndarray]:
    return {"fc.weight": values, "fc.bias": np.zeros(len(values))}


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_no_outlier_vanishes(rows, columns, most, seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns)).astype(np.float32)
    row, column = random.integers(rows), random.integers(columns)
    values[row, column] = random.choice([-100.0, 100.0])
    view = nv.heatmap(state(values), "fc", limit=most)
    assert view.full_shape == (rows, columns)
    assert max(view.values.shape) <= most or max(rows, columns) <= most
    assert values[row, column] in view.values
    assert view.limits == (-100.0, 100.0)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 10))
def test_the_mean_is_that_of_the_area(rows, columns, most):
    values = np.random.default_rng(0).normal(size=(rows, columns))
    view = nv.heatmap(state(values), "fc", reduce="mean", limit=most)
    row_edges, column_edges = _block_edges(rows, 1, most), _block_edges(columns, 1, most)
    expected = [
        [block.mean() for block in np.split(band, column_edges[1:], axis=1)]
        for band in np.split(values, row_edges[1:])
    ]
    np.testing.assert_allclose(view.values, expected, atol=1e-12)


def test_the_title_says_what_was_done():
    values = np.zeros((3000, 100))
    assert (
        nv.heatmap(state(values), "fc").title == "fc · dense · kernel 3000 × 100, the extreme of each 7 × 1"
    )
    assert nv.heatmap(state(values), "fc", reduce="mean").title.endswith("the mean of each 7 × 1")
    assert nv.heatmap(state(values[:480]), "fc").title == "fc · dense · kernel 480 × 100"


def test_nan_and_infinities_show_in_their_block_and_are_counted_in_the_weight():
    values = np.zeros((4000, 10))
    values[17, 3], values[2001, 5] = np.nan, np.inf
    view = nv.heatmap(state(values), "fc")
    assert (view.nan_count, view.inf_count) == (1, 1)
    assert (np.isnan(view.values).sum(), np.isinf(view.values).sum()) == (1, 1)
    values[2000, 5] = -np.inf
    assert np.isnan(nv.heatmap(state(values), "fc", reduce="mean").values).sum() == 2


def test_gates_are_kept_together_and_named():
    hidden = 700
    weights = {
        "rnn.weight_ih_l0": np.repeat(np.arange(4.0), hidden)[:, None] * np.ones((1, 8)),
        "rnn.weight_hh_l0": np.zeros((4 * hidden, hidden)),
    }
    view = nv.heatmap(weights, "rnn", weight="input_kernel")
    assert view.row_groups == ("input", "forget", "cell", "output")
    assert (view.row_axis, view.column_axis) == ("gate·out", "in")
    shown = view.values.shape[0] // 4
    for gate in range(4):
        assert (view.values[gate * shown : (gate + 1) * shown] == gate).all()


@pytest.mark.parametrize(("options", "text"), [({"reduce": "max"}, "extreme"), ({"limit": 0}, "positive")])
def test_wrong_options_are_refused(options, text):
    with pytest.raises(nv.InputError, match=text):
        nv.heatmap(state(np.zeros((2, 2))), "fc", **options)


def test_rows_share_their_edges_and_count_everything():
    random = np.random.default_rng(0)
    weights = {
        "a.weight": random.normal(size=(5, 4)),
        "a.bias": random.normal(size=5) * 3,
        "b.weight": np.full((2, 2), np.nan),
    }
    view = nv.histograms(weights, weight="*", bins=20)
    assert view.labels == ("a kernel", "a bias", "b kernel")
    np.testing.assert_array_equal(view.counts.sum(axis=1), [20, 5, 0])
    np.testing.assert_array_equal(view.nan_counts, [0, 0, 4])
    smallest, width = min(weights["a.weight"].min(), weights["a.bias"].min()), np.diff(view.edges).max()
    assert smallest - width < view.edges[0] <= smallest
    assert 0 in view.edges
    assert nv.histograms(weights).labels == ("a", "b")
    with pytest.raises(nv.UnsupportedError, match="weight='\\*'"):
        nv.histograms(weights, weight="scale")
