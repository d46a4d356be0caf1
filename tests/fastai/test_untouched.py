"""Nothing of a Learner changes, whatever is asked of it; nor do the random generators of the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.all import MixedPrecision
from fastai.data.all import CategoryBlock, DataBlock, DataLoaders, IndexSplitter, TfmdDL
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.text.all import Tokenizer
from fastai.vision.all import ImageBlock, RandomErasing, RandomResizedCrop
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

import netviz_core as nv

from .learners import SENTENCES, digit_files, digit_of, people
from .state import random_state, state_of

BACKEND = nv.get_backend("fastai")


def _losses(learner: Learner) -> None:
    for inputs, targets in BACKEND.examples(learner):
        BACKEND.losses(learner, None, BACKEND.run(learner, inputs), targets)


def _shown(learner: Learner) -> None:
    x = BACKEND.example(learner)
    BACKEND.images(learner, x)
    BACKEND.describe(learner, x)
    BACKEND.class_names(learner)


def _half_read(learner: Learner) -> None:
    next(iter(BACKEND.examples(learner)))


def _fill_caches(learner: Learner, item: Any) -> None:
    """spaCy keeps every string it meets, in a table that only grows and that nothing else depends on."""
    for part in getattr(learner.dls.valid_ds, "tls", [])[:1]:
        for transform in part.tfms.fs:
            if isinstance(transform, Tokenizer):
                for text in item if isinstance(item, list) else [item]:
                    transform(text)


ASKED: dict[str, Callable[[Learner], Any]] = {
    "capture": lambda learner: nv.capture(learner, BACKEND.example(learner)),
    "losses": _losses,
    "shown": _shown,
    "half_read": _half_read,
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_learner_is_the_same_before_and_after(learner: Learner, asked: str) -> None:
    learner.model.train()
    list(learner.model.modules())[3].eval()
    before, random = state_of(learner), random_state()
    ASKED[asked](learner)
    assert random_state() == random
    assert state_of(learner) == before


def test_items_leave_it_as_it_was(digits: Learner, table: Learner, texts: Learner, language: Learner) -> None:
    asked = [
        (digits, digits.dls.valid_ds.items[0]),
        (table, people().iloc[3]),
        (texts, "words that it has never seen: floccinaucinihilipilification"),
        (texts, list(SENTENCES)),
        (language, "other words that it has never seen"),
    ]
    for learner, item in asked:
        _fill_caches(learner, item)
        before, random = state_of(learner), random_state()
        BACKEND.run(learner, item)
        BACKEND.describe(learner, item)
        BACKEND.images(learner, item)
        assert random_state() == random
        assert state_of(learner) == before


def test_a_failed_item_leaves_it_as_it_was(table: Learner, digits: Learner) -> None:
    BACKEND.run(digits, str(digits.dls.valid_ds.items[0]))  # plum's cache knows strings now
    for learner, item in ((table, {"job": "pilot", "age": 3.0, "height": np.nan}), (digits, "nowhere.png")):
        before, random = state_of(learner), random_state()
        with pytest.raises((nv.InputError, FileNotFoundError)):
            BACKEND.run(learner, item)
        assert random_state() == random
        assert state_of(learner) == before


def test_a_loader_that_was_never_used_stays_so() -> None:
    """fastai would make a pass over such a loader, to learn the types of its data, and note them down."""
    rows = [(torch.randn(3), number % 2) for number in range(10)]
    dls = DataLoaders(TfmdDL(rows, bs=4, shuffle=True, num_workers=0), TfmdDL(rows, bs=4, num_workers=0))
    learner = Learner(dls, nn.Linear(3, 2), loss_func=CrossEntropyLossFlat())
    before, random = state_of(learner), random_state()
    assert [len(targets) for _, targets in BACKEND.examples(learner)] == [4, 4, 2]
    assert random_state() == random
    assert state_of(learner) == before
    assert not hasattr(dls.valid, "_types")


def test_random_transforms_of_validation_stay(tmp_path: Path) -> None:
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=digit_files,
        get_y=digit_of,
        splitter=IndexSplitter([0, 1, 2, 3]),
        item_tfms=RandomResizedCrop(24),
        batch_tfms=RandomErasing(p=1),
    )
    learner = Learner(block.dataloaders(tmp_path, bs=2, num_workers=0), nn.Flatten())
    before, random = state_of(learner), random_state()
    _shown(learner)
    _half_read(learner)
    BACKEND.run(learner, learner.dls.train_ds.items[0])
    assert random_state() == random
    assert state_of(learner) == before


def test_the_users_random_numbers_between_two_batches_are_the_users_own(digits: Learner) -> None:
    torch.manual_seed(3)
    expected = [torch.rand(()).item() for _ in BACKEND.examples(digits)]
    torch.manual_seed(3)
    assert expected == [torch.rand(()).item() for _ in range(len(digits.dls.valid))]


def test_generators_of_pytorchs_loaders_stay() -> None:
    data = TensorDataset(torch.randn(6, 3), torch.arange(6) % 2)
    generator = torch.Generator().manual_seed(5)
    loader = DataLoader(data, 4, sampler=RandomSampler(data, generator=generator), generator=generator)
    learner = Learner(DataLoaders(loader, loader), nn.Linear(3, 2), loss_func=CrossEntropyLossFlat())
    before = generator.get_state()
    assert len(list(BACKEND.examples(learner))) == 2
    assert torch.equal(generator.get_state(), before)


def test_callbacks_are_not_called(digits: Learner) -> None:
    """Those of a Learner are for training: mixed precision would need a GPU here."""
    learner = Learner(digits.dls, digits.model, loss_func=digits.loss_func, cbs=MixedPrecision())
    before = state_of(learner)
    _losses(learner)
    assert state_of(learner) == before


def test_training_goes_on_as_if_nobody_had_looked(tmp_path: Path) -> None:
    def trained(look: bool) -> list[float]:
        data = TensorDataset(torch.arange(24.0).reshape(8, 3) / 24, torch.arange(8) % 2)
        torch.manual_seed(0)
        dls = DataLoaders.from_dsets(data, data, bs=3, num_workers=0, dl_type=TfmdDL)
        learner = Learner(
            dls, nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2)), CrossEntropyLossFlat()
        )
        with learner.no_bar(), learner.no_logging():
            for _ in range(3):
                learner.fit(1)
                if look:
                    _losses(learner)
                    _half_read(learner)
        return [parameter.sum().item() for parameter in learner.model.parameters()]

    import random

    random.seed(1)
    alone = trained(look=False)
    random.seed(1)
    assert trained(look=True) == alone
