"""Maps of class activation and attention: the same for the same weights in both frameworks, and about the picture."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import keras
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from torch import nn

import netviz_core as nv

L = keras.layers
METHODS = ("cam", "grad-cam", "grad-cam++", "layer-cam", "eigen-cam")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits of 16 × 16 somewhere on 32 × 32, ``(batch, y, x, channel)`` in [0, 1]."""
    found, random = load_digits(), np.random.default_rng(0)
    pictures = np.zeros((len(found.images), 32, 32, 1), np.float32)
    for picture, digit in zip(pictures, found.images, strict=True):
        top, left = random.integers(0, 17, 2)
        picture[top : top + 16, left : left + 16, 0] = digit.repeat(2, axis=0).repeat(2, axis=1) / 16
    return pictures, found.target


PICTURES, LABELS = digits()


def torch_model() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3),
            relu1=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 5),
            norm2=nn.BatchNorm2d(32),
            relu2=nn.ReLU(inplace=True),
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            head=nn.Linear(32, 10),
        )
    )


def keras_model(last: str | None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            L.Conv2D(16, 3, name="conv1", activation="relu"),
            L.MaxPooling2D(name="pool1"),
            L.Conv2D(32, 5, name="conv2"),
            L.BatchNormalization(name="norm2", epsilon=1e-5),
            L.ReLU(name="relu2"),
            L.GlobalAveragePooling2D(name="average"),
            L.Dense(10, name="head", activation=last),
        ]
    )


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Reads digits about as well as a person."""
    torch.manual_seed(0)
    model = torch_model()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, total_steps=300)
    x, y = torch.tensor(PICTURES.transpose(0, 3, 1, 2)), torch.tensor(LABELS)
    for step in range(300):
        chosen = slice(64 * step % 1728, 64 * step % 1728 + 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        assert (model(x).argmax(dim=1) == y).float().mean() > 0.95
    return model


@pytest.fixture(params=[None, "softmax"], ids=["scores", "softmax"])
def twin(request, trained) -> keras.Model:
    model = keras_model(request.param)
    assert not nv.copy_weights(trained, model).skipped
    return model


@pytest.mark.parametrize("method", METHODS)
def test_the_maps_of_the_same_weights_are_the_same(trained, twin, method):
    x = nv.images(PICTURES[:5])
    ours, theirs = nv.cam(trained, x, method=method), nv.cam(twin, x, method=method)
    assert ours.target == theirs.target
    np.testing.assert_allclose(ours.maps, theirs.maps, atol=1e-4 * ours.maps.max())
    np.testing.assert_allclose(ours.heat, theirs.heat, atol=1e-4)
    np.testing.assert_allclose(ours.images, theirs.images)


class Squashed(nn.Module):
    """Returns shares in the place of scores, by a function that is no layer."""

    def __init__(self, model: nn.Module, squash: Any) -> None:
        super().__init__()
        self.model, self.squash = model, squash

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.squash(self.model(x))


@pytest.mark.parametrize("squash", [lambda z: z.softmax(1), nn.LogSoftmax(1), torch.sigmoid])
def test_a_softmax_or_sigmoid_at_the_end_changes_no_map(trained, squash):
    x = nv.images(PICTURES[:5])
    plain, squashed = nv.cam(trained, x), nv.cam(Squashed(trained, squash), x)
    assert plain.target == squashed.target
    np.testing.assert_allclose(plain.maps, squashed.maps, atol=1e-5 * plain.maps.max())


@pytest.mark.parametrize("layer", ["conv1", "conv2", "norm2"])
def test_maps_before_an_in_place_layer_are_the_same(trained, twin, layer):
    x = nv.images(PICTURES[:5])
    # Keras' first convolution has its relu within.
    ours = nv.cam(trained, x, "relu1" if layer == "conv1" else layer, target=3)
    theirs = nv.cam(twin, x, layer, target=3)
    np.testing.assert_allclose(ours.maps, theirs.maps, atol=1e-4 * ours.maps.max())


def test_grad_cam_is_what_autograd_gives_by_hand(trained):
    """Selvaraju et al. (2017), with nothing of netviz, and with no in-place layer behind the one looked at."""
    x = torch.tensor(PICTURES[:4].transpose(0, 3, 1, 2))
    activations = trained[:6](x).detach().requires_grad_()
    scores = trained[6:](activations)
    best = scores.argmax(dim=1)
    (gradients,) = torch.autograd.grad(scores.gather(1, best[:, None]).sum(), activations)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    expected = (weights * activations).sum(dim=1).relu().detach().numpy()
    found = nv.cam(trained, x, "relu2")
    assert found.target == tuple(best.tolist())
    np.testing.assert_allclose(found.maps, expected, atol=1e-4 * expected.max())


class UpperLeft(nn.Module):
    """Lets only the upper left quarter of a map through."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(x.shape[2:])
        mask[: x.shape[2] // 2, : x.shape[3] // 2] = 1
        return x * mask


def narrow_sighted() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 8, 3, padding=1),
            relu=nn.ReLU(),
            quarter=UpperLeft(),
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            head=nn.Linear(8, 3),
        )
    )
    for parameter in model.parameters():
        parameter.data.abs_()
    return model


