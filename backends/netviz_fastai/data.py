"""A Learner's own data, drawn so that the Learner does not notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from fastai.data.load import DataLoader
from fastai.learner import Learner

from netviz_core.backend_api import InputError

from .tensors import on_device
from .untouched import untouched


def loaders_of(learner: Learner) -> list[Any]:
    """The Learner's loaders: for training, for validation, and whatever more there are.

    Raises
    ------
    InputError
        If it has none.
    """
    loaders = list(getattr(learner.dls, "loaders", ()))
    if not loaders:
        raise InputError(
            "this Learner has no DataLoaders, and so neither data nor transforms of its own; "
            "give a batch as the model takes it, or set learner.dls"
        )
    return loaders


def example(learner: Learner) -> Any:
    """The inputs of the first batch of the validation data, or, where there is none, of the training data."""
    training, *others = loaders_of(learner)
    for loader, is_training in (*((other, False) for other in others[:1]), (training, True)):
        if not _is_empty(loader):
            for inputs, _ in _drawn(learner, loader, is_training):
                return inputs
    raise InputError(
        "this Learner's DataLoaders are empty, as those of one that was exported; give x: a batch, "
        "or an item such as a path, which goes through the Learner's own transforms"
    )


def examples(learner: Learner) -> Iterator[tuple[Any, Any]]:
    """The validation data in the order of its loader, as pairs of inputs and targets."""
    _, *others = loaders_of(learner)
    if not others or _is_empty(others[0]):
        raise InputError(
            "this Learner has no validation data; give data=, such as learner.dls.train or "
            "learner.dls.test_dl(items, with_labels=True)"
        )
    return _labelled(learner, others[0])


def inputs_of(learner: Learner, batch: Any) -> Any:
    """The inputs of a batch as the model's backend takes them, on the model's device."""
    return _as_arguments(learner, _split(learner, batch)[0])


def _labelled(learner: Learner, loader: Any) -> Iterator[tuple[Any, Any]]:
    for inputs, targets in _drawn(learner, loader):
        if not targets:
            raise InputError(
                "the validation data of this Learner has no targets; give data= with targets, such as "
                "learner.dls.test_dl(items, with_labels=True)"
            )
        yield inputs, targets[0] if len(targets) == 1 else targets


def _drawn(learner: Learner, loader: Any, is_training: bool = False) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Inputs and targets, batch by batch; between two the user's own code has its own random numbers."""
    batches: Iterator[Any] | None = None
    while True:
        with untouched(learner.dls), _without_augmentation(loader, is_training):
            if batches is None:
                batches = iter(_afresh(loader))
            batch = next(batches, None)
            if batch is None:
                return
            inputs, targets = _split(learner, batch)
        yield _as_arguments(learner, inputs), on_device(targets, device_of(learner))


def _afresh(loader: Any) -> Any:
    """A loader of the same data in its own order, which reads in this process."""
    if isinstance(loader, DataLoader):
        return loader.new(shuffle=False, drop_last=False, num_workers=0)
    return loader


def _without_augmentation(loader: Any, is_training: bool) -> AbstractContextManager[Any]:
    """Treat data for training as if they were for validation."""
    if is_training and hasattr(loader.dataset, "set_split_idx"):
        as_validation: AbstractContextManager[Any] = loader.dataset.set_split_idx(1)
        return as_validation
    return nullcontext()


def _is_empty(loader: Any) -> bool:
    try:
        return not len(loader.dataset)
    except TypeError:  # a stream, whose length nobody knows
        return False


def _split(learner: Learner, batch: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Inputs and targets, told apart as the Learner does."""
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    count = getattr(learner.dls, "n_inp", 1 if len(parts) == 1 else len(parts) - 1)
    return parts[:count], parts[count:]


def _as_arguments(learner: Learner, inputs: tuple[Any, ...]) -> Any:
    moved = on_device(inputs, device_of(learner))
    # A single input that is itself a tuple stays wrapped: the model takes it as one argument.
    return moved if len(moved) != 1 or isinstance(moved[0], tuple) else moved[0]


def device_of(learner: Learner) -> torch.device | None:
    """Where the Learner's model is; None for one without parameters."""
    return next((tensor.device for tensor in learner.model.parameters()), None)
