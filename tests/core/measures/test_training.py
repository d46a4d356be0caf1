"""Histories of training: what is counted, over which steps, and how it is drawn, saved and read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import netviz_core as nv
from netviz_core.measures.bins import bin_edges
from netviz_core.measures.layer_statistics import LayerStatistics
from netviz_core.measures.training import TrainingHistory, load_history
from netviz_core.measures.watching import TrainingWatch
from netviz_core.testing import example_model

NUMBERS = arrays.arrays(
    np.float64,
    st.integers(0, 30),
    elements=st.floats(-1e6, 1e6) | st.sampled_from([0.0, np.nan, np.inf, -np.inf]),
)


@given(NUMBERS, NUMBERS)
def test_moments_of_parts_are_those_of_the_whole(first, second):
    merged, whole = (
        LayerStatistics.of(first).merge(LayerStatistics.of(second)),
        LayerStatistics.of(np.concatenate([first, second])),
    )
    for name in ("count", "zero_count", "nonfinite_count"):
        assert getattr(merged, name) == getattr(whole, name)
    for name in ("mean", "std", "minimum", "maximum", "zero_fraction"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(merged.histogram, whole.histogram)


@given(NUMBERS, st.integers(0, 4))
def test_every_number_lies_in_its_bin(values, detail):
    finite = values[np.isfinite(values)].astype(np.float32).astype(np.float64)
    edges = bin_edges(detail)
    positive = edges[len(edges) // 2 :]
    sizes = np.clip(np.abs(finite), 0, np.nextafter(positive[-1], 0))
    above, below = (np.histogram(sizes[chosen], positive)[0] for chosen in (finite > 0, finite < 0))
    middle = (sizes < positive[0]).sum()
    np.testing.assert_array_equal(
        LayerStatistics.of(values, detail=detail).histogram, [*below[::-1], middle, *above]
    )


def test_moments_survive_packing():
    moments = LayerStatistics.of(np.array([1.0, 0.0, np.nan, -3.0]))
    copy = LayerStatistics.unpack(moments.pack())
    assert (copy.count, copy.mean, copy.std, copy.zero_count, copy.nonfinite_count) == (
        moments.count, moments.mean, moments.std, 1, 1,
    )  # fmt: skip
    np.testing.assert_array_equal(copy.histogram, moments.histogram)


def watched(every: int = 2, steps: int = 5) -> TrainingHistory:
    """A model whose kernel grows by one with each step; it has no gradients of its own."""
    model = example_model()
    watch = TrainingWatch(model, every)
    for step in range(steps):
        if watch.is_due:
            captured = nv.capture(model, np.ones((2, 1, 8, 8)), watch.paths, reduce=watch.reduce)
            watch.add(step, captured, [("conv1", "kernel", np.full((4, 1, 3, 3), 0.5))])
        watch.skip()
        model.layers["conv1"].parameters["kernel"][:] += 1
    return watch.history


def test_every_so_many_steps_are_looked_at_and_containers_are_left_out():
    history = watched()
    assert history.steps == [0, 2, 4]
    assert history.layers == ("conv1", "dense1")


def test_weights_and_gradients_are_followed():
    history = watched()
    means = history.series("weight", "conv1")
    np.testing.assert_allclose(np.diff(means), 2)
    np.testing.assert_allclose(history.series("gradient", "conv1"), 0.5)
    ratios = history.heatmap("gradient_to_weight")
    assert ratios.layers == ("conv1",)
    rms = history.series("weight", "conv1", measure="root_mean_square")
    np.testing.assert_allclose(ratios.values[0], np.log10(0.5 / rms))


def test_a_heat_map_has_a_row_for_each_layer_and_a_column_for_each_look():
    view = watched().heatmap("std")
    assert view.values.shape == (2, 3)
    assert view.steps.tolist() == [0, 2, 4]
    assert view.limits[0] < view.limits[1]


def test_a_histogram_over_time_counts_every_value():
    view = watched().histogram("conv1")
    assert view.counts.shape[1] == 3
    assert len(view.edges) == len(view.counts) + 1
    assert (view.counts.sum(axis=0) == 2 * 4 * 6 * 6).all()
    assert (np.diff(view.edges) > 0).all()
    assert view.counts[0].any()
    assert view.counts[-1].any()
    assert view.edges[0] <= watched().series("activation", "conv1", measure="minimum").min()
    assert view.edges[-1] >= watched().series("activation", "conv1", measure="maximum").max()


def test_a_history_is_read_as_it_was_written(tmp_path):
    history = watched()
    history.save(tmp_path / "history.npz")
    read = load_history(tmp_path / "history.npz")
    assert (read.steps, read.layers) == (history.steps, history.layers)
    for quantity in ("activation", "weight", "gradient"):
        np.testing.assert_array_equal(read.series(quantity, "conv1"), history.series(quantity, "conv1"))
    np.testing.assert_array_equal(read.histogram("conv1").counts, history.histogram("conv1").counts)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_file_that_is_no_history_is_refused(tmp_path, content):
    (tmp_path / "other.npz").write_bytes(content)
    with pytest.raises(nv.FileFormatError, match="no training history"):
        load_history(tmp_path / "other.npz")


def test_an_archive_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    with pytest.raises(nv.FileFormatError, match="no training history"):
        load_history(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda h: h.heatmap("mena"), nv.InputError, "did you mean 'mean'"),
        (lambda h: h.heatmap(quantity="weights"), nv.InputError, "'weight'"),
        (lambda h: h.heatmap(quantity="weight", weight="scale"), nv.InputError, "weight of a scale"),
        (lambda h: h.series("activation", "conv9"), nv.LayerNotFoundError, "'conv1'"),
        (lambda h: h.series("gradient", "dense1"), nv.InputError, "seen were: activation, weight bias"),
        (lambda h: TrainingHistory(["a"]).heatmap(), nv.InputError, "after 0 looks"),
        (lambda h: TrainingWatch(example_model(), 0), nv.InputError, "every=0"),
        (lambda h: TrainingWatch(example_model(), layers="conv9"), nv.LayerNotFoundError, "conv1"),
    ],
)
def test_what_cannot_be_shown_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call(watched())


def test_a_backend_whose_gradients_cannot_be_read_is_said():
    watch = TrainingWatch(example_model())
    watch.before_pass()
    with pytest.raises(nv.UnsupportedError, match="own callback"):
        watch.after_backward()
    assert not example_model().listeners