def fall_when_covered(model: nn.Module, picture: np.ndarray, target: int) -> np.ndarray:
    """How much the score falls when 3 × 3 pixels around a place are made dark (Zeiler and Fergus, 2014)."""
    copies = [picture]
    for row, column in np.ndindex(picture.shape):
        copy = picture.copy()
        copy[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
        copies.append(copy)
    with torch.no_grad():
        scores = model(torch.tensor(np.stack(copies)[:, None]))[:, target].numpy()
    return (scores[0] - scores[1:]).reshape(picture.shape)


@pytest.mark.parametrize(
    ("method", "layer"),
    [("cam", "quarter"), ("grad-cam", "quarter"), ("grad-cam++", "quarter"), ("layer-cam", "relu")],
)
def test_a_model_that_looks_at_a_quarter_has_its_heat_there_as_covering_says(method, layer):
    model = narrow_sighted()
    picture = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    heat = nv.cam(model, nv.images(picture[..., None]), layer, target=1, method=method).heat[0]
    assert heat[:8, :8].sum() > 0.99 * heat.sum()
    agreement = spearmanr(heat.ravel(), fall_when_covered(model, picture, 1).ravel()).statistic
    assert agreement > 0.8


def test_heat_lies_where_the_digit_is(trained, twin):
    ink = PICTURES[:50, ..., 0] > 0
    around = np.zeros_like(ink)
    for shift in np.ndindex(5, 5):
        around |= np.roll(ink, (shift[0] - 2, shift[1] - 2), axis=(1, 2))
    for model in (trained, twin):
        heat = nv.cam(model, nv.images(PICTURES[:50])).heat
        assert heat[around].mean() > 2 * heat[~around].mean()


@pytest.mark.parametrize("framework", ["torch", "keras"])
@pytest.mark.parametrize("method", ["cam", "grad-cam", "grad-cam++", "layer-cam"])
def test_another_head_gives_another_map(trained, framework, method):
    """The sanity check of Adebayo et al. (2018)."""
    model: Any = torch_model().eval() if framework == "torch" else keras_model(None)
    nv.copy_weights(trained, model)

    def maps() -> np.ndarray:
        found = nv.cam(model, nv.images(PICTURES[:8]), target=4, method=method).maps.reshape(8, -1)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    before = maps()
    head = nv.wrap(model)["head"].weights["kernel"]
    head.assign(np.random.default_rng(0).permutation(head.numpy().ravel()).reshape(head.shape))
    # 0 is the same map, √2 one that has nothing in common with it.
    assert np.linalg.norm(before - maps(), axis=1).min() > (0.5 if method in ("cam", "grad-cam") else 0.1)


def attention_twins(batch_first: bool = True) -> tuple[nn.Module, keras.Model, np.ndarray]:
    torch.manual_seed(1)
    ours = nn.MultiheadAttention(24, 4, batch_first=batch_first)
    nn.init.normal_(ours.in_proj_bias)
    tokens = keras.Input((7, 24))
    attended = L.MultiHeadAttention(4, 6, name="attention")(tokens, tokens)
    theirs = keras.Model(tokens, attended)
    source = nv.wrap(ours)[""].weights
    target = nv.wrap(theirs)["attention"].weights
    for name, weight in target.items():
        weight.assign(source[name].numpy())
    return ours, theirs, np.random.default_rng(0).normal(size=(3, 7, 24)).astype(np.float32)


def test_attention_of_the_same_weights_is_the_same():
    ours, theirs, x = attention_twins()
    tensor = torch.tensor(x)
    found = nv.attention(ours, "", (tensor, tensor, tensor)).weights
    np.testing.assert_allclose(found, nv.attention(theirs, "attention", x).weights, atol=1e-5)
    with torch.no_grad():
        _, expected = ours(tensor, tensor, tensor, average_attn_weights=False)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    _, expected = theirs.get_layer("attention")(x, x, return_attention_scores=True)
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(expected), atol=1e-5)


def keras_batches(x: np.ndarray, y: np.ndarray) -> Any:
    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return -(-len(x) // 100)

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            chosen = slice(100 * number, 100 * number + 100)
            return x[chosen], y[chosen]

    return Batches()


def test_the_worst_examples_are_the_same_in_both_frameworks(trained, twin):
    tensors = torch.utils.data.TensorDataset(
        torch.tensor(PICTURES.transpose(0, 3, 1, 2)), torch.tensor(LABELS)
    )
    loader = torch.utils.data.DataLoader(tensors, batch_size=64)
    ours = nv.top_losses(trained, 6, loader, nn.CrossEntropyLoss())
    data = keras_batches(PICTURES, LABELS)
    named = nv.top_losses(twin, 6, data, "cross_entropy")
    is_softmax = twin.get_layer("head").activation is keras.activations.softmax
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not is_softmax)
    native = nv.top_losses(twin, 6, data, loss)
    for theirs in (named, native):
        assert [row.index for row in ours.rows] == [row.index for row in theirs.rows]
        np.testing.assert_allclose([r.loss for r in ours.rows], [r.loss for r in theirs.rows], rtol=1e-3)
        assert [r.prediction for r in ours.rows] == [r.prediction for r in theirs.rows]
        assert ours.confusions == theirs.confusions
        np.testing.assert_allclose(ours.heat, theirs.heat, atol=1e-3)
