"""A Learner brings its data, the names of its classes, and how both are to be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.data.all import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    IndexSplitter,
    IntToFloatTensor,
    MultiCategoryBlock,
    Pipeline,
    RegressionBlock,
)
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.tabular.all import Normalize, TabularDataLoaders, tabular_learner
from fastai.text.all import TextBlock
from fastai.torch_core import TensorImage
from fastai.vision.all import ImageBlock, PILImage, PILImageBW, RandomResizedCrop
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import netviz_core as nv

from .learners import digit_files, digit_of, people

BACKEND = nv.get_backend("fastai")


def _parts(inputs: Any) -> tuple[Any, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


def test_the_example_is_the_first_batch_of_validation(learner: Learner) -> None:
    expected = learner.dls.valid.one_batch()
    inputs = _parts(BACKEND.example(learner))
    for part, wanted in zip(inputs, expected, strict=False):
        torch.testing.assert_close(part, wanted, rtol=0, atol=0)


def test_examples_are_the_whole_of_validation_in_order(learner: Learner) -> None:
    expected = list(learner.dls.valid)
    found = list(BACKEND.examples(learner))
    assert len(found) == len(expected) > 1
    for (inputs, targets), batch in zip(found, expected, strict=True):
        for part, wanted in zip((*_parts(inputs), targets), batch, strict=True):
            torch.testing.assert_close(part, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("which", "names"),
    [
        ("digits", list("0123456789")),
        ("photographs", ["dark", "bright"]),
        ("table", ["no", "yes"]),
        ("texts", ["bad", "good"]),
        ("points", None),
        ("ratings", None),
    ],
)
def test_classes_have_the_names_of_the_vocabulary(
    request: pytest.FixtureRequest, which: str, names: list[str] | None
) -> None:
    assert BACKEND.class_names(request.getfixturevalue(which)) == names


def test_the_classes_of_a_language_model_are_its_words(language: Learner) -> None:
    names = BACKEND.class_names(language)
    assert names is not None
    assert {"xxbos", "film", "terrible"} <= set(names)
    assert len(names) == BACKEND.run(language, BACKEND.example(language)).shape[-1]


def test_several_labels_have_names_and_numbers_have_none(tmp_path: Path) -> None:
    def learner(target: Any, get_y: Any) -> Learner:
        block = DataBlock((ImageBlock, target), get_items=digit_files, get_y=get_y)
        return Learner(block.dataloaders(tmp_path, bs=8, num_workers=0), nn.Flatten())

    several = learner(
        MultiCategoryBlock, lambda path: ["odd" if int(digit_of(path)) % 2 else "even", "digit"]
    )
    assert BACKEND.class_names(several) == ["digit", "even", "odd"]
    one_number = learner(RegressionBlock, lambda path: float(digit_of(path)))
    assert BACKEND.class_names(one_number) is None


def test_a_vocabulary_of_texts_is_none_of_numbers() -> None:
    items = [["so it is", 1.0], ["so it was", 2.0]] * 4
    block = DataBlock(
        (TextBlock(str.split), RegressionBlock),
        get_x=lambda item: item[0],
        get_y=lambda item: item[1],
        splitter=IndexSplitter([0, 1]),
    )
    learner = Learner(block.dataloaders(items, bs=2, num_workers=0), nn.Identity())
    assert BACKEND.class_names(learner) is None
    assert BACKEND.describe(learner, BACKEND.example(learner)) is not None


def test_images_have_their_real_colours(digits: Learner, photographs: Learner) -> None:
    for learner in (digits, photographs):
        x = BACKEND.example(learner)
        path = learner.dls.valid_ds.items[0]
        image = PILImage.create(path).resize(tuple(x.shape[:1:-1]))
        shown = BACKEND.images(learner, x)
        assert shown.axes == ("batch", "channel", "y", "x")
        assert shown.values.min() >= 0
        assert shown.values.max() <= 1
        expected = np.asarray(learner.dls.valid_ds.tls[0][0].resize(image.size)) / 255
        if learner is digits:  # squishing goes another way in Pillow than in fastai
            np.testing.assert_allclose(shown.values[0].transpose(1, 2, 0), expected, atol=1e-6)
        by_item = BACKEND.images(learner, path)
        np.testing.assert_allclose(by_item.values[0], shown.values[0], atol=1e-6)
    # A plain tensor, an array and an AxisArray are in the model's own numbers too.
    x = BACKEND.example(digits).as_subclass(torch.Tensor)
    shown = BACKEND.images(digits, x).values
    for given in (x.numpy(), nv.AxisArray(x.numpy().transpose(0, 2, 3, 1), ("batch", "y", "x", "channel"))):
        np.testing.assert_array_equal(BACKEND.images(digits, given).values, shown)


def test_images_that_fastai_scales_otherwise_have_the_same_colours(tmp_path: Path) -> None:
    block = DataBlock(
        (ImageBlock, CategoryBlock), get_items=digit_files, get_y=digit_of, splitter=IndexSplitter([0])
    )
    learner = Learner(block.dataloaders(tmp_path, bs=4, num_workers=0), nn.Flatten())
    shown = BACKEND.images(learner, BACKEND.example(learner)).values
    for scaling in (IntToFloatTensor(div=127.5), IntToFloatTensor(div=1.0)):
        for loader in learner.dls.loaders:
            loader.after_batch = Pipeline([scaling])
        x = BACKEND.example(learner)
        assert x.max() > 1
        np.testing.assert_allclose(BACKEND.images(learner, x).values, shown, atol=1e-6)


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    block = DataBlock(
        (ImageBlock(PILImageBW), CategoryBlock),
        get_items=digit_files,
        get_y=digit_of,
        splitter=IndexSplitter([0]),
    )
    learner = Learner(block.dataloaders(tmp_path, bs=4, num_workers=0), nn.Flatten())
    assert BACKEND.images(learner, BACKEND.example(learner)).values.shape == (1, 1, 32, 32)


def test_what_is_no_image_is_none(table: Learner, texts: Learner, ratings: Learner) -> None:
    for learner in (table, texts, ratings):
        assert BACKEND.images(learner, BACKEND.example(learner)) is None


def test_images_are_not_described(digits: Learner, photographs: Learner) -> None:
    for learner in (digits, photographs):
        assert BACKEND.describe(learner, BACKEND.example(learner)) is None


def test_texts_are_described_by_their_words(texts: Learner, language: Learner) -> None:
    lines = BACKEND.describe(texts, BACKEND.example(texts))
    assert "i love this film , it is great !" in lines
    assert not any("xx" in line for line in lines)
    assert len(BACKEND.describe(language, BACKEND.example(language))) == 4
    (long,) = BACKEND.describe(texts, "the film " * 100)
    assert len(long) <= 160
    assert long.endswith(" …")


def test_rows_are_described_by_their_columns(table: Learner, ratings: Learner) -> None:
    frame = people()
    lines = BACKEND.describe(table, BACKEND.example(table))
    first = frame.iloc[0]
    assert lines[0] == f"job={first.job}, age_na=False, age={first.age:.4g}, height={first.height:.4g}"
    assert "age_na=True" in lines[3]
    assert BACKEND.describe(ratings, {"user": 3, "title": "Brazil"}) == ["user=3, title=Brazil"]


def test_without_validation_the_example_comes_from_training_in_order(tmp_path: Path) -> None:
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=digit_files,
        get_y=digit_of,
        splitter=IndexSplitter([]),
        item_tfms=RandomResizedCrop(32, min_scale=0.1),
    )
    learner = Learner(block.dataloaders(tmp_path, bs=7, num_workers=0), nn.Flatten())
    x = BACKEND.example(learner)
    assert x.shape == (7, 3, 32, 32)
    (expected,) = learner.dls.test_dl(learner.dls.train_ds.items[:7], num_workers=0).one_batch()
    torch.testing.assert_close(x, expected, rtol=0, atol=0)
    with pytest.raises(nv.InputError, match=r"no validation data; give data="):
        BACKEND.examples(learner)


def test_loaders_of_pytorch_will_do() -> None:
    data = TensorDataset(torch.randn(6, 3), torch.arange(6) % 2)
    dls = DataLoaders(DataLoader(data, 4, shuffle=True), DataLoader(data, 4))
    learner = Learner(dls, nn.Linear(3, 2), loss_func=CrossEntropyLossFlat())
    torch.testing.assert_close(BACKEND.example(learner), data.tensors[0][:4])
    assert [len(targets) for _, targets in BACKEND.examples(learner)] == [4, 2]
    assert BACKEND.class_names(learner) is None
    assert BACKEND.describe(learner, BACKEND.example(learner)) is None
    assert BACKEND.images(learner, BACKEND.example(learner)) is None
    with pytest.raises(nv.InputError, match="no transforms for new items; give a batch"):
        BACKEND.run(learner, "a text")


def test_a_learner_without_data_says_so() -> None:
    for dls in (None, DataLoaders()):
        learner = Learner(dls, nn.Linear(3, 2), loss_func=CrossEntropyLossFlat())
        assert BACKEND.run(learner, torch.ones(1, 3)).shape == (1, 2)
        assert BACKEND.class_names(learner) is None
        assert BACKEND.describe(learner, torch.ones(1, 3)) is None
        assert BACKEND.images(learner, torch.ones(1, 3, 4, 4)) is None
        for ask in (BACKEND.example, BACKEND.examples, lambda it: BACKEND.run(it, "an item")):
            with pytest.raises(nv.InputError, match=r"has no DataLoaders.*give a batch.*or set learner\.dls"):
                ask(learner)


def test_unlabelled_data_gets_a_sentence(digits: Learner) -> None:
    dls = DataLoaders(digits.dls.train, digits.dls.test_dl(digits.dls.valid_ds.items))
    learner = Learner(dls, digits.model, loss_func=digits.loss_func)
    assert isinstance(BACKEND.example(learner), TensorImage)
    with pytest.raises(nv.InputError, match=r"has no targets; give data= with targets"):
        next(iter(BACKEND.examples(learner)))


def test_the_last_batch_of_training_data_is_not_needed(tmp_path: Path) -> None:
    """Fewer rows than a batch has, and no validation."""
    dls = TabularDataLoaders.from_df(
        people()[["height", "likes_tea"]][:5],
        tmp_path,
        [Normalize],
        [],
        ["height"],
        "likes_tea",
        valid_idx=[],
        bs=8,
    )
    learner = tabular_learner(dls, layers=[4])
    assert [tuple(part.shape) for part in BACKEND.example(learner)] == [(5, 0), (5, 1)]
    assert BACKEND.describe(learner, BACKEND.example(learner))[0].startswith("height=")
