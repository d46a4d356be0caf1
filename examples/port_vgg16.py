"""Brings the weights of VGG16 from Keras to torchvision and back, and compares what the two make of a picture."""

import keras
import numpy as np
import torch
from torchvision.models import vgg16

import netviz_core as nv

picture = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")


def difference(in_keras, in_torch):
    """The largest difference between the two outputs."""
    with torch.no_grad():
        ours = in_torch.eval()(torch.from_numpy(picture.transpose(0, 3, 1, 2).copy())).numpy()
    theirs = keras.ops.convert_to_numpy(in_keras(picture, training=False))
    print(
        f"the largest output is {abs(theirs).max():.1e}, the largest difference {abs(ours - theirs).max():.1e}"
    )
    return abs(ours - theirs).max()


def new_in_keras():
    return keras.applications.VGG16(weights=None, classes=10, classifier_activation=None)


in_keras, in_torch = new_in_keras(), vgg16(num_classes=10)
difference(in_keras, in_torch)

# Keras flattens (y, x, channel), PyTorch (channel, y, x): the report tells which kernel was permuted.
print(nv.copy_weights(in_torch, in_keras))
assert difference(in_keras, in_torch) < 1e-4
kernels = [nv.kernels(in_keras, "block1_conv1"), nv.kernels(in_torch, "features.0")]
nv.side_by_side(*kernels, titles=["Keras", "torchvision"]).save("vgg16.png")

# And the other way, from weights that PyTorch has not seen.
in_keras = new_in_keras()
nv.copy_weights(in_keras, in_torch)
assert difference(in_keras, in_torch) < 1e-4
