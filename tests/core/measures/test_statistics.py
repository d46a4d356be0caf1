"""Statistics over a data set: those of the whole at once, however it is cut, merged and spread."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import netviz_core as nv
from netviz_core.measures.statistics import Statistics, load_statistics, statistics, summarised
from netviz_core.testing.reference import example_model
from netviz_core.words.arrays import Activation

X = np.random.default_rng(0).normal(3.0, 2.0, size=(150, 1, 8, 8)).astype("float32")


def whole(key: str = "conv1") -> np.ndarray:
    return nv.capture(example_model(), X)[key].values


def assert_same(found: Statistics, expected: Statistics) -> None:
    assert list(found) == list(expected)
    for key in found:
        ours, theirs = found[key].channels, expected[key].channels
        for name in ("count", "zero_count", "nonfinite_count"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        for name in ("minimum", "maximum"):  # a matrix product may round otherwise for another batch size
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12)
        for name in ("mean", "variance"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6)
        np.testing.assert_array_equal(found[key].histogram, expected[key].histogram)


@pytest.mark.parametrize("sizes", [[150], [64, 64, 22], [1, 149]])
def test_uneven_batches_give_the_statistics_of_the_whole(sizes):
    ends = np.cumsum(sizes)
    batches = [X[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    found = statistics(example_model(), batches, every_value=True)
    values = whole()
    layer = found["conv1"]
    assert (layer.count, layer.minimum, layer.maximum) == (values.size, values.min(), values.max())
    np.testing.assert_allclose(layer.mean, values.mean(dtype="f8"), rtol=1e-6)
    np.testing.assert_allclose(layer.variance, values.var(dtype="f8"), rtol=1e-6)
    np.testing.assert_allclose(layer.channels.mean, values.mean(axis=(0, 2, 3), dtype="f8"), rtol=1e-6)
    np.testing.assert_allclose(layer.channels.variance, values.var(axis=(0, 2, 3), dtype="f8"), rtol=1e-6)
    np.testing.assert_array_equal(layer.channels.maximum, values.max(axis=(0, 2, 3)))
    assert layer.histogram.sum() == values.size
    assert found.batch_count == len(sizes)


def test_statistics_are_merged_in_any_order():
    parts = [
        statistics(example_model(), [X[start : start + 30]], every_value=True) for start in range(0, 150, 30)
    ]
    forward, backward = parts[0], parts[-1]
    for part in parts[1:]:
        forward = forward.merge(part)
    for part in parts[-2::-1]:
        backward = backward.merge(part)
    assert_same(forward, backward)
    assert_same(forward, statistics(example_model(), [X], every_value=True))


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 9)),
        elements=st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, np.nan, np.inf, -np.inf, 3e38]),
    )
)
@settings(deadline=None)
def test_every_number_is_what_numpy_says(values):
    layer = summarised(Activation(values, ("batch", "channel", "x")), every_value=True)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert layer.count == finite.size
    assert layer.nonfinite_count == values.size - finite.size
    assert layer.zero_count == (finite == 0).sum()
    assert layer.histogram.sum() == finite.size
    if finite.size:
        assert (layer.minimum, layer.maximum) == (finite.min(), finite.max())
        scale = np.abs(finite).max() or 1.0
        np.testing.assert_allclose(layer.mean / scale, finite.mean() / scale, atol=1e-6)
        np.testing.assert_allclose(layer.std / scale, (finite / scale).std(), atol=1e-6)
    for channel in range(values.shape[1]):
        one = values[:, channel][np.isfinite(values[:, channel])]
        assert layer.channels.count[channel] == one.size
        assert np.isnan(layer.channels.minimum[channel]) == (one.size == 0)


def test_a_large_mean_does_not_drown_a_small_variance():
    values = np.random.default_rng(1).normal(1e4, 1e-1, size=(4, 2, 500)).astype("float32")
    layer = summarised(Activation(values, ("batch", "channel", "x")))
    np.testing.assert_allclose(layer.variance, values.var(dtype="f8"), rtol=1e-3)


@pytest.mark.parametrize("places", [5, 500, 50_000])
def test_rounding_of_the_mean_adds_nothing_to_the_variance(places):
    values = np.random.default_rng(1).normal(1e8, 10, size=(4, 2, places)).astype("float32")
    layer = summarised(Activation(values, ("batch", "channel", "x")))
    exact = values.astype(np.float64)
    np.testing.assert_allclose(layer.mean, exact.mean(), rtol=1e-12)
    np.testing.assert_allclose(layer.channels.variance, exact.var(axis=(0, 2)), rtol=1e-5)


def test_quantiles_are_within_a_bin_of_the_true_ones():
    layer = statistics(example_model(), X, every_value=True)["conv1"]
    values = whole()
    for share, found in layer.quantiles.items():
        expected = np.quantile(values, share)
        assert abs(found - expected) <= abs(expected) / 16 + 1e-3 * values.std()
    assert (layer.quantile(0), layer.quantile(1)) == (values.min(), values.max())


def test_quantiles_of_many_zeros_are_zero():
    values = np.maximum(np.random.default_rng(0).normal(size=(100, 3, 50)), 0).astype("float32")
    layer = summarised(Activation(values, ("batch", "channel", "x")))
    assert (layer.quantile(0.1), layer.quantile(0.4)) == (0.0, 0.0)
    assert layer.quantile(0.75) == pytest.approx(np.quantile(values, 0.75), rel=0.06)
    assert layer.quantile(1) == values.max()


def test_zeros_are_not_counted_with_what_is_below_zero():
    values = np.concatenate([np.zeros(300), np.linspace(-0.5, 2, 101)]).astype("float32")[None]
    layer = summarised(Activation(values, ("batch", "channel")))
    below, above = layer.counts_between(np.array([-1.0, 0.0, 3.0]))
    assert (below, above) == ((values < 0).sum(), (values >= 0).sum())


def test_a_sample_of_the_values_is_enough_for_a_histogram():
    large = np.random.default_rng(0).normal(size=(1000, 1, 8, 8)).astype("float32")
    sampled = statistics(example_model(), [large])["conv1"]
    assert sampled.count == 1000 * 4 * 36
    assert sampled.histogram.sum() < 40_000
    full = statistics(example_model(), [large], every_value=True)["conv1"]
    assert sampled.quantile(0.5) == pytest.approx(full.quantile(0.5), abs=0.1)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_gives_the_same(kind):
    batches = [X[start : start + 7] for start in range(0, 150, 7)]
    expected = statistics(example_model(), batches)
    pool = (
        ThreadPoolExecutor(3)
        if kind == "threads"
        else ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=example_model)
    )
    with pool as executor:
        found = statistics(example_model(), iter(batches), executor=executor)
    assert_same(found, expected)
    assert found.batch_count == len(batches)


def test_statistics_are_read_as_they_were_written(tmp_path):
    found = statistics(example_model(), X)
    found.save(tmp_path / "s.npz")
    read = load_statistics(tmp_path / "s.npz")
    assert_same(read, found)
    assert (read.batch_count, read.coverage) == (found.batch_count, found.coverage)
    (tmp_path / "t.npz").write_bytes(b"nothing")
    with pytest.raises(nv.FileFormatError, match="no statistics"):
        load_statistics(tmp_path / "t.npz")


def test_what_was_gathered_before_an_error_is_kept_and_said():
    def failing():
        yield X[:10]
        yield X[10:20]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as caught:
        statistics(example_model(), failing())
    assert caught.value.statistics["conv1"].count == 20 * 144
    assert "statistics of the 2 batches before" in caught.value.__notes__[0]


def test_views_are_of_the_same_numbers():
    found = statistics(example_model(), X, every_value=True)
    view = found.histogram("conv1")
    expected = np.histogram(whole(), view.edges)[0]
    assert view.counts.sum() == expected.sum()
    assert np.abs(np.cumsum(view.counts) - np.cumsum(expected)).max() < 0.02 * expected.sum()
    rows = found.histograms()
    assert rows.labels == ("conv1", "dense1", "")
    assert (rows.outside_counts <= 0.003 * found["conv1"].count).all()


@pytest.mark.parametrize(
    ("batches", "text"),
    [
        (None, "no data of its own"),
        ([], "has no batch"),
        (7, "7 was given as data"),
        ([X[:5], X[:5, 0]], "batch 1 of the data is an array of 3 axes.*the first was an array of 4 axes"),
        ([X[:5], {"pixels": X[:5]}], "batch 1 of the data is a mapping"),
        ([X[:5], X[:5, :, :7]], r"\(1, 7, 8 for each sample\)"),
    ],
)
def test_what_cannot_be_read_is_said(batches, text):
    with pytest.raises(nv.InputError, match=text):
        statistics(example_model(), batches)


def test_nan_and_infinity_are_told_apart():
    x = X.copy()
    x[0, 0, :2, :2] = [[np.nan, np.inf], [np.inf, -np.inf]]
    layer = summarised(Activation(x, ("batch", "channel", "y", "x")))
    assert (layer.nan_count, layer.inf_count, layer.nonfinite_count) == (1, 3, 4)
    view = Statistics({"x": layer}, {}, 1).histogram("x")
    assert (view.nan_count, view.inf_count) == (1, 3)


def test_a_histogram_of_a_sample_says_so():
    assert "a sample of" in statistics(example_model(), [X.repeat(9, axis=0)]).histogram("conv1").title
    assert "sample" not in statistics(example_model(), [X]).histogram("conv1").title


def test_other_layers_cannot_be_merged():
    one, other = (statistics(example_model(), X[:5], layer) for layer in ("conv1", "dense1"))
    with pytest.raises(nv.InputError, match="different layers"):
        one.merge(other)
    with pytest.raises(nv.LayerNotFoundError, match="'conv1'"):
        one["conv2"]
    with pytest.raises(nv.LayerNotFoundError, match="conv1"):
        statistics(example_model(), X[:5], "conv2")


class Stream:
    """Data that knows no length, as loaders of streams: asking for it is an error."""

    def __len__(self):
        raise TypeError("the length is unknown")

    def __iter__(self):
        yield X[:4]
        yield X[4:7]


def test_data_of_unknown_length_and_batches_in_a_list():
    expected = statistics(example_model(), X[:7], every_value=True)
    assert_same(statistics(example_model(), Stream(), every_value=True), expected)
    assert_same(statistics(example_model(), [[X[:4]], (X[4:7],)], every_value=True), expected)


def test_an_input_must_say_how_it_is_laid_out() -> None:
    batch = nv.AxisArray(np.zeros((2, 1, 8, 8)), ("batch", "channel", "rows", "x"))
    with pytest.raises(nv.AxisError, match="'rows' does not say how an input is laid out"):
        nv.statistics(example_model(), [batch], progress=False)
    with pytest.raises(nv.AxisError, match="'rows' does not say how an input is laid out"):
        nv.compare(example_model(), example_model(), batch)


def test_statistics_are_printed_as_a_table():
    found = statistics(example_model(), [X], progress=False)
    titles, _, first, *_ = str(found).splitlines()
    assert titles.split() == [
        "layer",
        "mean",
        "std",
        "minimum",
        "maximum",
        "zero",
        "fraction",
        "nonfinite",
        "count",
    ]
    assert first.split()[:3] == ["conv1", f"{found['conv1'].mean:.4g}", f"{found['conv1'].std:.4g}"]
    assert "\n" not in repr(found)
