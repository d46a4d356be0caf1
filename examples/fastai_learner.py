"""Inside fastai Learners: filters, feature maps, heat, attention, and the examples they get most wrong.

Trains two small Learners from scratch: one reads scikit-learn's handwritten digits, the other, a U-Net with
self-attention, gives its two sample photographs their colours back.
Needs ``pip install "netviz-core[fastai]" scikit-learn``.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from fastai.vision.all import (
    ConvLayer,
    CrossEntropyLossFlat,
    DataBlock,
    ImageBlock,
    ImageDataLoaders,
    Learner,
    MSELossFlat,
    PILImage,
    RandomSplitter,
    accuracy,
    nn,
    resnet18,
    set_seed,
    unet_learner,
)
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

import netviz_core as nv


def digits_learner(folder):
    """A small network that learns to read digits, wherever on the picture they are."""
    found, random = load_digits(), np.random.default_rng(0)
    files = [folder / f"{number}.png" for number in range(len(found.images))]
    for file, digit in zip(files, found.images, strict=True):
        picture = Image.new("L", (64, 64))
        ink = Image.fromarray((16 * digit).clip(0, 255).astype("uint8")).resize((32, 32))
        picture.paste(ink, tuple(random.integers(0, 33, 2).tolist()))
        picture.save(file)
    dls = ImageDataLoaders.from_lists(
        folder, files, found.target.astype(str).tolist(), seed=0, bs=64, num_workers=0
    )
    model = nn.Sequential(
        ConvLayer(3, 16, ks=5),
        nn.MaxPool2d(2),
        ConvLayer(16, 32),
        nn.MaxPool2d(2),
        ConvLayer(32, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    learner = Learner(dls, model, loss_func=CrossEntropyLossFlat(), metrics=accuracy)
    with learner.no_bar():
        learner.fit_one_cycle(8, 1e-2)
    return learner


def colour_learner():
    """A U-Net with self-attention that colours grey photographs."""
    random = np.random.default_rng(0)
    patches = []
    for photograph in load_sample_images().images:
        for _ in range(40):
            top, left = (
                random.integers(0, photograph.shape[0] - 64),
                random.integers(0, photograph.shape[1] - 64),
            )
            patches.append(photograph[top : top + 64, left : left + 64])
    block = DataBlock(
        blocks=(ImageBlock, ImageBlock),
        get_x=lambda patch: PILImage.create(
            np.repeat(patch.mean(axis=2, keepdims=True), 3, 2).astype("uint8")
        ),
        get_y=lambda patch: PILImage.create(patch),
        splitter=RandomSplitter(0.2, seed=0),
    )
    dls = block.dataloaders(patches, bs=16, num_workers=0)
    learner = unet_learner(
        dls,
        resnet18,
        pretrained=False,
        n_out=3,
        self_attention=True,
        loss_func=MSELossFlat(),
        normalize=False,
    )
    with learner.no_bar():
        learner.fit_one_cycle(2, 1e-3)
    return learner


with TemporaryDirectory() as folder:
    set_seed(0)
    digits, colours = digits_learner(Path(folder)), colour_learner()

    nv.kernels(digits, "0.0").save("filters.png")
    nv.feature_maps(digits, "0").save("feature-maps.png")
    nv.cam(digits, [Path(folder) / f"{number}.png" for number in range(10)]).save("heat.png")
    nv.top_losses(digits, 9).save("top-losses.png")
    nv.attention(colours).over_image().save("attention.png")
