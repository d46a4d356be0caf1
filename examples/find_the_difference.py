"""Finds where a network that was ported from Keras to PyTorch goes wrong, and why."""

import keras
import numpy as np
import torch
from torch import nn

import netviz_core as nv

in_keras = keras.Sequential(
    [
        keras.layers.Input((28, 28, 1)),
        keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="conv1"),
        keras.layers.BatchNormalization(name="norm1"),
        keras.layers.Conv2D(32, 3, activation="relu", name="conv2"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(10, activation="softmax", name="head"),
    ]
)


class Ported(nn.Module):
    """The same, as one would write it at first."""

    def __init__(self, epsilon=1e-5, padding=1):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, stride=2, padding=padding)
        self.norm1 = nn.BatchNorm2d(16, eps=epsilon)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.head = nn.Linear(32 * 12 * 12, 10)

    def forward(self, x):
        x = self.norm1(torch.relu(self.conv1(x)))
        return self.head(torch.relu(self.conv2(x)).flatten(1))


digits = nv.images(np.random.default_rng(0).random((8, 28, 28, 1), dtype="float32"))

# The weights are the same. The outputs are not: "same" pads 28 pixels at the right and below alone.
first = Ported()
nv.copy_weights(in_keras, first)
found = nv.compare(in_keras, first, digits)
print(found)
found.save("first-difference.png")

# With that mended, what is left is the epsilon, which is 1e-3 in Keras and 1e-5 in PyTorch.
second = Ported(padding=0)
second.conv1 = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), second.conv1)
nv.copy_weights(in_keras, second, mapping={"conv1": "conv1.1"})
found = nv.compare(in_keras, second, digits)
print(found)

third = Ported(padding=0, epsilon=1e-3)
third.conv1 = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), third.conv1)
nv.copy_weights(in_keras, third, mapping={"conv1": "conv1.1"})
found = nv.compare(in_keras, third, digits)
print(found)
assert found.agrees
