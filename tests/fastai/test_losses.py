"""The loss of each sample is the one that fastai's own get_preds(with_loss=True) gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastai.data.all import CategoryBlock, DataBlock, IndexSplitter, MultiCategoryBlock, RegressionBlock
from fastai.learner import Learner
from fastai.losses import (
    BaseLoss,
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    DiceLoss,
    FocalLoss,
    FocalLossFlat,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    LabelSmoothingCrossEntropyFlat,
    MSELossFlat,
)
from fastai.vision.all import ImageBlock
from torch import nn

import netviz_core as nv

from .learners import digit_files, digit_of
from .state import quietly

BACKEND = nv.get_backend("fastai")


def _both(learner: Learner) -> tuple[np.ndarray, np.ndarray, str]:
    """Our losses, fastai's, and how the output is read."""
    ours, reads = [], set()
    for inputs, targets in BACKEND.examples(learner):
        reading = BACKEND.losses(learner, None, BACKEND.run(learner, inputs), targets)
        ours.append(reading.values)
        reads.add(reading.reads)
    theirs = quietly(learner, "get_preds", with_loss=True, reorder=False)[-1]
    (read,) = reads
    return np.concatenate(ours), theirs.as_subclass(torch.Tensor).numpy(), read


@pytest.mark.parametrize(
    ("which", "read"),
    [
        ("digits", "logits"),
        ("photographs", "logits"),
        ("table", "logits"),
        ("texts", "logits"),
        ("points", "values"),
        ("ratings", "values"),
    ],
)
def test_a_learners_own_loss(request: pytest.FixtureRequest, which: str, read: str) -> None:
    learner = request.getfixturevalue(which)
    ours, theirs, reads = _both(learner)
    assert reads == read
    assert ours.shape == (learner.dls.valid.n,)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=0)


def test_a_language_model(language: Learner) -> None:
    batch = language.dls.valid.one_batch()
    reading = BACKEND.losses(language, None, BACKEND.run(language, batch[0]), batch[1])
    theirs = quietly(language, "get_preds", dl=[batch], with_loss=True, reorder=False)[-1]
    assert reading.reads == "logits"
    assert reading.values.shape == (4,)
    np.testing.assert_allclose(reading.values, theirs.numpy().reshape(-1), rtol=1e-6)


def test_what_the_model_itself_returned_will_do(texts: Learner) -> None:
    """The torch backend, and the user, see a tuple with the hidden states in it."""
    inputs, targets = next(iter(BACKEND.examples(texts)))
    whole = texts.model.eval()(inputs.as_subclass(torch.Tensor))
    assert isinstance(whole, tuple)
    expected = BACKEND.losses(texts, None, BACKEND.run(texts, inputs), targets)
    np.testing.assert_allclose(BACKEND.losses(texts, None, whole, targets).values, expected.values, rtol=1e-6)


def _flat(folder: Path, target: Any, get_y: Any, outputs: int, loss: Any, last: nn.Module) -> Learner:
    torch.manual_seed(0)
    block = DataBlock(
        (ImageBlock, target), get_items=digit_files, get_y=get_y, splitter=IndexSplitter(range(0, 60, 4))
    )
    dls = block.dataloaders(folder, bs=4, num_workers=0)
    return Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, outputs), last), loss_func=loss)


def _labels(path: Path) -> list:  # fastai reads it, and takes no list[str]
    digit = int(digit_of(path))
    return [*(["odd"] if digit % 2 else []), *(["small"] if digit < 5 else []), "digit"]


WEIGHT = torch.linspace(0.5, 2, 10)


