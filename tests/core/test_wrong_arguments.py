"""Arguments of the wrong kind get a sentence, and nothing is ignored without a word."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing.reference import Conv2d, Model, Op, example_model

X = np.random.default_rng(0).normal(size=(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: nv.kernels(m, 0), nv.InputError, "named by their path"),
        (lambda m: nv.wrap(m)[None], nv.InputError, "named by their path"),
        (lambda m: nv.wrap(m).select([0]), nv.InputError, "chooses nothing"),
        (lambda m: nv.wrap(m).select(kind=3), nv.InputError, "kind=3"),
        (lambda m: nv.capture(m, X)[0], nv.InputError, "named by strings"),
        (lambda m: nv.kernels(m, "conv1", weight=["kernel"]), nv.InputError, "weight="),
        (lambda m: nv.kernels(m, "conv1", limit=2.5), nv.InputError, "limit=2.5"),
        (lambda m: nv.kernels(m, "conv1", channel="a"), nv.InputError, "channel='a'"),
        (lambda m: nv.feature_maps(m, "conv1", X, sample=1.5), nv.InputError, "sample=1.5"),
        (lambda m: nv.heatmap(m, "conv1", limit="x"), nv.InputError, "limit='x'"),
        (lambda m: nv.capture(m, X, max_bytes="1GB"), nv.InputError, "max_bytes='1GB'"),
        (lambda m: nv.capture(m, X, axes=3), nv.AxisError, "axes=3"),
        (lambda m: nv.capture(m, X, axes="byxc"), nv.AxisError, "axes='byxc'"),
        (lambda m: nv.capture(m, X, axes=("a", "a", "b", "c")), nv.AxisError, "axes="),
        (lambda m: nv.capture(m, X, axes=("a", "b", "c")), nv.AxisError, "no output has 3 axes"),
        (lambda m: nv.capture(m, X, axes={"nope": ("a",)}), nv.LayerNotFoundError, "no layer asked for"),
        (lambda m: nv.capture(m, X, reduce=3), nv.InputError, "reduce=3"),
        (lambda m: nv.capture(m, X, reduce={"nope": np.mean}), nv.LayerNotFoundError, "no layer asked for"),
        (lambda m: nv.capture(m, X, reduce=lambda a: None), nv.InputError, "reduce made None"),
        (lambda m: nv.images(X, ("batch", "y", "x", "channels")), nv.AxisError, "did you mean 'channel'"),
        (lambda m: nv.images(X, "byxc"), nv.AxisError, "one string"),
        (lambda m: nv.capture(m, nv.AxisArray(X, ("batch", "a", "b", "c"))), nv.AxisError, "laid out"),
        (lambda m: nv.side_by_side(nv.kernels(m, "conv1"), titles=3), nv.InputError, "titles=3"),
        (lambda m: nv.side_by_side(nv.kernels(m, "conv1"), titles=[1]), nv.InputError, "one title"),
        (lambda m: nv.register_backend(3, m), nv.InputError, "give its name"),
        (lambda m: nv.get_backend(3), nv.InputError, "no backend 3"),
        (lambda m: nv.kernels(m, "conv1").plot(renderer=3), nv.InputError, "no renderer 3"),
    ],
)
def test_a_wrong_argument_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call(example_model())


def test_complex_weights_are_refused_when_the_view_is_made():
    model = Model(conv=Conv2d(kernel=np.ones((2, 1, 3, 3), complex), bias=np.zeros(2)))
    for make in (nv.kernels, nv.heatmap, nv.histogram):
        with pytest.raises(nv.InputError, match="complex"):
            make(model, "conv")


def test_values_beyond_given_edges_are_counted():
    found = nv.histogram(example_model(), "conv1", bins=[0, 1])
    assert found.counts.sum() + found.outside_count == 36
    assert found.outside_count > 0
    assert nv.histograms(example_model(), bins=[0, 1]).outside_counts[0] == found.outside_count


def test_a_dead_view_does_not_spoil_the_shared_scale():
    def view(values):
        return nv.kernels(Model(conv=Conv2d(kernel=values, bias=np.zeros(1))), "conv")

    example_model()
    small = np.full((1, 1, 2, 2), 0.01)
    for dead in (np.zeros((1, 1, 2, 2)), np.full((1, 1, 2, 2), np.nan)):
        shared = nv.side_by_side(view(dead), view(small)).views
        assert [part.limits for part in shared] == [(-0.01, 0.01)] * 2


def test_a_constant_histogram_takes_the_others_scale():
    def of(values):
        return nv.histogram({"fc.weight": values}, "fc", bins=10)

    constant, varying = of(np.zeros((2, 3))), of(np.linspace(-0.01, 0.02, 6).reshape(2, 3))
    first, second = nv.side_by_side(constant, varying).views
    assert (first.edges[0], first.edges[-1]) == (-0.01, 0.02)
    assert first.counts.sum() == 6
    assert first.counts[np.searchsorted(first.edges, 0.0, "right") - 1] == 6
    assert second is varying


def test_two_parts_never_share_a_key():
    class Clash(Op):
        def __call__(self, x):
            return {"a.b": x, "a": {"b": x + 1}}

    example_model()
    captured = nv.capture(Model(clash=Clash()), np.ones((1, 2)), "clash")
    assert list(captured) == ["clash#'a.b'", "clash#a.b"]
    assert captured["clash#a.b"].values[0, 0] == 2


def test_feature_maps_take_the_key_of_a_part():
    class Twice(Op):
        def __call__(self, x):
            return x, x + 1

    example_model()
    model = Model(twice=Twice())
    with pytest.raises(nv.AmbiguousKeyError, match="'twice#0', 'twice#1'"):
        nv.feature_maps(model, "twice", X)
    with pytest.raises(nv.AxisError, match="axes"):
        nv.feature_maps(model, "twice#1", X)


def test_views_have_a_short_repr_and_no_framework_in_it():
    assert repr(nv.kernels(example_model(), "conv1")) == "<KernelGrid 'conv1 · conv2d · 4 out × 1 in, 3 × 3'>"


def test_a_saved_capture_has_the_usual_permissions_and_follows_links(tmp_path):
    captured = nv.capture(example_model(), X, "conv1")
    captured.save(tmp_path / "plain")
    (tmp_path / "written").write_text("")
    modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("plain", "written")}
    assert len(modes) == 1
    (tmp_path / "link").symlink_to(tmp_path / "target")
    captured.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert list(nv.load_capture(tmp_path / "target")) == ["conv1"]
    with pytest.raises(OSError, match="missing/run"):
        captured.save(tmp_path / "missing" / "run")
    with pytest.raises(OSError, match="No file name"):
        captured.save("")
