"""A port that succeeded gives no alarm; one that has another structure is told where that begins."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from tests.all.ported import (
    classifier,
    encoder,
    mobilenet_v2,
    resnet50,
    resnet50_in_keras,
    stock_resnet50,
    vgg16,
)

PORTS = {
    "vgg16": vgg16,
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "lstm": classifier,
    "bidirectional lstm": lambda: classifier(bidirectional=True),
    "bidirectional gru": lambda: classifier(bidirectional=True, kind="GRU"),
    "encoder, norm after": encoder,
    "encoder, norm before": lambda: encoder(pre_norm=True),
}


def assert_no_alarm(a: Any, b: Any, x: Any) -> None:
    found = nv.compare(a, b, x)
    assert found.first_divergence is None, str(found)
    assert {pair.status for pair in found.pairs} <= {"agrees", "undone"}
    assert {cause.name for cause in found.causes} <= {"momentum", "rate"}, found.causes
    for side, paths in (("a", found.unmatched_a), ("b", found.unmatched_b)):
        weighty = [path for path in paths if nv.wrap(a if side == "a" else b)[path].weights]
        assert not weighty


@pytest.mark.parametrize("make", PORTS.values(), ids=PORTS)
def test_a_port_is_found_to_be_one(make):
    port = make()
    ours = nv.capture(port.in_keras, port.x)[""].values
    assert np.std(ours, axis=0).max() > 1e-6  # samples differ, so that something was computed
    assert_no_alarm(port.in_keras, port.in_torch, port.x)
    assert_no_alarm(port.in_torch, port.in_keras, port.x)


@pytest.mark.parametrize("back", [False, True])
def test_the_stride_of_stock_resnet50_is_what_differs(back):
    port = stock_resnet50()
    pair = (port.in_keras, port.in_torch)
    found = nv.compare(*(pair[::-1] if back else pair), port.x)
    first = found.first_divergence
    paths = (first.path_a, first.path_b)
    assert (paths[::-1] if back else paths) == ("conv3_block1_1_conv", "layer2.0.conv1")
    assert first.given_error < 1e-4
    cause = found.causes[0]
    assert (cause.name, cause.confirmed) == ("stride", True)
    assert all(size in cause.text for size in ("(1, 1)", "(2, 2)"))
    assert {"epsilon", "momentum"} <= {cause.name for cause in found.causes}
    epsilon = next(cause.text for cause in found.causes if cause.name == "epsilon")
    assert "1.001e-05" in epsilon


def test_copied_by_order_alone_two_branches_of_equal_shapes_are_found_exchanged():
    """The last convolution of a block and that of its shortcut are both 64 → 256."""
    port = resnet50()
    in_keras = resnet50_in_keras(64)
    assert not nv.copy_weights(port.in_torch, in_keras).skipped
    found = nv.compare(in_keras, port.in_torch, port.x)
    assert found.first_divergence.path_a in ("conv2_block1_0_conv", "conv2_block1_3_conv")
    assert not found.output.within


def test_the_same_model_in_two_precisions_of_keras_is_no_other():
    port = classifier()
    keras.config.set_floatx("float64")
    try:
        double = keras.models.clone_model(port.in_keras)
    finally:
        keras.config.set_floatx("float32")
    double.set_weights(port.in_keras.get_weights())
    assert_no_alarm(double, port.in_torch, port.x)
