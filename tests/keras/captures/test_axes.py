"""The axes of what is captured: known from the layer that made them, carried on, and not guessed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import netviz_core as nv

from ..conftest import ENGINE, L, array
from .test_capture import canonical


def test_axes_of_convolutions_pooling_and_what_keeps_them() -> None:
    one = keras.Sequential(
        [
            keras.Input((8, 3)),
            L.Conv1D(4, 3, name="conv"),
            L.LayerNormalization(name="norm"),
            L.MaxPooling1D(name="pool"),
            L.Activation("relu", name="relu"),
            L.Dense(5, name="dense"),
            L.Permute((2, 1), name="turn"),
            L.Reshape((3, 5), name="bend"),
            L.ReLU(name="lost"),
            L.Dense(2, name="named"),
            L.GlobalMaxPooling1D(name="all"),
        ]
    )
    axes = {key: value.axes for key, value in nv.capture(one, array(2, 8, 3)).items()}
    for key in ("conv", "norm", "pool", "relu", "dense"):
        assert axes[key] == ("batch", "channel", "x")
    assert axes["turn"] == ("batch", "channel", "x")
    assert axes["bend"] == axes["lost"] == ("batch", "axis1", "axis2")
    assert axes["named"] == ("batch", "axis1", "channel")
    assert axes["all"] == ("batch", "channel")


def test_axes_of_volumes_padding_and_films() -> None:
    volume = keras.Sequential(
        [
            keras.Input((4, 4, 4, 2)),
            L.ZeroPadding3D(name="pad"),
            L.Conv3D(2, 2, name="conv"),
            L.UpSampling3D(name="up"),
        ]
    )
    captured = nv.capture(volume, array(1, 4, 4, 4, 2))
    assert {captured[key].axes for key in ("pad", "conv", "up")} == {("batch", "channel", "z", "y", "x")}
    film = keras.Sequential(
        [
            keras.Input((3, 6, 6, 2)),
            L.TimeDistributed(L.Conv2D(2, 3), name="td"),
            L.ConvLSTM2D(2, 2, return_sequences=True, name="frames"),
            L.ConvLSTM2D(2, 2, name="last"),
        ]
    )
    captured = nv.capture(film, array(1, 3, 6, 6, 2))
    assert captured["td"].axes == captured["frames"].axes == ("batch", "time", "channel", "y", "x")
    assert captured["last"].axes == ("batch", "channel", "y", "x")


def test_axes_of_an_input_are_known_if_the_user_named_them() -> None:
    x = keras.Input((6, 6, 2), name="x")
    model = keras.Model(x, L.Rescaling(2.0, name="scale")(x))
    values = array(2, 6, 6, 2)
    assert nv.capture(model, values)["scale"].axes == ("batch", "axis1", "axis2", "axis3")
    named = nv.capture(model, nv.images(values))
    assert named["x"].axes == named["scale"].axes == ("batch", "channel", "y", "x")
    np.testing.assert_array_equal(named["x"].values, canonical(values))


def test_axes_are_carried_through_calls_of_the_users_own() -> None:
    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.drop, self.add = (
                L.Conv2D(2, 3, name="conv"),
                L.Dropout(0.1, name="drop"),
                L.Add(name="add"),
            )
            self.relu = L.ReLU(name="relu")

        def call(self, x: Any) -> Any:
            y = self.conv(x)
            return self.relu(self.add([self.drop(y), y])) * 2

    captured = nv.capture(Model(), array(2, 5, 5, 1))
    for key in ("conv", "drop", "add", "relu"):
        assert captured[key].axes == ("batch", "channel", "y", "x")
    assert captured[""].axes == ("batch", "axis1", "axis2", "axis3")


def test_axes_that_a_product_mixes_are_not_guessed() -> None:
    x = keras.Input((4, 4), name="x")
    e = L.Conv1D(4, 1, name="conv")(x)
    model = keras.Model(x, [L.Dot(axes=(2, 2), name="dot")([e, e]), keras.ops.matmul(e, e)])
    captured = nv.capture(model, array(2, 4, 4))
    assert captured["dot"].axes == captured["matmul"].axes == ("batch", "axis1", "axis2")


def test_channels_first() -> None:
    layers = [keras.Input((2, 6, 6)), L.BatchNormalization(axis=1, name="norm")]
    if ENGINE != "tensorflow":  # whose convolutions on the CPU know channels_last only
        layers.append(L.Conv2D(3, 3, data_format="channels_first", name="conv"))
    layers.append(L.UpSampling2D(data_format="channels_first", name="up"))
    captured = nv.capture(keras.Sequential(layers), nv.images(array(1, 6, 6, 2)))
    assert {captured[layer.name].axes for layer in layers[1:]} == {("batch", "channel", "y", "x")}
    assert captured["norm"].shape == (1, 2, 6, 6)
