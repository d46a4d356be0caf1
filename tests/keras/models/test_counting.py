"""How many parameters Keras counts, and inputs made of nothing but their shapes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.words.errors import InputError

from ..conftest import L, Subclassed, array, native, small_cnn

BACKEND = nv.get_backend("keras")


def test_parameters_are_counted_as_keras_does() -> None:
    model = small_cnn()
    assert BACKEND.parameter_count(model) == model.count_params() == 167
    with pytest.raises(InputError, match="has seen none; call it once"):
        BACKEND.parameter_count(Subclassed())


def runs(model: Any, shapes: Any = None) -> Any:
    example = BACKEND.example_of(model, shapes)
    BACKEND.run(model, example)
    return keras.tree.map_structure(
        lambda x: (tuple(x.shape), keras.backend.standardize_dtype(x.dtype)), example
    )


def test_declared_inputs() -> None:
    assert runs(small_cnn()) == ((1, 8, 8, 1), "float32")
    assert runs(small_cnn(), [(3, 8, 8, 1)]) == ((3, 8, 8, 1), "float32")
    image, tokens = (
        keras.Input((4,), name="image", dtype="float16"),
        keras.Input((3,), name="tokens", dtype="int32"),
    )
    parts = [L.Dense(2)(image), L.GlobalAveragePooling1D()(L.Embedding(5, 2)(tokens))]
    joined = L.Add()(parts)
    expected = ((1, 4), "float16"), ((1, 3), "int32")
    assert runs(keras.Model([image, tokens], joined)) == list(expected)
    by_name = keras.Model({"image": image, "tokens": tokens}, joined)
    assert runs(by_name) == dict(zip(("image", "tokens"), expected, strict=True))
    assert runs(by_name, [(2, 4), (2, 3)])["tokens"] == ((2, 3), "int32")
    with pytest.raises(InputError, match="1 shapes were given; the model takes 2 inputs"):
        BACKEND.example_of(by_name, [(2, 4)])


def test_what_a_model_was_built_for() -> None:
    model = Subclassed()
    with pytest.raises(InputError, match="does not say what shape its input has"):
        BACKEND.example_of(model, None)
    assert runs(model, [(2, 5)]) == ((2, 5), "float32")
    assert runs(model)[0][1:] == (5,)

    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, left: Any, right: Any) -> Any:
            return self.dense(left) + self.dense(right)

    two = Two()
    two(array(3, 4), array(3, 4))
    with pytest.raises(InputError, match="does not say what shape its input has"):
        BACKEND.example_of(two, None)
    assert runs(two, [(2, 4), (2, 4)]) == (((2, 4), "float32"), ((2, 4), "float32"))

    class Built(Two):
        def build(self, left_shape: Any, right_shape: Any) -> None:
            self.dense.build(left_shape)

    built = Built()
    built(array(3, 4), array(3, 4))
    assert {name: shape[1:] for name, (shape, _) in runs(built).items()} == {"left": (4,), "right": (4,)}


def test_tokens_are_zeros() -> None:
    model = keras.Sequential([L.Embedding(5, 2), L.LSTM(3)])
    made = BACKEND.example_of(model, [(2, 6)])
    np.testing.assert_array_equal(native(made), np.zeros((2, 6), "int32"))
    assert runs(model, [(2, 6)]) == ((2, 6), "int32")


def test_the_same_numbers_each_time() -> None:
    first, second = (native(BACKEND.example_of(small_cnn(), None)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.std() > 0.5


def test_open_sizes_are_named() -> None:
    model = keras.Sequential([keras.Input((None, 4), name="steps"), L.LSTM(3)])
    with pytest.raises(InputError, match=r"'steps' open: \(any, any, 4\)"):
        BACKEND.example_of(model, None)
    assert runs(model, [(1, 7, 4)]) == ((1, 7, 4), "float32")


def test_strings_cannot_be_made() -> None:
    class Words(L.Layer):
        def call(self, x: Any) -> Any:
            return x

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, "string")

    words = keras.Input((1,), dtype="string")
    with pytest.raises(InputError, match="takes strings"):
        BACKEND.example_of(keras.Model(words, Words()(words)), None)


def test_a_dot_in_a_name_puts_no_layer_into_another() -> None:
    # Without weights, whose names must not have a dot where Keras runs on torch.
    dotted = L.Activation("relu", name="stem.relu")
    model = keras.Sequential([keras.Input((4,)), L.Dense(4, name="stem"), dotted, L.Dense(3, name="head")])
    found = nv.summary(model)
    assert [(row.path, row.parent, row.parameters) for row in found.rows[1:]] == [
        ("stem", "", 20),
        ("stem.relu", "", 0),
        ("head", "", 15),
    ]
    assert found.multiply_accumulates == 16 + 12
    assert not nv.graph(model).groups


def test_a_mask_is_no_value_of_attention() -> None:
    queries, values = keras.Input((5, 8)), keras.Input((7, 8))
    masks = [keras.Input((5,), dtype="bool"), keras.Input((7,), dtype="bool")]
    model = keras.Model([queries, values, *masks], L.Attention(name="at")([queries, values], mask=masks))
    assert nv.summary(model)["at"].multiply_accumulates == 5 * 7 * (8 + 8)


def test_what_recurrent_layers_within_return_is_counted() -> None:
    model = keras.Sequential([keras.Input((5, 8)), L.Bidirectional(L.LSTM(3, return_sequences=True))])
    assert nv.summary(model).output_bytes == 4 * 2 * 5 * 3
