"""The same network in PyTorch and in Flax agrees once its weights are carried over; a planted fault is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from flax import nnx
from networks import (
    Convolutional,
    Perceptron,
    TorchConvolutional,
    TorchPerceptron,
    TorchTransformer,
    Transformer,
)

import netviz_core as nv

RANDOM = np.random.default_rng(0)
IMAGES = nv.images(RANDOM.normal(size=(6, 8, 8, 3)).astype("float32"))
ROWS = RANDOM.normal(size=(6, 6)).astype("float32")
TOKENS = RANDOM.integers(0, 20, (6, 7)).astype("int32")
NETWORKS: dict[str, tuple[Any, Any, Any]] = {
    "convolutions": (TorchConvolutional, Convolutional, IMAGES),
    "dense layers": (TorchPerceptron, Perceptron, (torch.from_numpy(ROWS), ROWS)),
    "transformer": (TorchTransformer, Transformer, (torch.from_numpy(TOKENS).long(), TOKENS)),
}


def twins(name: str, **changed: Any) -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    make, same, x = NETWORKS[name]
    original, port = make(), same(nnx.Rngs(1), **changed)
    if name == "convolutions":
        with torch.no_grad():
            original.norm1.running_var.uniform_(0.05, 2)
    nv.copy_weights(original, port)
    return original, port, x


@pytest.mark.parametrize("name", NETWORKS)
def test_a_port_with_the_weights_of_its_original_agrees(name: str) -> None:
    original, port, x = twins(name)
    found = nv.compare(original, port, x)
    assert found.agrees, found.to_text()
    assert nv.summary(port).total_parameters == nv.summary(original).total_parameters
    back = type(original)()
    nv.copy_weights(port, back)
    assert nv.compare(back, port, x).agrees


def scale(module: Any, by: float) -> None:
    module.set_value(module.get_value() * by)


FAULTS: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "a kernel": ("convolutions", lambda port: scale(port.conv1.kernel, 1.3), "conv1"),
    "a running variance": ("convolutions", lambda port: scale(port.norm1.var, 2.0), "norm1"),
    "a list entry": ("dense layers", lambda port: scale(port.layers[3].kernel, 0.5), "layers.3"),
    "a query": ("transformer", lambda port: scale(port.blocks[1].attention.query.kernel, 1.5), "blocks.1.attention"),
    "an embedding": ("transformer", lambda port: scale(port.embed.embedding, 1.1), "embed"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_weight_that_was_changed_is_found_at_its_layer(fault: str) -> None:
    name, plant, place = FAULTS[fault]
    original, port, x = twins(name)
    plant(port)
    found = nv.compare(original, port, x)
    assert not found.agrees
    assert [cause.path_b for part in found.faults for cause in part.causes if cause.confirmed] == [place]


@pytest.mark.parametrize(("changed", "place"), [({"epsilon": 0.1}, "norm1"), ({"strides": 2}, "conv2")])
def test_a_number_that_was_changed_is_found_at_its_layer(changed: dict[str, Any], place: str) -> None:
    original, port, x = twins("convolutions", **changed)
    found = nv.compare(original, port, x)
    assert not found.agrees
    assert place in [cause.path_b for cause in found.causes]
