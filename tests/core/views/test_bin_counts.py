"""Values are counted as NumPy counts them, also at the edges themselves and just beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netviz_core.views.bin_counts import counts_in, finite_of
from netviz_core.views.bin_edges import edges_with_zero, even_edges

FLOATS = st.floats(-1e307, 1e307)


def with_edges(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        beside = [np.nextafter(edges, towards) for towards in (-np.inf, np.inf)]
    values = np.concatenate([values, edges, *beside])
    return values[np.isfinite(values)]


@given(st.lists(FLOATS, min_size=1), FLOATS, FLOATS, st.integers(1, 200))
def test_equal_bins_are_counted_as_numpy_counts_them(values, one, other, bins):
    edges = even_edges(min(one, other), max(one, other), bins)
    values = with_edges(np.array(values), edges)
    np.testing.assert_array_equal(counts_in(values, edges), np.histogram(values, edges)[0])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("offset", [0, 1, 100])
def test_every_kind_of_number_is_counted(dtype, offset):
    values = (np.random.default_rng(0).normal(size=40_000) * 20 + offset).astype(dtype)
    edges = even_edges(float(values.min()), float(values.max()), 37)
    np.testing.assert_array_equal(counts_in(values, edges), np.histogram(values.astype("float64"), edges)[0])


@given(FLOATS, FLOATS, st.integers(1, 200))
def test_zero_is_an_edge_where_values_lie_on_both_sides_of_it(one, other, bins):
    low, high = min(one, other), max(one, other)
    edges = edges_with_zero((low, high), bins)
    assert len(edges) == bins + 1
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= low
    assert high <= edges[-1]
    if bins > 1 and low < -1e-300 and high > 1e-300:
        assert 0 in edges
        reach = 1.001 * (high / 2 - low / 2) * 2 / (bins - 1)
        assert edges[1] - reach <= low or edges[-2] + reach >= high, "no more than one bin is added"


def test_edges_that_were_given_stay_as_they_are():
    np.testing.assert_array_equal(edges_with_zero((-1.0, 2.0), [-1, 0.5, 2]), [-1, 0.5, 2])


@given(st.lists(FLOATS, min_size=1), st.lists(FLOATS, min_size=2, unique=True))
def test_bins_of_any_width_are_counted(values, edges):
    edges = np.sort(edges)
    values = with_edges(np.array(values), edges)
    np.testing.assert_array_equal(counts_in(values, edges), np.histogram(values, edges)[0])


def test_what_is_not_finite_is_counted_apart():
    finite, nan_count, inf_count = finite_of(np.array([[1.0, np.nan, np.inf], [-np.inf, np.nan, 2.0]]))
    assert (finite.tolist(), nan_count, inf_count) == ([1.0, 2.0], 2, 2)
    assert [part if isinstance(part, int) else part.size for part in finite_of(np.zeros((0, 3)))] == [0, 0, 0]
