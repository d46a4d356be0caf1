"""Linear CKA between real models: trained apart, in two frameworks, layers found again in each other."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import netviz_core as nv

LAYERS = ["conv1", "conv2", "conv3", "dense", "head"]


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 32, 3, padding=1)
        self.dense = nn.Linear(512, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in (self.conv1, self.conv2, self.conv3):
            x = torch.relu(conv(x))
        return self.head(torch.relu(self.dense(nn.functional.max_pool2d(x, 2).flatten(1))))


def trained_torch(pictures: np.ndarray, targets: np.ndarray, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = Digits()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    x, y = torch.tensor(pictures).permute(0, 3, 1, 2), torch.tensor(targets)
    for _ in range(8):
        for part in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            optimizer.step()
    return model


def trained_keras(pictures: np.ndarray, targets: np.ndarray, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", name="conv1"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(16, 3, padding="same", name="conv2"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(32, 3, padding="same", name="conv3"),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(),
            keras.layers.Dense(32, name="dense"),
            keras.layers.ReLU(),
            keras.layers.Dense(10, name="head"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 3e-3
    model.fit(pictures, targets, batch_size=64, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def held_out() -> nv.AxisArray:
    """Pictures that no model was trained on."""
    return nv.images((load_digits().images[1000:1500, ..., np.newaxis] / 16).astype(np.float32))


@pytest.fixture(scope="module")
def models() -> dict[str, object]:
    """Three, each trained apart."""
    digits = load_digits()
    pictures = (digits.images[:1000, ..., np.newaxis] / 16).astype(np.float32)
    targets = digits.target[:1000]
    return {
        "torch": trained_torch(pictures, targets, 0),
        "other torch": trained_torch(pictures, targets, 1),
        "keras": trained_keras(pictures, targets, 2),
    }


@pytest.mark.parametrize("other", ["other torch", "keras"])
def test_models_trained_apart_have_the_same_layers_most_alike(models, held_out, other):
    found = nv.similarity(models["torch"], models[other], data=held_out, layers=LAYERS)
    assert (found.keys_a, found.keys_b, found.sample_count) == (tuple(LAYERS), tuple(LAYERS), 500)
    assert (np.diag(found.values)[:4] > 0.85).all()
    for along in (found.values, found.values.T):
        assert (along.argmax(axis=1)[[0, 3]] == [0, 3]).all()
        # A convolution and the next are as alike as two runs of training are.
        assert (np.diag(along) > along.max(axis=1) - 0.03)[:4].all()
    assert found.values[0, 4] < found.values[0, 0] - 0.1


def test_chance_is_near_zero_and_training_makes_late_layers_alike(models, held_out):
    mixed = nv.AxisArray(held_out.values[np.random.default_rng(0).permutation(500)], held_out.axes)
    chance = nv.similarity(
        models["torch"], models["keras"], data=(held_out, mixed), layers=LAYERS, progress=False
    )
    assert np.abs(chance.values).max() < 0.1
    torch.manual_seed(5)
    untrained = nv.similarity(models["torch"], Digits(), data=held_out, layers="head")
    trained = nv.similarity(models["torch"], models["keras"], data=held_out, layers="head")
    assert untrained.values[0, 0] < trained.values[0, 0] - 0.1


def test_the_same_weights_in_both_frameworks_are_the_same_layers(models, held_out):
    copy = keras.models.clone_model(models["keras"])
    mapping = {name: name for name in LAYERS}
    assert nv.copy_weights(models["torch"], copy, mapping=mapping)
    found = nv.similarity(models["torch"], copy, data=held_out, layers=LAYERS)
    np.testing.assert_allclose(np.diag(found.values), 1, atol=1e-5)


def test_every_layer_is_there_unless_others_are_asked_for(models, held_out):
    x = held_out.select(batch=slice(0, 40))
    found = nv.similarity(models["torch"], models["keras"], x)
    assert found.keys_a == tuple(LAYERS)
    assert found.keys_b[-1] == "head"
    assert [name for name in found.keys_b if not name.startswith(("re_lu", "flatten"))] == [
        "conv1", "conv2", "conv3", "pool", "dense", "head",
    ]  # fmt: skip
    assert {(one.model, one.key, one.reason) for one in found.left_out} == {
        ("a", "", "it returns what 'head' returns"),
        ("b", "", "it returns what 'head' returns"),
    }


def test_data_of_a_framework_are_taken(models, held_out):
    x = torch.tensor(held_out.transpose("batch", "channel", "y", "x").values[:24])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(24)), 8)
    expected = nv.similarity(models["torch"], models["other torch"], data=list(x.split(8)), layers="conv*")
    found = nv.similarity(models["torch"], models["other torch"], data=loader, layers="conv*")
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    pictures = held_out.values[:24]
    apart = nv.similarity(
        models["torch"],
        models["keras"],
        data=(loader, [pictures[:8], pictures[8:16], pictures[16:]]),
        layers="conv*",
    )
    named = nv.similarity(
        models["torch"],
        models["keras"],
        data=[held_out.select(batch=slice(start, start + 8)) for start in (0, 8, 16)],
        layers="conv*",
    )
    np.testing.assert_allclose(apart.values, named.values, atol=1e-6)


def test_the_axis_of_samples_is_taken_by_its_name():
    """A PyTorch LSTM puts time first, its states layers first; Keras' puts samples first."""
    keras.utils.set_random_seed(0)
    theirs = keras.Sequential(
        [keras.Input((7, 5)), keras.layers.LSTM(6, return_sequences=True, return_state=False, name="lstm")]
    )
    ours = nn.Sequential()
    ours.add_module("lstm", nn.LSTM(5, 6))
    nv.copy_weights(theirs, ours)
    x = np.random.default_rng(0).normal(size=(16, 7, 5)).astype(np.float32)
    found = nv.similarity(ours, theirs, (torch.tensor(x).transpose(0, 1), x), layers="lstm")
    assert found.keys_a == ("lstm#0", "lstm#1.0", "lstm#1.1")
    assert found.sample_count == 16
    assert found.values[0, 0] == pytest.approx(1, abs=1e-5)
    assert 0 < found.values[1, 0] < 0.99


