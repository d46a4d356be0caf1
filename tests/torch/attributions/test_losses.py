"""Losses sample by sample, and images among inputs."""

from __future__ import annotations

import functools
from collections import UserDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from netviz_torch import TorchBackend

BACKEND = TorchBackend()
MODEL = nn.Identity()


def losses(loss, output, targets):
    reading = BACKEND.losses(MODEL, loss, output, targets)
    assert reading.values.shape == (len(targets),)
    return reading


def one_by_one(loss, output, targets) -> list[float]:
    return [loss(output[one : one + 1], targets[one : one + 1]).item() for one in range(len(output))]


torch.manual_seed(0)
SCORES = torch.randn(4, 3)
MAPS = torch.randn(4, 3, 5, 6)
LABELS = torch.tensor([0, 2, 1, 2])
PIXELS = torch.randint(0, 3, (4, 5, 6))
VALUES = torch.randn(4, 3)
BITS = (VALUES > 0).float()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("cls", "output", "targets", "reads"),
    [
        (nn.CrossEntropyLoss, SCORES, LABELS, "logits"),
        (nn.CrossEntropyLoss, SCORES, VALUES.softmax(1), "logits"),
        (nn.CrossEntropyLoss, MAPS, PIXELS, "logits"),
        (functools.partial(nn.CrossEntropyLoss, label_smoothing=0.1), SCORES, LABELS, "logits"),
        (nn.NLLLoss, SCORES.log_softmax(1), LABELS, "log_probabilities"),
        (nn.BCELoss, SCORES.sigmoid(), BITS, "binary_probabilities"),
        (nn.BCEWithLogitsLoss, SCORES, BITS, "binary_logits"),
        (nn.MSELoss, SCORES, VALUES, "values"),
        (nn.L1Loss, MAPS, MAPS.flip(0), "values"),
        (nn.SmoothL1Loss, SCORES, VALUES, "values"),
        (nn.HuberLoss, SCORES, VALUES, "values"),
        (nn.KLDivLoss, SCORES.log_softmax(1), VALUES.softmax(1), "log_probabilities"),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning")
def test_losses_of_torch(cls, output, targets, reads, reduction):
    loss = cls(reduction=reduction)
    reading = losses(loss, output, targets)
    expected = one_by_one(cls(reduction="mean"), output, targets)
    np.testing.assert_allclose(reading.values, expected, rtol=1e-5, atol=1e-7)
    assert reading.reads == reads
    assert loss.reduction == reduction


@pytest.mark.parametrize(
    ("loss", "output", "targets", "reads"),
    [
        (F.cross_entropy, SCORES, LABELS, "logits"),
        (functools.partial(F.cross_entropy, label_smoothing=0.1), SCORES, LABELS, "logits"),
        (F.nll_loss, SCORES.log_softmax(1), LABELS, "log_probabilities"),
        (F.binary_cross_entropy_with_logits, SCORES, BITS, "binary_logits"),
        (F.mse_loss, SCORES, VALUES, "values"),
        (lambda output, target: (output - target).square().mean(1), SCORES, VALUES, "values"),
        (lambda output, target: (output - target).square().mean(), SCORES, VALUES, "values"),
        (lambda output, target: (output - target).abs(), SCORES, VALUES, "values"),
    ],
)
def test_functions(loss, output, targets, reads):
    reading = losses(loss, output, targets)
    expected = one_by_one(lambda *pair: loss(*pair).mean(), output, targets)
    np.testing.assert_allclose(reading.values, expected, rtol=1e-5, atol=1e-7)
    assert reading.reads == reads


class Weighted(nn.Module):
    """A loss of the user's own, without a way to keep it from reducing."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.CrossEntropyLoss()

    def forward(self, output, targets):
        return 2 * self.inner(output, targets)


class Focal(nn.CrossEntropyLoss):
    def forward(self, output, targets):
        plain = F.cross_entropy(output, targets, reduction="none")
        focal = (1 - (-plain).exp()) ** 2 * plain
        return focal if self.reduction == "none" else focal.mean()


@pytest.mark.parametrize(("loss", "reads"), [(Weighted(), "values"), (Focal(), "logits")])
def test_losses_of_the_users_own(loss, reads):
    reading = losses(loss, SCORES, LABELS)
    np.testing.assert_allclose(reading.values, one_by_one(loss, SCORES, LABELS), rtol=1e-5)
    assert reading.reads == reads


def test_targets_are_brought_to_the_form_that_the_loss_takes():
    expected = losses(nn.CrossEntropyLoss(), SCORES, LABELS).values
    for targets in (LABELS.numpy(), LABELS.int(), LABELS.numpy().astype(np.uint8), LABELS.tolist()):
        np.testing.assert_array_equal(losses(nn.CrossEntropyLoss(), SCORES, targets).values, expected)
    column, bits = SCORES[:, :1], [0, 1, 1, 0]
    expected = losses(nn.BCEWithLogitsLoss(), column, torch.tensor(bits).float()[:, None]).values
    np.testing.assert_array_equal(losses(nn.BCEWithLogitsLoss(), column, np.array(bits)).values, expected)
    np.testing.assert_allclose(losses(nn.MSELoss(), column, np.zeros(4)).values, column[:, 0] ** 2)


def test_structured_outputs():
    expected = losses(nn.CrossEntropyLoss(), SCORES, LABELS).values
    reading = losses(nn.CrossEntropyLoss(), {"logits": SCORES, "ids": LABELS}, LABELS)
    np.testing.assert_array_equal(reading.values, expected)
    pair = (SCORES, MAPS)
    with pytest.raises(nv.InputError, match="not one tensor of floats but none or several"):
        losses(nn.CrossEntropyLoss(), pair, LABELS)
    reading = losses(
        lambda output, target: F.cross_entropy(output[0], target, reduction="none"), pair, LABELS
    )
    np.testing.assert_array_equal(reading.values, expected)


def test_weights_and_state_of_the_loss_are_kept():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])).train()
    before = dict(vars(loss))
    reading = losses(loss, SCORES.requires_grad_(), LABELS)
    expected = F.cross_entropy(SCORES, LABELS, weight=loss.weight, reduction="none")
    np.testing.assert_array_equal(reading.values, expected.detach().numpy())
    assert vars(loss) == before
    SCORES.requires_grad_(False)


@pytest.mark.parametrize(
    ("loss", "output", "targets", "words"),
    [
        (None, SCORES, LABELS, "None was given as loss; a PyTorch model brings none of its own"),
        (
            nn.CrossEntropyLoss(),
            SCORES,
            LABELS[:2],
            r"cannot be taken of an output \(4, 3\) float32 and targets \(2,\)",
        ),
        (nn.TripletMarginLoss(), SCORES, VALUES, "cannot be taken of an output"),
        (nn.CrossEntropyLoss(), SCORES, ["cat", "dog", "cat", "cow"], "targets of strings were given"),
        (lambda output, target: output.sum(), SCORES, {"boxes": 1}, "one number for the whole batch"),
        (lambda output, target: output.mean(0), SCORES, LABELS, "gives 3 numbers for one sample"),
    ],
)
def test_bad_losses(loss, output, targets, words):
    with pytest.raises(nv.InputError, match=words):
        BACKEND.losses(MODEL, loss, output, targets)


def test_errors_of_the_users_own_pass_through():
    def loss(output, targets):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        losses(loss, SCORES, LABELS)


def test_images():
    pixels = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    for given in (
        pixels,
        torch.from_numpy(pixels),
        (np.zeros((2, 7)), pixels),
        {"ids": torch.zeros(2, 7), "pixel_values": torch.from_numpy(pixels).requires_grad_()},
        [np.zeros((2, 16, 4, 5)), pixels],
        UserDict(pixel_values=pixels),
    ):
        found = BACKEND.images(MODEL, given)
        assert found.axes == ("batch", "channel", "y", "x")
        np.testing.assert_array_equal(found.values, pixels)
        assert not np.shares_memory(found.values, pixels)
    named = nv.images(np.zeros((2, 4, 5, 3)))
    assert BACKEND.images(MODEL, named) is named
    grey = nv.images(np.zeros((2, 4, 5)), ("batch", "y", "x"))
    assert BACKEND.images(MODEL, (grey, pixels)) is grey
    for nothing in (
        np.zeros((2, 3)),
        torch.zeros(2, 16, 4, 4),
        {},
        "text",
        nv.images(np.zeros((2, 3)), ("batch", "time")),
    ):
        assert BACKEND.images(MODEL, nothing) is None
