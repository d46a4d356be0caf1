"""Attention maps: drawn by head, averaged, followed through layers, over the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.attributions.places import Grid
from netviz_core.testing.reference import Dense, Model, Op, ReferenceBackend, example_model
from netviz_core.words.observations import Observation, Ready

random = np.random.default_rng(0)


def shares(*shape: int) -> np.ndarray:
    powers = np.exp(random.normal(size=shape))
    return powers / powers.sum(axis=-1, keepdims=True)


class SelfAttention(Op):
    """Looks at its own tokens; ``weights`` stand for what query and key would give."""

    kind = "attention"

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.weights = weights

    def __call__(self, x):
        return np.einsum("bhqk,bkc->bqc", self.weights / self.weights.shape[1], x)


@pytest.fixture
def model(monkeypatch):
    """Two layers of two heads that look at five tokens, in a backend that sees them."""

    def attention(self, model, inputs, recorder):
        for name, op in model.layers.items():
            if name in recorder.paths and isinstance(op, SelfAttention):
                axes = ("batch", "head", "query", "key")
                values = op.weights.astype("float32")
                recorder.add(name, [Observation("", Ready(values), axes, "float32", values.nbytes)])

    monkeypatch.setattr(ReferenceBackend, "attention", attention, raising=False)
    example_model()
    return Model(first=SelfAttention(shares(3, 2, 5, 5)), second=SelfAttention(shares(3, 2, 5, 5)))


TOKENS = random.normal(size=(3, 5, 4))


def test_weights_are_shown_head_by_head(model):
    view = nv.attention(model, "first", TOKENS, sample=1)
    np.testing.assert_allclose(view.weights, model.layers["first"].weights, rtol=1e-6)
    np.testing.assert_array_equal(view.tiles, view.weights[1])
    assert view.limits == (0.0, view.tiles.max())


def test_the_mean_is_over_heads(model):
    view = nv.attention(model, "first", TOKENS).mean()
    np.testing.assert_allclose(view.weights[:, 0], model.layers["first"].weights.mean(axis=1), rtol=1e-6)
    assert view.tiles.shape == (1, 5, 5)


def test_rollout_is_its_published_definition(model):
    """Abnar and Zuidema (2020), equation 1 and section 3."""
    first, second = (model.layers[name].weights.mean(axis=1) for name in ("first", "second"))
    a, b = (0.5 * w + 0.5 * np.eye(5) for w in (first, second))
    view = nv.attention(model, None, TOKENS, rollout=True)
    np.testing.assert_allclose(view.weights[:, 0], b @ a, rtol=1e-5)
    np.testing.assert_allclose(view.weights.sum(axis=-1), 1, rtol=1e-5)


def test_a_class_token_looks_at_the_image(model):
    view = replace(
        nv.attention(model, "first", TOKENS, sample=2),
        grid=Grid(np.array([[1, 2], [3, 4]])),
        images=np.ones((3, 4, 4, 3)),
    )
    overlay = view.over_image()
    assert overlay.heat.shape == (2, 4, 4)
    corner = view.weights[2, :, 0, 1:]
    assert (overlay.heat[:, 0, 0] == 1).tolist() == (corner.argmax(axis=1) == 0).tolist()
    assert not np.allclose(view.over_image(query=3).heat, overlay.heat)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, nv.AmbiguousKeyError, "'first', 'second'"),
        ({"layer": "third"}, nv.LayerNotFoundError, "first"),
        ({"layer": "first", "sample": 3}, nv.InputError, "which has 3 entries"),
    ],
)
def test_what_cannot_be_shown_is_said(model, given, error, text):
    with pytest.raises(error, match=text):
        nv.attention(model, x=TOKENS, **given)


def test_a_layer_without_attention_is_said(model):
    model.layers["head"] = Dense(kernel=np.ones((2, 20)), bias=np.zeros(2))
    with pytest.raises(nv.LayerNotFoundError, match="no attention was seen in layer 'head'"):
        nv.attention(model, "head", TOKENS)


def test_tokens_that_are_no_places_are_said(model):
    with pytest.raises(nv.UnsupportedError, match="no known places on an image"):
        nv.attention(model, "first", TOKENS).over_image()


def test_a_rollout_over_other_tokens_is_said(model):
    model.layers["second"].weights = shares(3, 2, 4, 5)
    with pytest.raises(nv.InputError, match="the same tokens"):
        nv.attention(model, None, TOKENS, rollout=True)


def test_a_backend_that_sees_no_attention_is_said():
    with pytest.raises(nv.UnsupportedError, match="does not see attention"):
        nv.attention(example_model(), "conv1", np.ones((1, 1, 8, 8)))


def test_attention_that_is_nearly_even_does_not_look_sharp(model):
    weights = np.full((1, 2, 5, 5), 0.2)
    weights[0, 0, 0, 1:] += [0.001, -0.001, 0.0, 0.0]
    weights[0, 1, 0, 1:] = [0.9, 0.02, 0.04, 0.04]
    view = replace(
        nv.attention(model, "first", TOKENS),
        weights=weights,
        sample=0,
        grid=Grid(np.array([[1, 2], [3, 4]])),
        images=None,
    )
    even, sharp = view.over_image().heat
    assert even.min() > 0.99
    assert sharp.min() < 0.05
    assert "largest 0.2" in view.over_image().captions[0]