@pytest.mark.parametrize(
    ("loss", "read"),
    [
        (CrossEntropyLossFlat(weight=WEIGHT), "logits"),
        (CrossEntropyLossFlat(label_smoothing=0.1), "logits"),
        (FocalLossFlat(gamma=3.0), "logits"),
        (FocalLoss(), "logits"),
        (LabelSmoothingCrossEntropy(), "logits"),
        (LabelSmoothingCrossEntropyFlat(eps=0.2), "logits"),
        (BaseLoss(nn.NLLLoss), "log_probabilities"),
    ],
    ids=str,
)
def test_losses_of_classes(tmp_path: Path, loss: Any, read: str) -> None:
    last = nn.LogSoftmax(1) if read == "log_probabilities" else nn.Identity()
    ours, theirs, reads = _both(_flat(tmp_path, CategoryBlock, digit_of, 10, loss, last))
    assert reads == read
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "read"),
    [
        (BCEWithLogitsLossFlat(), "binary_logits"),
        (BCEWithLogitsLossFlat(pos_weight=torch.tensor([1.0, 2.0, 3.0])), "binary_logits"),
        (BCELossFlat(), "binary_probabilities"),
    ],
    ids=str,
)
def test_losses_of_several_labels(tmp_path: Path, loss: Any, read: str) -> None:
    last = nn.Sigmoid() if read == "binary_probabilities" else nn.Identity()
    ours, theirs, reads = _both(_flat(tmp_path, MultiCategoryBlock, _labels, 3, loss, last))
    assert reads == read
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("loss", [MSELossFlat(), L1LossFlat()], ids=str)
def test_losses_of_numbers(tmp_path: Path, loss: Any) -> None:
    ours, theirs, reads = _both(
        _flat(tmp_path, RegressionBlock, lambda it: float(digit_of(it)), 1, loss, nn.Identity())
    )
    assert reads == "values"
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [CrossEntropyLossFlat(axis=1), FocalLossFlat(axis=1), DiceLoss(), DiceLoss(square_in_union=True)],
    ids=["cross entropy", "focal", "Dice", "Dice of squares"],
)
def test_losses_of_masks(photographs: Learner, loss: Any) -> None:
    learner = Learner(photographs.dls, photographs.model, loss_func=loss)
    ours, theirs, reads = _both(learner)
    assert reads == "logits"
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_loss_is_left_as_it_was(digits: Learner) -> None:
    loss = CrossEntropyLossFlat(reduction="sum")
    inputs, targets = next(iter(BACKEND.examples(digits)))
    output = BACKEND.run(digits, inputs)
    BACKEND.losses(digits, loss, output, targets)
    assert loss.reduction == "sum"
    with pytest.raises(nv.InputError, match=r"of an output of shape \(8, 10\) and targets of shape \(3,\)"):
        BACKEND.losses(digits, loss, output, targets[:3])
    assert loss.reduction == "sum"


def test_targets_may_be_arrays(digits: Learner) -> None:
    inputs, targets = next(iter(BACKEND.examples(digits)))
    output = BACKEND.run(digits, inputs)
    expected = BACKEND.losses(digits, None, output, targets).values
    given = np.asarray(targets.as_subclass(torch.Tensor))
    np.testing.assert_array_equal(BACKEND.losses(digits, None, output, given).values, expected)


def test_a_loss_that_is_none_gets_a_sentence(digits: Learner) -> None:
    class Always(BaseLoss):
        def __init__(self) -> None:
            super().__init__(nn.CrossEntropyLoss)

        def __call__(self, inp: Any, targ: Any, **kwargs: Any) -> Any:
            return torch.tensor(1.0)

    learner = Learner(digits.dls, digits.model, loss_func=digits.loss_func)
    inputs, targets = next(iter(BACKEND.examples(learner)))
    output = BACKEND.run(learner, inputs)
    with pytest.raises(nv.InputError, match="gave 1 values for 8 samples; it must give one for each"):
        BACKEND.losses(learner, Always(), output, targets)
    learner.loss_func = None
    with pytest.raises(nv.InputError, match="no loss function; give loss="):
        BACKEND.losses(learner, None, output, targets)


def test_a_learners_loss_tells_that_a_single_score_speaks_of_two_classes(tmp_path: Path) -> None:
    block = DataBlock(
        (ImageBlock, RegressionBlock),
        get_items=digit_files,
        get_y=lambda path: float(int(digit_of(path)) % 2),
        splitter=IndexSplitter(range(0, 60, 4)),
    )
    dls = block.dataloaders(tmp_path, bs=4, num_workers=0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    learner = Learner(dls, model, loss_func=BCEWithLogitsLossFlat())
    x = torch.rand(2, 3, 8, 8)
    against, for_it = (nv.cam(learner, x, "0", target) for target in (0, 1))
    assert for_it.captions == ("1", "1")
    assert for_it.labels == tuple(f"1 / {share:.2f}" for share in for_it.shares)
    assert against.shares == pytest.approx([1 - share for share in for_it.shares])
    assert not (against.maps * for_it.maps).any()
    learner.loss_func = MSELossFlat()
    with pytest.raises(nv.InputError, match="a single number"):
        nv.cam(learner, x, "0", 1)
