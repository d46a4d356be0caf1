"""Arguments in another order than a function's get one short sentence, and no array is ever printed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing.reference import example_model
from netviz_core.words.given import shown

X = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
DATA = [(X, np.array([1, 2]))]


def refusal_of(call) -> str:
    with pytest.raises(nv.NetvizError) as caught:
        call(example_model())
    text = str(caught.value)
    assert len(text) <= 300
    assert "array(" not in text
    assert " object at 0x" not in text
    return text


@pytest.mark.parametrize(
    ("call", "swapped"),
    [
        (lambda m: nv.feature_maps(m, X, "conv1"), "(model, layer, x): x and layer"),
        (lambda m: nv.feature_maps("conv1", m, X), "(model, layer, x): model and layer"),
        (lambda m: nv.cam(m, "conv1", X), "cam(model, x, layer): x and layer"),
        (lambda m: nv.attention(m, X, "conv1"), "attention(model, layer, x): x and layer"),
        (lambda m: nv.top_losses(m, DATA, 5), "top_losses(model, k, data): data and k"),
        (lambda m: nv.top_losses(m, (X, np.arange(2)), 5), "top_losses(model, k, data): data and k"),
        (lambda m: nv.capture(m, "conv1", X), "capture(model, x, layers): x and layers"),
        (lambda m: nv.capture(m, ["conv1"], X), "capture(model, x, layers): x and layers"),
        (lambda m: nv.summary(m, "conv1", X), "summary(model, x, layers): x and layers"),
        (lambda m: nv.kernels("conv1", m), "kernels(model, layer): model and layer"),
        (lambda m: nv.heatmap("conv1", m), "heatmap(model, layer): model and layer"),
        (lambda m: nv.histogram("conv1", m), "histogram(model, layer): model and layer"),
    ],
)
def test_swapped_arguments_are_named(call, swapped):
    text = refusal_of(call)
    assert swapped in text
    assert text.endswith("seem to be swapped")


@pytest.mark.parametrize(
    "call",
    [
        lambda m: nv.feature_maps(nv.capture(m, X), X),
        lambda m: nv.kernels("model.npz", 0),
        lambda m: nv.capture("model.npz", X, X),
        lambda m: nv.capture(m, X, {"conv1"}),
        lambda m: nv.capture(m, X, [X]),
        lambda m: nv.capture(m, X, 3),
        lambda m: nv.recording(m, X).__enter__(),
        lambda m: nv.histograms(m, X),
        lambda m: nv.histograms(nv.capture(m, X), X),
        lambda m: nv.capture(m, X)[X],
        lambda m: nv.wrap(m)[m],
        lambda m: nv.capture(m, X, axes=X),
        lambda m: nv.capture(m, X, reduce=X),
        lambda m: nv.feature_maps(m, "conv1", X, sample=X),
        lambda m: nv.cam(m, X, target=X),
        lambda m: nv.cam(m, X, method=X),
        lambda m: nv.cam(m, X, output=X),
        lambda m: nv.histogram(m, "conv1", bins=X),
        lambda m: nv.heatmap(m, "conv1", reduce=X),
        lambda m: nv.kernels(m, "conv1", weight=X),
        lambda m: nv.summary(m, X, columns=X),
        lambda m: nv.summary(m, input_shape=X),
        lambda m: nv.summary(m, X, depth=X),
        lambda m: nv.top_losses(m, 3, DATA, loss=X),
        lambda m: nv.copy_weights(m, m, X),
        lambda m: nv.side_by_side(nv.kernels(m, "conv1"), titles=X),
        lambda m: nv.images(X, X),
        lambda m: nv.get_backend(X),
    ],
)
def test_a_wrong_argument_is_told_in_a_sentence(call):
    assert "seem to be swapped" not in refusal_of(call)


@pytest.mark.parametrize(
    "layers", ["conv1", "conv*", ["conv1"], ("conv1",), lambda layer: layer.path == "conv1"]
)
def test_layers_are_chosen_alike_everywhere(layers):
    model = example_model()
    assert list(nv.capture(model, X, layers)) == ["conv1"]
    assert [row.path for row in nv.summary(model, X, layers).rows] == ["conv1"]
    assert nv.histograms(model, layers).labels == ("conv1",)
    with nv.recording(model, layers) as captured:
        model(X)
    assert list(captured) == ["conv1"]
    if not callable(layers):
        assert nv.histograms(nv.capture(model, X), layers).labels == ("conv1",)


def test_values_are_shown_in_a_few_words():
    assert shown((1, "a", None, 2.5)) == "(1, 'a', None, 2.5)"
    assert shown({"a": X}) == "{'a': <ndarray (2, 1, 8, 8) float64>}"
    assert shown(nv.wrap) == "<function wrap>"
    assert shown(example_model()) == "<Model object>"
    assert len(shown(["a" * 50] * 100)) <= 120


@pytest.mark.parametrize(
    "name", ["capture", "kernels", "feature_maps", "cam", "attention", "graph", "summary"]
)
def test_a_public_name_brings_little_along(name):
    code = (
        f"import numpy, sys; before = set(sys.modules); import netviz_core; netviz_core.{name};"
        "heavy = {'pathlib', 'shutil', 'difflib', 'inspect', 'rich', 'pandas', 'networkx', 'safetensors', 'einops'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules) - before)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
