"""A flat graph runs as one sub-model with all the outputs asked for, and gives what interception gives."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.captures.recorder import Recorder
from netviz_keras import submodel

from ..conftest import ENGINE, Block, L, array, small_cnn
from .test_capture import residual

BACKEND = nv.get_backend("keras")


@pytest.fixture
def intercepted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Capture without the sub-model."""

    def capture(*args: Any) -> nv.Capture:
        with monkeypatch.context() as patched:
            patched.setattr("netviz_keras.backend.sub_model", lambda *_: None)
            return nv.capture(*args)

    return capture


def sequence_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            L.Embedding(9, 4, name="e"),
            L.LSTM(3, name="lstm"),
            L.Dense(2, name="d"),
        ]
    )


def operations_model() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, [keras.ops.relu(L.Dense(4, name="d")(x)) * 2.0, keras.ops.sum(x, axis=1)])


@pytest.mark.parametrize("make", [small_cnn, residual, sequence_model, operations_model])
def test_the_sub_model_and_interception_agree(make: Any, intercepted: Any) -> None:
    model = make()
    x = np.ones((2, 5), "int32") if make is sequence_model else array(2, *model.inputs[0].shape[1:])
    direct, heard = nv.capture(model, x), intercepted(model, x)
    # Keras may run independent branches in one order, and list them in another.
    assert sorted(direct) == sorted(heard)
    for key in direct:
        assert direct[key].axes == heard[key].axes
        assert direct[key].dtype == heard[key].dtype
        np.testing.assert_array_equal(direct[key].values, heard[key].values)
    assert direct.coverage == heard.coverage


class SubModel:
    def found(self, model: Any, x: Any, layers: Any = "*", **options: Any) -> Any:
        network = nv.wrap(model)
        recorder = Recorder(network.select(layers), **options)
        return submodel.sub_model(model, list(BACKEND.layers(model)), recorder, (x,))

    def test_it_is_made_once(self) -> None:
        model, x = small_cnn(), array(2, 8, 8, 1)
        assert self.found(model, x) is self.found(model, x)
        assert self.found(model, x, "conv1") is not self.found(model, x)

    def test_it_is_made_anew_when_layers_change(self) -> None:
        model, x = small_cnn(), array(2, 8, 8, 1)
        assert list(nv.capture(model, x))[-2:] == ["dense1", ""]
        model.add(L.Dense(2, name="dense2"))
        captured = nv.capture(model, x)
        assert captured["dense2"].shape == captured[""].shape == (2, 2)
        model.pop()
        model.pop()
        assert list(nv.capture(model, x))[-2:] == ["dropout", ""]

    def test_it_uses_the_weights_of_the_moment(self) -> None:
        model, x = small_cnn(), array(2, 8, 8, 1)
        nv.capture(model, x)
        model.set_weights([weight * 0 for weight in model.get_weights()])
        assert not nv.capture(model, x)["conv1"].values.any()

    def test_it_does_not_keep_the_model_alive(self) -> None:
        for make in (small_cnn, residual):
            model = make()
            nv.capture(model, array(2, *model.input_shape[1:]))
            gone = weakref.ref(model)
            del model
            gc.collect()
            assert gone() is None

    def test_it_leaves_names_to_the_user(self) -> None:
        keras.utils.clear_session()
        nv.capture(small_cnn(), array(2, 8, 8, 1))
        x = keras.Input((2,))
        assert keras.Model(x, L.ReLU()(x)).name == "functional_1"

    def test_it_is_left_where_it_would_be_wrong(self) -> None:
        class Doubling(keras.Sequential):
            def call(self, *args: Any, **kwargs: Any) -> Any:
                return super().call(*args, **kwargs) * 2

        model = Doubling([keras.Input((4,)), L.Dense(3, name="d")])
        captured = nv.capture(model, array(2, 4))
        np.testing.assert_array_equal(captured[""].values, captured["d"].values * 2)
        x = array(2, 5)
        nested = keras.Sequential([keras.Input((5,)), Block(3, name="block")])
        assert self.found(nested, x) is self.found(nested, x, "block") is None

    def test_it_is_left_where_it_might_hold_too_much(self) -> None:
        model, x = small_cnn(), array(2, 8, 8, 1)
        assert self.found(model, x, max_bytes=2000) is None
        anywhere = keras.Sequential([keras.Input((None, None, 1)), L.Conv2D(2, 3)])
        assert self.found(anywhere, x) is None
        assert nv.capture(anywhere, x).coverage[""].status == "captured"


if ENGINE != "torch":  # whose tensors could change before the sub-model has run

    class TestSubModel(SubModel):
        """The tests above, where there is a sub-model."""


def test_max_bytes_counts_the_layers_asked_for() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    needed = 2 * 3 * 4
    assert list(nv.capture(model, x, "dense1", max_bytes=needed)) == ["dense1"]
    with pytest.raises(
        nv.CaptureTooLargeError, match="layer 'dense1' brings the capture to 24 bytes"
    ) as error:
        nv.capture(model, x, "dense1", max_bytes=needed - 1)
    assert "Arguments received" not in str(error.value)


def test_reductions_hold_no_tensor() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    captured = nv.capture(model, x, "conv1", max_bytes=100, reduce=lambda value: value.values.mean())
    assert captured["conv1"].values == nv.capture(model, x, "conv1")["conv1"].values.mean()
