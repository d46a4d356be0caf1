"""Losses sample by sample, and how they read a model's output."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from netviz_core.backend_api import LOSSES, InputError, LossReading, entries_of, leaves, nearest, shown

from .tensors import dtype_name, to_numpy

Loss = Callable[..., torch.Tensor]

_READS = {
    "crossentropyloss": "logits",
    "crossentropy": "logits",
    "nllloss": "log_probabilities",
    "nllloss2d": "log_probabilities",
    "kldivloss": "log_probabilities",
    "kldiv": "log_probabilities",
    "bceloss": "binary_probabilities",
    "binarycrossentropy": "binary_probabilities",
    "bcewithlogitsloss": "binary_logits",
    "binarycrossentropywithlogits": "binary_logits",
    "multilabelsoftmarginloss": "binary_logits",
}
"""How a loss reads the model's output, by the name of its class or function, in lower case without underscores."""

_ELEMENTWISE = frozenset(
    "bceloss binarycrossentropy bcewithlogitsloss binarycrossentropywithlogits mseloss l1loss smoothl1loss "
    "huberloss".split()
)
"""Losses that compare each number of the output with one of the targets."""


def take_losses(loss: Any, output: Any, targets: Any) -> LossReading:
    """See `netviz_core.backend_api.SupportsLosses`."""
    if isinstance(loss, str):
        raise InputError(
            f"loss={loss!r} is the name of no loss; {nearest(loss, LOSSES)} Losses of PyTorch's are "
            f"given themselves, such as torch.nn.CrossEntropyLoss()"
        )
    if not callable(loss):
        raise InputError(
            f"{shown(loss)} was given as loss; a PyTorch model brings none of its own, so give one, such as "
            f"torch.nn.CrossEntropyLoss() or a function of output and targets"
        )
    names = _names(loss)
    reads = next((_READS[name] for name in names if name in _READS), "values")
    unreduced = _without_reduction(loss)
    scores = _scores(output)
    if scores is None and unreduced is not None:
        raise InputError(
            f"the model returned a {type(output).__name__} in which there is not one tensor of floats but none or "
            f"several; give a function of output and targets as loss, which takes the one that is meant"
        )
    wanted = _as_targets(targets, scores, reads, not _ELEMENTWISE.isdisjoint(names))
    with torch.no_grad():
        if unreduced is not None and scores is not None:
            values = _averaged(_called(unreduced, scores, wanted), len(scores))
        else:
            values = _averaged(loss(output, wanted), _count(output))
        if values is None:
            values = _one_by_one(loss, scores, wanted)
    return LossReading(np.array(to_numpy(values)), reads)


def _names(loss: Any) -> list[str]:
    """The names a loss goes by, its own first, then those of the classes that it builds on."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    own = [loss.__name__] if hasattr(loss, "__name__") else [cls.__name__ for cls in type(loss).__mro__]
    return [name.replace("_", "").lower() for name in own]


def _scores(output: Any) -> torch.Tensor | None:
    """The one tensor of floats in the model's output, if there is just one."""
    numbers = [tensor for tensor in _tensors(output) if tensor.is_floating_point()]
    return numbers[0] if len(numbers) == 1 else None


def _count(output: Any) -> int:
    """How many samples there are."""
    return next((len(tensor) for tensor in _tensors(output)), 0)


def _tensors(output: Any) -> list[torch.Tensor]:
    found = (part for _, part in leaves(output, lambda part: isinstance(part, torch.Tensor)))
    return [tensor for tensor in found if tensor.ndim]


def _as_targets(targets: Any, scores: torch.Tensor | None, reads: str, elementwise: bool) -> Any:
    """Targets on the output's device, of the dtype and, number for number, of the shape that the loss expects."""
    if isinstance(targets, (np.ndarray, list, int, float, np.generic)):
        array = np.asarray(targets)
        if array.dtype.kind not in "biufc":
            raise InputError(
                f"targets of {entries_of(array.dtype)} were given; give numbers, such as indices of classes"
            )
        targets = torch.tensor(array)
    if not isinstance(targets, torch.Tensor) or scores is None:
        return targets
    targets = targets.to(scores.device)
    if targets.is_floating_point() or elementwise:
        targets = targets.to(scores.dtype)
    elif reads in ("logits", "log_probabilities"):
        targets = targets.long()
    if elementwise and targets.shape != scores.shape and targets.numel() == scores.numel():
        targets = targets.reshape(scores.shape)  # else (n, 1) and (n,) would be compared all with all
    return targets


class _Reducing(Protocol):
    """A loss that says how it makes one number of those of the samples."""

    reduction: str

    def __call__(self, *args: Any) -> torch.Tensor: ...


def _without_reduction(loss: Any) -> Loss | None:
    """The same loss for each number, if it can be told to; the user's own object stays as it is."""
    if isinstance(loss, nn.Module) or hasattr(loss, "reduction"):
        if not isinstance(getattr(loss, "reduction", None), str):
            return None
        unreduced: _Reducing = copy.copy(loss)
        unreduced.reduction = "none"
        return unreduced
    try:
        takes_reduction = "reduction" in inspect.signature(loss).parameters
    except (TypeError, ValueError):
        takes_reduction = False
    return functools.partial(loss, reduction="none") if takes_reduction else None


def _averaged(values: Any, count: int) -> torch.Tensor | None:
    """One value for each sample, the mean of its own; None if these are not one row for each sample."""
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    if isinstance(values, torch.Tensor) and values.ndim and len(values) == count:
        return values.reshape(count, -1).mean(1) if values.numel() else values.new_zeros(count)
    return None


def _called(loss: Loss, scores: torch.Tensor, targets: Any) -> Any:
    try:
        return loss(scores, targets)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        given = (
            f"{tuple(targets.shape)} {dtype_name(targets.dtype)}"
            if isinstance(targets, torch.Tensor)
            else f"a {type(targets).__name__}"
        )
        raise InputError(
            f"the loss cannot be taken of an output {tuple(scores.shape)} {dtype_name(scores.dtype)} and "
            f"targets {given}: {str(error).partition(chr(10))[0]}"
        ) from error


def _one_by_one(loss: Loss, scores: torch.Tensor | None, targets: Any) -> torch.Tensor:
    """A loss that gives one number for a batch, of batches of one sample each."""
    if scores is None or not isinstance(targets, torch.Tensor) or len(targets) != len(scores):
        raise InputError(
            "the loss gives one number for the whole batch, and the output and targets are not tensors that could "
            "be taken apart; give a loss that returns one number for each sample"
        )
    values = []
    for position in range(len(scores)):
        one = slice(position, position + 1)
        value = torch.as_tensor(loss(scores[one], targets[one]))
        if value.numel() != 1:
            raise InputError(
                f"the loss gives {value.numel()} numbers for one sample; give one that returns one number for "
                f"each sample, or one for a batch"
            )
        values.append(value.reshape(()))
    return torch.stack(values) if values else scores.new_zeros(0)
