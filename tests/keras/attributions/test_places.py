"""Which place of which picture of which sample a value belongs to, followed through a Keras model."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

import netviz_core as nv

random = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return random.random(shape).astype("float32")


def weights_of(model, layer, target):
    """The Grad-CAM of a global average pool and a dense layer, by the definition of both."""
    kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)[:, target]
    values = keras.ops.convert_to_numpy(layer)
    places = np.prod(values.shape[1:-1])
    return np.maximum((values * kernel / places**1).sum(-1), 0)


def test_each_call_of_a_shared_encoder_lies_over_its_own_picture():
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv"), layers.GlobalMaxPooling2D()],
        name="encoder",
    )
    left, right = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    model = keras.Model([left, right], layers.Dense(2)(layers.concatenate([encoder(left), encoder(right)])))
    x = np.zeros((1, 8, 8, 1), "float32"), np.ones((1, 8, 8, 1), "float32")
    shown = [nv.cam(model, x, f"encoder/conv:{call}", 0).images.max() for call in (0, 1)]
    assert shown == [0, 1]
    with pytest.raises(nv.LayerNotFoundError, match="'encoder/conv:1'"):
        nv.cam(model, x, "encoder/conv:2", 0)


@pytest.mark.parametrize("size", [(12,), (6, 8), (4, 6, 8)])
def test_signals_pictures_and_volumes_have_maps(size):
    rank = len(size)
    model = keras.Sequential(
        [
            keras.Input((*size, 2)),
            getattr(layers, f"Conv{rank}D")(4, 3, padding="same", name="conv"),
            getattr(layers, f"GlobalAveragePooling{rank}D")(),
            layers.Dense(3),
        ]
    )
    x = pixels(2, *size, 2)
    view = nv.cam(model, x, None, 1)
    want = weights_of(model, model.get_layer("conv")(x), 1)
    np.testing.assert_allclose(view.maps, want.reshape(view.maps.shape), atol=1e-5)
    assert view.layer == "conv"
    assert len(view.maps) == 2 * (size[0] if rank == 3 else 1)
    assert np.isfinite(view.heat).all()


def test_tokens_with_others_around_them_lie_where_they_were_made():
    class Around(layers.Layer):
        def build(self, shape):
            self.extra = self.add_weight(shape=(1, 3, shape[-1]), name="extra")

        def call(self, x):
            extra = ops.broadcast_to(self.extra, (ops.shape(x)[0], 3, x.shape[-1]))
            return ops.concatenate([extra[:, :1], x, extra[:, 1:]], axis=1)

    image = keras.Input((16, 24, 3))
    patches = layers.Conv2D(8, 4, strides=4)(image)
    tokens = Around()(layers.Reshape((24, 8))(patches))
    tokens = tokens + layers.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    seen = layers.LayerNormalization(name="norm")(tokens)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(seen)))
    x = pixels(2, 16, 24, 3)
    values = keras.ops.convert_to_numpy(keras.Model(image, seen)(x))[:, 1:25]
    kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)[:, 1] / 27
    want = np.maximum((values * kernel).sum(-1), 0).reshape(2, 4, 6)
    np.testing.assert_allclose(nv.cam(model, x, "norm", 1).maps, want, atol=1e-5)
    grid = nv.attention(model, "attention", x).grid
    np.testing.assert_array_equal(grid.index, np.arange(1, 25).reshape(4, 6))


def test_steps_of_a_video_are_tiles_of_their_own():
    inner = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3)])
    video = [
        layers.TimeDistributed(layers.Conv2D(4, 3), name="layer"),
        layers.TimeDistributed(inner, name="model"),
    ]
    for steps in video:
        model = keras.Sequential([keras.Input((5, 8, 8, 1)), steps])
        x = pixels(2, 5, 8, 8, 1)
        want = keras.ops.convert_to_numpy(model(x))
        assert nv.capture(model, x)[steps.name].axes == ("batch", "time", "channel", "y", "x")
        grid = nv.feature_maps(model, steps.name, x, sample=1)
        np.testing.assert_allclose(grid.tiles, np.moveaxis(want[1], -1, 0).reshape(-1, 6, 6), atol=1e-5)
        assert grid.tile_label == "channel × time"


def test_slices_are_counted_as_what_they_are():
    model = keras.Sequential([keras.Input((12, 8, 8, 2)), layers.Conv3D(4, 3, name="conv")])
    assert nv.feature_maps(model, "conv", pixels(1, 12, 8, 8, 2)).tile_label == "channel × z"
    assert nv.kernels(model, "conv").tile_label == "out × in × z"


@pytest.mark.parametrize(
    "before",
    [
        [layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1), layers.RandomContrast(0.1)],
        [layers.CenterCrop(6, 6)],
        [layers.RandomBrightness(0.1), layers.CenterCrop(5, 6), layers.Rescaling(1.0)],
    ],
    ids=["augmented", "cropped", "both"],
)
def test_pictures_that_are_augmented_and_cropped_within_the_model(before):
    head = [layers.Conv2D(3, 1, name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model, x = keras.Sequential([keras.Input((8, 9, 1)), *before, *head]), pixels(2, 8, 9, 1)
    found = nv.cam(model, x, target=1)
    returned = keras.Model(model.inputs[0], model.get_layer("conv").output)(x, training=False)
    np.testing.assert_allclose(found.maps, weights_of(model, returned, 1), atol=1e-5)
    np.testing.assert_allclose(found.images[..., 0], x[..., 0], atol=1e-6)


def test_a_layer_within_a_wrapper_that_casts_what_it_returns():
    conv = layers.SpectralNormalization(layers.Conv2D(3, 1), name="conv")
    model = keras.Sequential([keras.Input((8, 8, 1)), conv, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    x = pixels(2, 8, 8, 1)
    np.testing.assert_allclose(nv.cam(model, x, target=1).maps, weights_of(model, conv(x), 1), atol=1e-5)
