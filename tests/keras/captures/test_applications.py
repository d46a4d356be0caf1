"""The networks of ``keras.applications``: every layer accounted for, and the network as it was before.

``NETVIZ_APPLICATIONS=all`` takes the whole of them instead of a few small ones.
"""

from __future__ import annotations

import inspect
import os

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import ENGINE, array, native

ALL = sorted(
    name
    for name, make in vars(keras.applications).items()
    # Keras itself refuses this one on torch.
    if inspect.isfunction(make) and not (name == "NASNetMobile" and ENGINE == "torch")
)
FEW = ["ConvNeXtTiny", "EfficientNetB0", "MobileNetV2", "ResNet50V2"]


@pytest.mark.parametrize("name", ALL if os.environ.get("NETVIZ_APPLICATIONS") == "all" else FEW)
def test_applications(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(75, 75, 3))
    x = array(1, 75, 75, 3)
    before = native(model(x, training=False))
    variables = [native(variable.value).copy() for variable in model.non_trainable_variables]
    captured = nv.capture(model, nv.images(x), max_bytes=2**36)
    assert set(captured) == set(captured.coverage)
    assert {"", *(operation.name for operation in model.operations)} <= set(captured)
    assert {entry.status for entry in captured.coverage.values()} == {"captured"}
    np.testing.assert_array_equal(captured[""].transpose("batch", "y", "x", "channel").values, before)
    np.testing.assert_array_equal(native(model(x, training=False)), before)
    np.testing.assert_equal([native(variable.value) for variable in model.non_trainable_variables], variables)
    assert keras.Layer.__call__.__qualname__ == "Layer.__call__"
    sizes = [weight.shape for layer in nv.wrap(model).layers.values() for weight in layer.weights.values()]
    assert sum(int(np.prod(size)) for size in sizes) == model.count_params()


def test_a_full_classifier() -> None:
    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3), classes=7)
    captured = nv.capture(model, array(2, 64, 64, 3), "predictions")
    assert captured["predictions"].sizes == {"batch": 2, "channel": 7}
