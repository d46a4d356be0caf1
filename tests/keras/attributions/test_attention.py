"""The weights from query to key: those that Keras itself returns when it is asked for them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.captures.capture import Capture
from netviz_core.captures.recorder import Recorder

from ..captures.test_run import Stateful
from ..conftest import L, array, native

BACKEND = nv.get_backend("keras")
AXES = ("batch", "head", "query", "key")


def attended(model: Any, x: Any, layers: Any = "*") -> Capture:
    recorder = Recorder(nv.wrap(model).select(layers))
    BACKEND.attention(model, x, recorder)
    return Capture("keras", recorder)


class Calling(keras.Model):
    """One attention layer, called as given."""

    def __init__(self, layer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.attention = layer
        self.given = args, kwargs

    def call(self, x: Any) -> Any:
        args, kwargs = self.given
        if isinstance(self.attention, L.Attention):
            return self.attention([x, *args], **kwargs)
        return self.attention(x, *(args or (x,)), **kwargs)


def check(layer: Any, x: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
    """Compare with Keras' own, and the output with that of a plain call; returns the weights."""
    model = Calling(layer, *map(keras.ops.convert_to_tensor, args), **kwargs)
    plain = native(model(x))
    found = attended(model, x)[layer.name]
    inputs = ([x, *args],) if isinstance(layer, L.Attention) else (x, *(args or (x,)))
    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    _, own = layer(*inputs, **kwargs, return_attention_scores=True)
    expected = native(own)
    assert found.axes == AXES
    np.testing.assert_allclose(
        found.values, expected[:, None] if isinstance(layer, L.Attention) else expected, atol=1e-5
    )
    np.testing.assert_allclose(found.values.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(native(model(x)), plain)
    return found.values


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(causal: bool) -> None:
    layer = L.MultiHeadAttention(3, 4, dropout=0.5 if causal else 0, name="mha")
    found = check(layer, array(2, 5, 6), use_causal_mask=causal)
    assert found.shape == (2, 3, 5, 5)
    assert (found[:, :, 0, 1:] == 0).all() == causal
    check(layer, array(2, 5, 6), array(2, 7, 6))


@pytest.mark.parametrize("causal", [False, True])
def test_grouped_query_attention(causal: bool) -> None:
    layer = L.GroupQueryAttention(4, 4, 2, name="gqa")
    assert check(layer, array(2, 5, 6), use_causal_mask=causal).shape == (2, 4, 5, 5)
    check(layer, array(2, 5, 6), array(2, 7, 6))


@pytest.mark.parametrize("make", [L.Attention, L.AdditiveAttention])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_without_heads(make: Any, causal: bool) -> None:
    x, other = array(2, 5, 6), array(2, 7, 6)
    assert check(make(name="plain"), x, other, use_causal_mask=causal).shape == (2, 1, 5, 7)


def test_masks() -> None:
    layer, x = L.MultiHeadAttention(2, 3, name="mha"), array(2, 4, 6)
    mask = np.random.default_rng(0).random((2, 4, 4)) < 0.5
    mask[..., 0] = True
    found = check(layer, x, attention_mask=mask)
    assert not found[np.broadcast_to(~mask[:, None], found.shape)].any()
    keys = np.array([[True, True, False, False]] * 2)
    assert not check(layer, x, value_mask=keys)[..., 2:].any()


def test_masks_of_tokens() -> None:
    tokens = np.array([[1, 2, 3, 0], [1, 0, 0, 0]])
    x = keras.Input((4,), dtype="int32")
    h = L.Embedding(5, 6, mask_zero=True)(x)
    model = keras.Model(x, L.MultiHeadAttention(2, 3, name="mha")(h, h))
    found = attended(model, tokens)["mha"].values
    assert not found[0, :, :3, 3].any()
    assert not found[1, :, 0, 1:].any()
    np.testing.assert_allclose(found[1, :, 0, 0], 1, atol=1e-5)


def test_positions_along_several_axes_are_flattened() -> None:
    x = array(2, 3, 4, 6)
    both = L.MultiHeadAttention(2, 3, name="both")
    model = Calling(both)
    model(x)
    _, own = both(*map(keras.ops.convert_to_tensor, (x, x)), return_attention_scores=True)
    np.testing.assert_allclose(
        attended(model, x)["both"].values, native(own).reshape(2, 2, 12, 12), atol=1e-5
    )
    rows = L.MultiHeadAttention(2, 3, attention_axes=(2,), name="rows")
    model = Calling(rows)
    model(x)
    found = attended(model, x)["rows"]
    assert found.axes == ("batch", "window", "head", "query", "key")
    assert found.shape == (2, 3, 2, 4, 4)


def transformer() -> keras.Model:
    inner_in = keras.Input((5, 6))
    shared = L.MultiHeadAttention(2, 3, name="shared")
    inner = keras.Model(inner_in, shared(inner_in, inner_in), name="block")
    x = keras.Input((5, 6), name="x")
    h = inner(inner(x))
    own, weights = L.MultiHeadAttention(2, 3, name="asked")(h, h, return_attention_scores=True)
    return keras.Model(x, {"h": own, "weights": weights, "plain": L.Dense(2, name="head")(own)})


def test_nested_models_and_layers_called_twice() -> None:
    model, x = transformer(), array(2, 5, 6)
    plain = model(x)
    found = attended(model, x)
    assert list(found) == ["block/shared:0", "block/shared:1", "asked"]
    np.testing.assert_allclose(found["asked"].values, native(plain["weights"]), atol=1e-5)
    shared = model.get_layer("block").get_layer("shared")
    h = keras.ops.convert_to_tensor(x)
    for call in range(2):
        h, own = shared(h, h, return_attention_scores=True)
        np.testing.assert_allclose(found[f"block/shared:{call}"].values, native(own), atol=1e-5)


def test_the_callers_get_what_they_asked_for() -> None:
    model, x = transformer(), array(2, 5, 6)
    with nv.recording(model) as seen:
        attended(model, x)
    with nv.recording(model) as expected:
        model(x, training=False)
    # Only where it is asked for weights does a layer have them go through its own softmax layer.
    assert [key for key in seen if "softmax" not in key] == [key for key in expected if "softmax" not in key]
    for key, activation in expected.items():
        np.testing.assert_allclose(seen[key].values, activation.values, atol=1e-5)


def test_other_layers_say_why_not() -> None:
    found = attended(transformer(), array(2, 5, 6))
    assert found.coverage["head"].status == "not_observed"
    assert "none of Keras' attention layers" in found.coverage["head"].reason
    assert found.coverage["asked"].status == "captured"


def test_a_subclass_with_a_call_of_its_own() -> None:
    class Own(L.MultiHeadAttention):
        def call(self, query: Any, value: Any, key: Any = None) -> Any:
            return super().call(query, value, key)

    found = attended(Calling(Own(2, 3, name="own")), array(2, 5, 6))
    assert "does not take return_attention_scores" in found.coverage["own"].reason


def test_flash_attention_is_computed_in_full() -> None:
    layer, x = L.MultiHeadAttention(2, 3, name="mha"), array(2, 5, 6)
    expected = check(layer, x)
    model = Calling(layer)
    model(x)
    layer._flash_attention = True
    np.testing.assert_array_equal(attended(model, x)["mha"].values, expected)
    assert layer._flash_attention


def test_nothing_of_the_model_changes() -> None:
    layer = L.MultiHeadAttention(2, 3, dropout=0.5, activity_regularizer="l2", name="mha")
    model, x = keras.Sequential([Stateful(), Calling(layer)]), array(2, 5, 6)
    model(x, training=True)
    before = [native(variable.value).copy() for variable in model.variables]
    losses = [float(native(loss)) for loss in model.losses]
    attended(model, x)
    np.testing.assert_equal([native(variable.value) for variable in model.variables], before)
    assert [float(native(loss)) for loss in model.losses] == losses
    original = keras.Layer.__call__
    with pytest.raises(nv.InputError, match="the model takes"):
        attended(model, array(2, 5))
    assert keras.Layer.__call__ is original


def looking_at_two_pictures() -> keras.Model:
    image = keras.Input((32, 32, 3))
    tokens = L.Reshape((16, 8))(L.Conv2D(8, 8, 8)(image))
    attended = L.MultiHeadAttention(1, 8, name="mha")(tokens, tokens)
    vit = keras.Model(image, L.GlobalAveragePooling1D()(attended), name="vit")
    first, second = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    return keras.Model([first, second], L.Concatenate()([vit(first), vit(second)]))


def test_weights_lie_over_the_picture_that_the_call_was_given() -> None:
    pictures = np.zeros((1, 32, 32, 3), "float32"), np.full((1, 32, 32, 3), 0.5, "float32")
    for call, picture in enumerate(pictures):
        shown = nv.attention(looking_at_two_pictures(), f"vit/mha:{call}", pictures).over_image().images
        np.testing.assert_allclose(shown, picture)


def test_windows_in_the_place_of_samples_are_refused() -> None:
    x = keras.Input((8, 6))
    windows = keras.ops.reshape(x, (-1, 4, 6))
    model = keras.Model(x, L.MultiHeadAttention(2, 3, name="mha")(windows, windows))
    with pytest.raises(nv.UnsupportedError, match="axis0 4, head 2, query 4, key 4"):
        nv.attention(model, x=array(2, 8, 6))
