"""Each value captured is that which a plain session returns that was asked for the tensor as an output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, network
from onnx import ModelProto, numpy_helper
from small import convolutional, plain

import netviz_core as nv
from netviz_onnx import running
from netviz_onnx.held import held
from netviz_onnx.layers import layers


def require_plain_values(model: ModelProto, feeds: dict[str, Any], atol: float = 0) -> None:
    """Hold all that is captured against a plain session."""
    captured = nv.capture(model, feeds)
    calls = {layer.path: layer.calls for layer in layers(held(model))}
    names = {
        key: calls[value.path][value.call].returned[int(value.leaf.partition(".")[0] or 0)]
        for key, value in captured.items()
    }
    expected = plain(model, feeds, sorted({*names.values()}))
    assert len(captured) > 3
    for key, slot in captured.slots().items():
        np.testing.assert_allclose(
            slot.observation.value.numpy(), expected[names[key]], rtol=0, atol=atol, err_msg=key
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_captured_values_are_those_of_a_plain_session(name: str, export: Any) -> None:
    module, x = network(name)
    model = export(module, x)
    before = model.SerializeToString()
    require_plain_values(model, {model.graph.input[0].name: x.numpy()})
    assert model.SerializeToString() == before


@pytest.mark.parametrize("kind", ["forest", "neighbours", "perceptron", "pipeline"])
def test_pipelines_of_scikit_learn(kind: str) -> None:
    from skl2onnx import to_onnx
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    estimator = {
        "forest": RandomForestClassifier(5, random_state=0),
        "neighbours": KNeighborsClassifier(3),
        "perceptron": MLPClassifier((8,), max_iter=20, tol=1.0, random_state=0),
        "pipeline": make_pipeline(StandardScaler(), PCA(3), LogisticRegression()),
    }[kind]
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    model = to_onnx(estimator.fit(x, x[:, 0] > 0), x[:1], options={id(estimator): {"zipmap": False}})
    require_plain_values(model, {"X": x})


def test_a_weight_that_was_changed_counts_in_the_next_pass() -> None:
    model, x = convolutional(), np.ones((2, 3, 8, 8), "float32")
    before = nv.capture(model, x, "d")["d"].values
    weight = nv.wrap(model)["d"].weights["kernel"]
    weight.assign(weight.numpy() * 2)
    (tensor,) = [t for t in model.graph.initializer if t.name == "d.weight"]
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), weight.numpy())
    assert not np.allclose(nv.capture(model, x, "d")["d"].values, before)


def test_a_session_is_made_once_for_the_same_tensors() -> None:
    model, x = convolutional(), np.ones((2, 3, 8, 8), "float32")
    nv.capture(model, x)
    made = dict(held(model).once("executors", dict))
    nv.capture(model, x + 1)
    assert made.keys() == held(model).once("executors", dict).keys()
    for key, (_, executor) in made.items():
        assert held(model).once("executors", dict)[key][1] is executor


@pytest.mark.parametrize("name", ["convolutional", "recurrent", "transformer"])
def test_without_onnx_runtime_the_reference_gives_the_same(
    name: str, export: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, x = network(name)
    model = export(module, x)
    with_runtime = nv.capture(model, x.numpy())
    held(model).once("executors", dict).clear()
    monkeypatch.setattr(running, "find_spec", lambda _: None)
    without = nv.capture(model, x.numpy())
    assert list(without) == list(with_runtime)
    for key, value in without.items():
        np.testing.assert_allclose(value.values, with_runtime[key].values, rtol=1e-4, atol=1e-5, err_msg=key)
