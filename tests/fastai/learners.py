"""Small, real Learners, untrained unless they say so; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from fastai.collab import CollabDataLoaders, collab_learner
from fastai.data.all import CategoryBlock, DataBlock, IndexSplitter, Normalize, get_image_files
from fastai.learner import Learner
from fastai.tabular.all import Categorify, FillMissing, TabularDataLoaders, tabular_learner
from fastai.text.all import (
    AWD_LSTM,
    TextDataLoaders,
    awd_lstm_clas_config,
    awd_lstm_lm_config,
    language_model_learner,
    text_classifier_learner,
)
from fastai.torch_core import set_seed
from fastai.vision.all import (
    ImageBlock,
    MaskBlock,
    PILImage,
    PointBlock,
    Resize,
    ResizeMethod,
    TensorPoint,
    aug_transforms,
    imagenet_stats,
    unet_learner,
    vision_learner,
)
from sklearn.datasets import load_digits, load_sample_images

from benchmarks.torchvision_models import models

SENTENCES = (
    "I love this film, it is GREAT!",
    "What a terrible film. I hated it so much that I left before the end.",
    "The end of the film is great",
    "So terrible!",
)


def digit_files(folder: Path, count: int = 60) -> list[Path]:
    """Handwritten digits as images of 32 × 32 pixels, named after the digit."""
    folder.mkdir(exist_ok=True)
    digits = load_digits()
    for number, (image, digit) in enumerate(zip(digits.images[:count], digits.target, strict=False)):
        pixels = np.kron(image * 15.9, np.ones((4, 4))).astype(np.uint8)
        PILImage.create(pixels).save(folder / f"{digit}_{number:03}.png")
    return sorted(get_image_files(folder))


def digit_of(path: Path) -> str:
    return path.name.partition("_")[0]


def digits(folder: Path) -> Learner:
    """Images to classes, augmented for training and normalised."""
    set_seed(7)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=digit_files,
        get_y=digit_of,
        splitter=IndexSplitter(range(0, 60, 3)),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(*imagenet_stats)],
    )
    dls = block.dataloaders(folder, bs=8, num_workers=0)
    return vision_learner(dls, models.resnet18, pretrained=False)


def photograph_files(folder: Path) -> list[Path]:
    """scikit-learn's two sample photographs, four cuttings of each."""
    folder.mkdir(exist_ok=True)
    for name, image in zip(("china", "flower"), load_sample_images().images, strict=True):
        for number in range(4):
            PILImage.create(image[60 * number :, 100 * number :]).save(folder / f"{name}_{number}.png")
    return sorted(get_image_files(folder))


def bright(path: Path) -> np.ndarray:
    """A mask: where the photograph is bright."""
    return (np.asarray(PILImage.create(path)).mean(axis=2) > 127).astype(np.uint8)


def photographs(folder: Path) -> Learner:
    """Images to masks, through a U-Net with self attention."""
    set_seed(7)
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes=["dark", "bright"])),
        get_items=photograph_files,
        get_y=bright,
        splitter=IndexSplitter(range(3)),
        item_tfms=Resize(64, method=ResizeMethod.Squish),
    )
    dls = block.dataloaders(folder, bs=2, num_workers=0)
    return unet_learner(dls, models.resnet18, pretrained=False, self_attention=True, n_out=2)


def points(folder: Path) -> Learner:
    """Images to the coordinates of a point: a regression."""
    set_seed(7)
    block = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=digit_files,
        get_y=lambda path: TensorPoint([[float(digit_of(path)), 3.0]]),
        splitter=IndexSplitter(range(0, 60, 3)),
    )
    dls = block.dataloaders(folder, bs=8, num_workers=0)
    return vision_learner(dls, models.resnet18, pretrained=False, y_range=(-1, 1), n_out=2)


def people() -> pd.DataFrame:
    random = np.random.default_rng(0)
    ages = random.integers(18, 70, 60).astype(float)
    ages[[3, 40]] = np.nan
    return pd.DataFrame(
        {
            "job": random.choice(["baker", "pilot", "smith"], 60),
            "age": ages,
            "height": random.normal(1.7, 0.1, 60),
            "likes_tea": random.choice(["no", "yes"], 60),
        }
    )


def table(folder: Path) -> Learner:
    """Rows to classes; some ages are missing."""
    set_seed(7)
    dls = TabularDataLoaders.from_df(
        people(),
        path=folder,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=["job"],
        cont_names=["age", "height"],
        y_names="likes_tea",
        valid_idx=list(range(20)),
        bs=8,
    )
    return tabular_learner(dls, layers=[12, 6])


def _reviews() -> pd.DataFrame:
    moods = ["good", "bad", "good", "bad"]
    return pd.DataFrame({"text": SENTENCES * 6, "label": moods * 6})


def texts(folder: Path) -> Learner:
    """Sentences to classes."""
    set_seed(7)
    dls = TextDataLoaders.from_df(
        _reviews(), folder, text_col="text", label_col="label", bs=4, valid_pct=0.4, num_workers=0
    )
    small = {**awd_lstm_clas_config, "emb_sz": 12, "n_hid": 16, "n_layers": 2}
    return text_classifier_learner(dls, AWD_LSTM, pretrained=False, config=small)


def language(folder: Path) -> Learner:
    """Sentences to the words that follow."""
    set_seed(7)
    dls = TextDataLoaders.from_df(
        _reviews(), folder, text_col="text", is_lm=True, bs=4, seq_len=8, valid_pct=0.4, num_workers=0
    )
    small = {**awd_lstm_lm_config, "emb_sz": 12, "n_hid": 16, "n_layers": 2}
    return language_model_learner(dls, AWD_LSTM, pretrained=False, config=small)


def ratings(folder: Path) -> Learner:
    """Who rates what, collaboratively."""
    set_seed(7)
    random = np.random.default_rng(0)
    given = pd.DataFrame(
        {
            "user": random.integers(0, 9, 80),
            "title": random.choice(["Alien", "Brazil", "Casablanca"], 80),
            "rating": random.uniform(0, 5, 80),
        }
    )
    dls = CollabDataLoaders.from_df(given, bs=8, path=folder)
    return collab_learner(dls, n_factors=4, y_range=(0, 5))
