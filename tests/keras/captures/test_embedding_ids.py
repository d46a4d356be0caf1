"""Ids that an embedding does not have are told in a sentence, on every engine that stumbles over them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import netviz_core as nv

CLIPS = keras.backend.backend() == "jax"
"""JAX does not fail, but gives NaN, which is then told as everywhere."""


def flat() -> keras.Model:
    return keras.Sequential(
        [keras.Input((3,), dtype="int32"), layers.Embedding(5, 3, name="emb"), layers.Dense(2)]
    )


def functional() -> keras.Model:
    tokens, places = keras.Input((3,), dtype="int32"), keras.Input((3,), dtype="int32")
    added = layers.Add()([layers.Embedding(5, 3, name="emb")(tokens), layers.Embedding(9, 3)(places)])
    return keras.Model([tokens, places], added)


class Written(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.Sequential([layers.Embedding(5, 3, name="emb")], name="inner")
        self.other = layers.Embedding(50, 3)

    def call(self, x):
        return self.inner(x) + self.other(x + 40)


MODELS = {
    "flat": (flat, "emb", lambda ids: ids),
    "functional": (functional, "emb", lambda ids: (ids, np.arange(3)[None])),
    "written": (Written, "inner/emb", lambda ids: ids),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("use", [nv.capture, nv.summary, nv.health])
@pytest.mark.parametrize("wrong", [7, -6])
def test_an_embedding_says_which_ids_it_takes(kind, use, wrong):
    made, path, given = MODELS[kind]
    model = made()
    model(given(np.array([[0, 1, 2]])))
    ids = given(np.array([[1, wrong, 2]]))
    if CLIPS:
        assert np.isnan(nv.capture(model, ids, path)[path].values[0, 1]).all()
        assert nv.health(model, ids).first_nonfinite == path
        return
    with pytest.raises(nv.InputError) as raised:
        use(model, ids)
    told = f"layer {path!r} (embedding) takes whole numbers from 0 to 4, and {wrong} is among them"
    assert told in str(raised.value)


def test_ids_that_the_model_makes_itself_are_its_own_error():
    model = keras.Sequential([keras.Input((3,)), layers.Rescaling(100.0), layers.Embedding(5, 3)])
    if CLIPS:
        return
    with pytest.raises(Exception, match="Embedding") as raised:
        nv.capture(model, np.ones((1, 3)))
    assert not isinstance(raised.value, nv.NetvizError)
