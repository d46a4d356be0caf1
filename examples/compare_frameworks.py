"""One function draws a Keras and a PyTorch model; the two are then laid side by side on one scale."""

import keras
from torch import nn

import netviz_core as nv


def draw(model, name):
    """Works for either, since it only speaks of layers."""
    nv.kernels(model, "conv1").save(f"{name}-kernels.png")
    nv.histogram(model, "conv1").save(f"{name}-histogram.png")
    return nv.kernels(model, "conv1")


in_torch = nn.Sequential()
in_torch.add_module("conv1", nn.Conv2d(3, 32, 5))
in_keras = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(32, 5, name="conv1")])

views = [draw(in_keras, "keras"), draw(in_torch, "torch")]
nv.side_by_side(*views, titles=["Keras' initial weights", "PyTorch's"]).save("compared.png")
