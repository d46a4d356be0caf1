"""What a comparison of two ResNet-50 costs beside their two forward passes.

    python benchmarks/compare.py

torchvision's model against a copy of itself, and Keras' against torchvision's with the same weights, which part
where the strides stand elsewhere; measured in turns, in one run.
"""

from __future__ import annotations

import argparse
import copy
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import torch
from torchvision_models import models
from turns import in_turns

import netviz_core as nv


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(2)
    pictures = np.random.default_rng(0).normal(size=(options.batch, 224, 224, 3)).astype("float32")
    x = nv.images(pictures)
    native = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())
    in_torch, in_keras = models.resnet50().eval(), keras.applications.ResNet50(weights=None)
    same = copy.deepcopy(in_torch)
    nv.copy_weights(in_torch, in_keras)

    def torch_forward() -> None:
        with torch.no_grad():
            in_torch(native)

    def keras_forward() -> None:
        in_keras(pictures, training=False)

    in_turns(
        "two ResNet-50 in PyTorch",
        {
            "compare": lambda: nv.compare(in_torch, same, x),
            "both passes": lambda: (torch_forward(), torch_forward()),
        },
        options.rounds,
    )
    in_turns(
        "a ResNet-50 in Keras and one in PyTorch, which differ, so that each is run twice",
        {
            "compare": lambda: nv.compare(in_keras, in_torch, x),
            "both passes": lambda: (torch_forward(), keras_forward()),
        },
        options.rounds,
    )


if __name__ == "__main__":
    main()