def test_an_in_place_layer_spoils_neither_its_forerunner_nor_the_other_models_input():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 6), nn.ReLU(inplace=True))
    theirs = nn.Sequential(nn.Identity(), nn.Linear(6, 6), nn.ReLU())
    theirs[1].load_state_dict(ours[1].state_dict())
    x = torch.randn(20, 6)
    before = x.clone()
    found = nv.similarity(ours, theirs, x)
    assert (x == before).all()
    expected = nv.similarity(nv.capture(ours, before.clone()), nv.capture(theirs, before.clone()))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-9)
    assert found.values[1, 1] < 1 - 1e-3


def test_captures_of_two_frameworks_are_compared_without_them(models, held_out, tmp_path):
    x = held_out.select(batch=slice(0, 30))
    for name in ("torch", "keras"):
        nv.capture(models[name], x).save(tmp_path / name)
    live = nv.similarity(models["torch"], models["keras"], x)
    saved = nv.similarity(nv.load_capture(tmp_path / "torch"), nv.load_capture(tmp_path / "keras"))
    assert (saved.keys_a, saved.keys_b) == (live.keys_a, live.keys_b)
    np.testing.assert_allclose(saved.values, live.values, atol=1e-9)


def test_a_residual_sum_that_no_layer_makes_has_a_place():
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.linear(x)

    model = nn.Sequential(Block(), Block())
    found = nv.similarity(model, model, torch.randn(12, 6))
    assert found.keys_a == ("0.linear", "0", "1.linear", "1")
    assert [(one.key, one.reason) for one in found.left_out if one.model == "a"] == [
        ("", "it returns what '1' returns")
    ]


def test_wide_and_narrow_precision_and_dead_layers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 4))
    x = torch.randn(32, 6)
    half = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 4))
    half.load_state_dict(model.state_dict())
    found = nv.similarity(model, half.to(torch.bfloat16), (x, x.to(torch.bfloat16)))
    assert (np.diag(found.values) > 0.999).all()
    nn.init.constant_(model[0].bias, -1e3)
    dead = nv.similarity(model, half, (x, x.to(torch.bfloat16)))
    assert np.isnan(dead.values[1:]).all()
    assert np.isfinite(dead.values[0]).all()
    assert [(one.key, one.reason) for one in dead.undefined] == [
        ("1", "it returned the same for every sample"),
        ("2", "it returned the same for every sample"),
        ("", "it returned the same for every sample"),
    ]
