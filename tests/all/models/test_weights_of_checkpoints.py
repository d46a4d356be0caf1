"""Checkpoints, of either framework and in any form of file, against models: by names, by contents, or not at all."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import netviz_core as nv

L = keras.layers


def in_torch() -> nn.Sequential:
    model = nn.Sequential()
    for number, inputs in ((1, 3), (2, 8), (3, 8)):
        model.add_module(f"conv{number}", nn.Conv2d(inputs, 8, 3))
        model.add_module(f"bn{number}", nn.BatchNorm2d(8))
    for index, buffer in enumerate(model.state_dict().values()):
        if buffer.is_floating_point() and buffer.ndim == 1:
            buffer.copy_(torch.rand(buffer.shape, generator=torch.Generator().manual_seed(index)) + 0.5)
    return model


def in_keras(scale: bool = True) -> Any:
    layers = [
        layer
        for number in (1, 2, 3)
        for layer in (L.Conv2D(8, 3, name=f"c{number}"), L.BatchNormalization(scale=scale, name=f"n{number}"))
    ]
    return keras.Sequential(
        [L.Input((12, 12, 3)), *layers, L.Dropout(0.5), L.GlobalAveragePooling2D(), L.Dense(2)]
    )


def saved(model: Any, suffix: str, folder: Path) -> Any:
    path = folder / f"file{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), path)
    elif suffix == ".safetensors":
        save_file(model.state_dict(), path)
    elif suffix == ".weights.h5":
        model.save_weights(path)
    else:
        return model.state_dict()
    return path


@pytest.mark.parametrize("suffix", ["", ".pt", ".safetensors"])
@pytest.mark.parametrize("other", ["its own", "renamed", "other framework"])
def test_every_batch_norm_of_pytorch_is_compared(tmp_path, suffix, other):
    a = in_torch()
    file = saved(a, suffix, tmp_path)
    b: Any = copy.deepcopy(a)
    if other == "renamed":
        b = nn.Sequential(*b)
    elif other == "other framework":
        b = keras.Sequential(in_keras().layers[:6])
        b.build((None, 12, 12, 3))
        nv.copy_weights(a, b)
    found = nv.compare(file, b)
    assert found.agrees, str(found)
    assert len(found.pairs) == 6
    norm = nv.wrap(b).select(kind="batch_norm")[0]
    norm.weights["running_mean"].assign(np.full(8, 3.0))
    changed = nv.compare(file, b)
    assert changed.first_divergence.path_a == "bn1"
    assert changed.first_divergence.path_b == norm.path


@pytest.mark.parametrize("scale", [True, False])
def test_every_batch_norm_of_keras_is_compared(tmp_path, scale):
    model = in_keras(scale)
    file = saved(model, ".weights.h5", tmp_path)
    found = nv.compare(file, model)
    assert found.agrees, str(found)
    assert len(found.pairs) == 7
    model.get_layer("n2").moving_variance.assign(np.full(8, 3.0))
    assert nv.compare(file, model).first_divergence.path_b == "n2"


@pytest.mark.parametrize("suffix", ["", ".pt"])
def test_norms_of_a_checkpoint_are_copied(tmp_path, suffix):
    a = in_torch()
    for target in (in_torch(), nn.Sequential(*in_torch())):
        with torch.no_grad():
            for tensor in (*target.parameters(), *target.buffers()):
                tensor.fill_(7)
        report = nv.copy_weights(saved(a, suffix, tmp_path), target)
        assert not report.skipped, str(report)
        for left, right in zip(a.parameters(), target.parameters(), strict=True):
            assert torch.equal(left, right)


def test_what_was_compared_with_nothing_is_not_agreed():
    a = in_torch()
    b = copy.deepcopy(a)
    b.add_module("more", nn.Linear(5, 5))
    for one, other, name in ((a, b, "b"), (b, a, "a")):
        found = nv.compare(one.state_dict(), other)
        assert not found.agrees
        assert found.first_divergence is None
        assert found.not_compared == (f"{name}'s kernel, bias of 'more'",)
        assert "agree" not in found.title


def test_the_same_weights_at_other_places_are_no_agreement():
    """Contents tell where names do not: where they do, two layers that changed places are a fault."""
    a = in_torch()
    b = copy.deepcopy(a)
    b.conv2, b.conv3 = a.conv3, a.conv2
    assert not nv.compare(a.state_dict(), b).agrees


def test_layers_of_a_file_without_an_order_are_found_by_contents(tmp_path):
    torch.manual_seed(0)
    a = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("stem", "first", "second", "after")})
    save_file(a.state_dict(), tmp_path / "file.safetensors")
    b = nn.Sequential(*(copy.deepcopy(layer) for layer in a.values()))
    found = nv.compare(tmp_path / "file.safetensors", b)
    assert found.agrees
    assert {(pair.path_a, pair.path_b) for pair in found.pairs} == {
        ("stem", "0"), ("first", "1"), ("second", "2"), ("after", "3"),
    }  # fmt: skip
    assert {pair.evidence for pair in found.pairs} == {("contents",)}


def test_layers_that_a_state_dict_does_not_tell_apart_are_known_by_name():
    model = nn.Sequential()
    model.add_module("norm", nn.LayerNorm(6))
    model.add_module("plain", nn.Linear(6, 6, bias=False))
    model.add_module("attention", nn.MultiheadAttention(6, 2))
    model.add_module("words", nn.Embedding(9, 6))
    found = nv.compare(model.state_dict(), model)
    assert found.agrees, str(found)
    assert {pair.path_b for pair in found.pairs} == {"norm", "plain", "attention", "words"}
