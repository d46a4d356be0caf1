"""One function, written once, draws the same figures for a Keras and for a PyTorch model."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.renderer_api import View

PICTURES = np.random.default_rng(0).random((3, 12, 12, 3), dtype=np.float32)


def keras_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(16, 3, name="conv1"),
            keras.layers.ReLU(name="relu1"),
            keras.layers.MaxPooling2D(name="pool1"),
            keras.layers.Conv2D(32, 3, name="conv2"),
            keras.layers.ReLU(name="relu2"),
            keras.layers.GlobalAveragePooling2D(name="pool2"),
            keras.layers.Dense(10, name="dense"),
        ]
    )


def torch_model() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 16, 3),
            relu1=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3),
            relu2=nn.ReLU(inplace=True),
            pool2=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dense=nn.Linear(32, 10),
        )
    )


@pytest.fixture(scope="module")
def models() -> dict[str, object]:
    theirs, ours = keras_model(), torch_model()
    with torch.no_grad():
        for name in ("conv1", "conv2", "dense"):
            kernel, bias = theirs.get_layer(name).get_weights()
            layer = getattr(ours, name)
            layer.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T))
            layer.bias.copy_(torch.tensor(bias))
    return {"keras": theirs, "torch": ours}


def figures(model: object) -> dict[str, View]:
    """The one piece of code."""
    return {
        "kernels as colours": nv.kernels(model, "conv1"),
        "kernels": nv.kernels(model, "conv2"),
        "histogram": nv.histogram(model, "conv2"),
        "bias": nv.histogram(model, "dense", weight="bias", bins=20),
        "heatmap": nv.heatmap(model, "dense"),
        "heatmap of a convolution": nv.heatmap(model, "conv1"),
    }


def test_views_are_equal_field_by_field(models):
    for ours, theirs in zip(
        figures(models["torch"]).values(), figures(models["keras"]).values(), strict=True
    ):
        for field in dataclasses.fields(ours):
            left, right = getattr(ours, field.name), getattr(theirs, field.name)
            np.testing.assert_array_equal(left, right, err_msg=f"{ours.title}: {field.name}")
            assert type(left) is type(right)


def test_pictures_are_equal_byte_by_byte(models, tmp_path):
    pictures: dict[str, list[bytes]] = {}
    for framework, model in models.items():
        for number, view in enumerate(figures(model).values()):
            path = tmp_path / f"{framework}-{number}.png"
            view.save(path)
            pictures.setdefault(framework, []).append(path.read_bytes())
    assert pictures["keras"] == pictures["torch"]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures["keras"])


@pytest.mark.parametrize("layer", ["conv1", "pool1", "relu1", "conv2", "relu2"])
def test_feature_maps_agree(models, layer):
    given = nv.images(PICTURES)
    ours, theirs = (
        nv.feature_maps(models[framework], layer, given, sample=1) for framework in ("torch", "keras")
    )
    np.testing.assert_allclose(ours.tiles, theirs.tiles, atol=1e-5)
    assert ours.title == theirs.title
    np.testing.assert_allclose(ours.limits, theirs.limits, atol=1e-5)


def test_the_two_are_drawn_side_by_side(models, tmp_path):
    views = [nv.kernels(model, "conv2") for model in models.values()]
    together = nv.side_by_side(*views, titles=["Keras", "PyTorch"])
    together.save(tmp_path / "both.png")
    assert Path(tmp_path / "both.png").stat().st_size > 1000


def test_panels_that_are_called_the_same_say_whose_they_are(models):
    given = nv.images(PICTURES)
    for draw in (
        lambda model: nv.kernels(model, "conv2"),
        lambda model: nv.histogram(model, "conv2"),
        lambda model: nv.histograms(model),
        lambda model: nv.heatmap(model, "dense"),
        lambda model: nv.feature_maps(model, "conv1", given),
        lambda model: nv.feature_maps(nv.capture(model, given), "conv1"),
        lambda model: nv.cam(model, given, "conv2"),
        lambda model: nv.health(model, given),
    ):
        ours, theirs = draw(models["torch"]), draw(models["keras"])
        both = nv.side_by_side(ours, theirs)
        whole = (both.title, *both.titles)
        assert whole == (ours.title, "torch", "keras") or whole == (
            "",
            f"torch: {ours.title}",
            f"keras: {theirs.title}",
        )
        assert nv.side_by_side(ours, ours).titles == ("torch 1", "torch 2")
    graphs = nv.side_by_side(*(nv.graph(model, given).fold(depth=1) for model in models.values()))
    assert [title.partition(":")[0] for title in graphs.titles] == list(models)
    assert (
        nv.side_by_side(nv.kernels(models["torch"], "conv1"), nv.kernels(models["torch"], "conv2")).title
        == ""
    )


def test_each_model_is_its_own_frameworks(models):
    assert nv.wrap(models["keras"]).backend == "keras"
    assert nv.wrap(models["torch"]).backend == "torch"
