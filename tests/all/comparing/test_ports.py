"""A port that succeeded gives no alarm; one that has another structure is told where that begins."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models

from .ported import (
    classifier,
    encoder,
    mobilenet_v2,
    pictures,
    resnet50,
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
    assert {pair.status for pair in found.pairs} <= {"agrees", "compensated", "rounding"}
    assert {cause.name for cause in found.causes} <= {"rate", "rounding", "head"}, found.causes
    for side, paths in (("a", found.unmatched_a), ("b", found.unmatched_b)):
        weighty = [path for path in paths if nv.wrap(a if side == "a" else b)[path].weights]
        assert not weighty


@pytest.mark.parametrize("make", PORTS.values(), ids=PORTS)
def test_a_port_is_found_to_be_one(make):
    port = make()
    ours = nv.capture(port.in_keras, port.x)[""].values
    assert np.std(ours, axis=0).max() > 1e-5  # samples differ, so that something was computed
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


def test_branches_of_equal_shapes_that_were_exchanged_are_found():
    """The last convolution of a block and that of its shortcut have equal shapes; order alone exchanges them."""
    in_torch = models.resnet50(weights=None)
    in_torch.fc = nn.Identity()
    in_keras = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
    )
    report = nv.copy_weights(in_torch, in_keras)
    assert not report.skipped
    (entry,) = (
        entry for entry in report.copied if (entry.source, entry.weight) == ("layer1.0.conv3", "kernel")
    )
    assert (entry.target, entry.evidence) == ("conv2_block1_0_conv", "order among equals")
    assert str(report).splitlines()[0].endswith("by order among equals: compare both with an input")
    first = nv.compare(in_keras, in_torch, pictures(32)).first_divergence
    assert (first.path_a, first.path_b) in {
        ("conv2_block1_0_conv", "layer1.0.downsample.0"),
        ("conv2_block1_3_conv", "layer1.0.conv3"),
    }


def test_the_same_model_in_two_precisions_of_keras_is_no_other():
    port = classifier()
    keras.config.set_floatx("float64")
    try:
        double = keras.models.clone_model(port.in_keras)
    finally:
        keras.config.set_floatx("float32")
    double.set_weights(port.in_keras.get_weights())
    assert_no_alarm(double, port.in_torch, port.x)
