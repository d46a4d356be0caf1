"""Attention that a model makes itself, of Keras' operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L, array, native

ops = keras.ops
BATCH, TOKENS, HEADS, SIZE = 3, 5, 2, 4
X = array(BATCH, TOKENS, HEADS * SIZE)
Attend = Callable[[Any, Any, Any], Any]
"""From queries, keys and values ``(batch, head, token, feature)`` to a mix of the values."""


def scores_of(q: Any, k: Any) -> Any:
    return ops.matmul(q, ops.swapaxes(k, -1, -2)) / math.sqrt(SIZE)


def by_hand(scores: Any) -> Any:
    powers = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
    return powers / ops.sum(powers, axis=-1, keepdims=True)


def folded(q: Any, k: Any, v: Any) -> Any:
    """Heads in the batch."""
    q, k, v = (ops.reshape(part, (-1, TOKENS, SIZE)) for part in (q, k, v))
    return ops.reshape(ops.matmul(ops.softmax(scores_of(q, k)), v), (-1, HEADS, TOKENS, SIZE))


def heads_before_samples(q: Any, k: Any, v: Any) -> Any:
    q, k, v = (ops.reshape(ops.swapaxes(part, 0, 1), (-1, TOKENS, SIZE)) for part in (q, k, v))
    mixed = ops.reshape(ops.matmul(ops.softmax(scores_of(q, k)), v), (HEADS, -1, TOKENS, SIZE))
    return ops.swapaxes(mixed, 0, 1)


def by_einsum(q: Any, k: Any, v: Any) -> Any:
    weights = ops.softmax(ops.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(SIZE))
    return ops.einsum("bhqk,bhkd->bhqd", weights, v)


def keys_before_queries(q: Any, k: Any, v: Any) -> Any:
    """Features before tokens, so that the weights are the right factor."""
    weights = ops.swapaxes(ops.softmax(scores_of(q, k)), -1, -2)
    return ops.swapaxes(ops.matmul(ops.swapaxes(v, -1, -2), weights), -1, -2)


def fused(q: Any, k: Any, v: Any) -> Any:
    q, k, v = (ops.swapaxes(part, 1, 2) for part in (q, k, v))
    return ops.swapaxes(ops.dot_product_attention(q, k, v), 1, 2)


FORMS: dict[str, Attend] = {
    "matmul": lambda q, k, v: ops.matmul(ops.softmax(scores_of(q, k)), v),
    "operators": lambda q, k, v: ops.softmax((q @ ops.transpose(k, (0, 1, 3, 2))) * SIZE**-0.5) @ v,
    "a softmax by hand": lambda q, k, v: ops.matmul(by_hand(scores_of(q, k)), v),
    "a layer of softmax": lambda q, k, v: ops.matmul(L.Softmax()(scores_of(q, k)), v),
    "einsum": by_einsum,
    "heads in the batch": folded,
    "heads before samples": heads_before_samples,
    "keys before queries": keys_before_queries,
    "in one piece": fused,
}


class Own(L.Layer):
    """Self-attention with weights of its own."""

    def __init__(self, attend: Attend, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attend = attend
        self.dense = [L.Dense(HEADS * SIZE) for _ in range(3)]

    def parts(self, x: Any) -> list[Any]:
        made = [dense(x) for dense in self.dense]
        return [ops.transpose(ops.reshape(part, (-1, TOKENS, HEADS, SIZE)), (0, 2, 1, 3)) for part in made]

    def call(self, x: Any) -> Any:
        mixed = self.attend(*self.parts(x))
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, TOKENS, HEADS * SIZE))

    def weights_of(self, x: np.ndarray) -> np.ndarray:
        q, k, _ = map(native, self.parts(ops.convert_to_tensor(x)))
        powers = np.exp(np.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(SIZE))
        return powers / powers.sum(-1, keepdims=True)


def model_of(layer: L.Layer) -> keras.Model:
    x = keras.Input((TOKENS, HEADS * SIZE))
    return keras.Model(x, layer(x))


@pytest.mark.parametrize("form", FORMS)
def test_what_multiplies_the_values_is_seen(form):
    own = Own(FORMS[form], name="own")
    model = model_of(own)
    plain = native(model(X))
    for x in (X, X[:1]):
        found = nv.attention(model, "own", x)
        np.testing.assert_allclose(found.weights, own.weights_of(x), atol=1e-5)
    np.testing.assert_array_equal(native(model(X)), plain)


def test_attention_in_the_call_of_a_model_in_order_with_that_of_keras():
    class Mixed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (
                Own(FORMS["matmul"], name="first"),
                L.MultiHeadAttention(2, 4, name="second"),
            )

        def call(self, x: Any) -> Any:
            x = self.first(self.first(x))
            x = self.second(x, x)
            return ops.matmul(ops.softmax(scores_of(x, x)), x)

    model = Mixed()
    model(X)
    x = ops.convert_to_tensor(X)
    layers = [model.first.weights_of(X)]
    x = model.first(x)
    layers.append(model.first.weights_of(native(x)))
    x, weights = model.second(*[model.first(x)] * 2, return_attention_scores=True)
    layers += [native(weights), native(ops.softmax(scores_of(x, x)))[:, np.newaxis]]
    expected = np.eye(TOKENS)
    for weights in layers:
        mixed = 0.5 * weights.mean(1) + 0.5 * np.eye(TOKENS)
        expected = mixed / mixed.sum(-1, keepdims=True) @ expected
    found = nv.attention(model, x=X, rollout=True)
    np.testing.assert_allclose(found.weights[:, 0], expected, atol=1e-5)
    assert not found.left_out


def test_a_mask_and_a_cause_are_in_what_multiplies_the_values():
    def causal(q: Any, k: Any, v: Any) -> Any:
        q, k, v = (ops.swapaxes(part, 1, 2) for part in (q, k, v))
        return ops.swapaxes(ops.dot_product_attention(q, k, v, is_causal=True), 1, 2)

    def masked(q: Any, k: Any, v: Any) -> Any:
        lower = np.tril(np.ones((TOKENS, TOKENS), bool))
        return ops.matmul(ops.softmax(ops.where(lower, scores_of(q, k), -1e9)), v)

    for attend in (causal, masked):
        own = Own(attend, name="own")
        expected = np.tril(own.weights_of(X))
        found = nv.attention(model_of(own), "own", X).weights
        np.testing.assert_allclose(found, expected / expected.sum(-1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    "soften",
    [L.Softmax(), L.Activation("softmax"), keras.activations.softmax],
    ids=["Softmax", "Activation", "function"],
)
def test_attention_of_keras_small_layers(soften):
    x = keras.Input((TOKENS, HEADS * SIZE))
    q, k, v = (L.Dense(SIZE)(x) for _ in range(3))
    weights = L.Dropout(0.5)(soften(L.Dot((2, 2), name="scores")([q, k])))
    model = keras.Model(x, [L.Dot((2, 1), name="mixed")([weights, v]), weights])
    np.testing.assert_allclose(nv.attention(model, x=X).weights[:, 0], native(model(X)[1]), atol=1e-5)
    assert nv.attention(model, x=X).layer == "mixed"


def test_windows_are_told_from_heads():
    x = keras.Input((8, HEADS * SIZE))
    windows = ops.reshape(x, (-1, 4, HEADS * SIZE))
    q = L.Dense(SIZE)(windows)
    mixed = ops.matmul(ops.softmax(ops.matmul(q, ops.swapaxes(q, 1, 2))), windows)
    model = keras.Model(x, mixed)
    found = nv.attention(model, x=array(3, 8, 8), window=1)
    assert found.weights.shape == (3, 1, 4, 4)
    assert "window 1 of 2" in found.title


@pytest.mark.parametrize(
    ("attend", "reason"),
    [
        (
            lambda q, k, v: ops.sum(ops.softmax(scores_of(q, k))[..., None] * v[:, :, None], axis=-2),
            "computes a softmax of products of two values",
        ),
        (
            lambda q, k, v: ops.matmul(ops.softmax(scores_of(q, k)), v) if ops.max(q) > -99 else v,
            "cannot be followed without values",
        ),
    ],
    ids=["no matrix product", "looks at values"],
)
def test_what_cannot_be_read_is_named(attend, reason):
    class Deciding(Own):
        def build(self, shape: Any) -> None:
            for dense in self.dense:
                dense.build(shape)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    own = Deciding(attend, name="own")
    x = keras.Input((TOKENS, HEADS * SIZE))
    h = own(x)
    model = keras.Model(x, L.MultiHeadAttention(2, 4, name="mha")(h, h))
    with pytest.raises(nv.UnsupportedError, match=reason):
        nv.attention(model, "own", X)
    found = nv.attention(model, x=X, rollout=True)
    assert reason in found.left_out["own"]
    assert "without 'own'" in found.title
