"""Leaves a Learner's DataLoaders as they were, whatever drawing data from them notes down.

Transforms remember the last batch they saw, a vocabulary grows by the words it does not know, and
loaders take numbers from the random generators of the whole process.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from fastai.data.core import DataLoaders, FilteredBase
from fastai.data.load import DataLoader
from fastai.torch_core import get_random_states, set_random_states
from fasttransform import Pipeline, Transform
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import Sampler

_OWN = (DataLoaders, DataLoader, FilteredBase, Pipeline, Transform, TorchDataLoader, Sampler)


@contextmanager
def untouched(dls: Any) -> Iterator[None]:
    """Put back what changes inside: random generators, and what loaders and transforms remember.

    Parameters
    ----------
    dls : fastai.data.core.DataLoaders
    """
    undo = list(_undoing(dls))
    states = get_random_states()
    try:
        yield
    finally:
        set_random_states(**states)
        for step in undo:
            step()


def _undoing(root: Any) -> Iterator[Callable[[], Any]]:
    """What to do to bring the loaders, and the transforms and collections they are made of, back to now."""
    waiting, seen = [root], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, random.Random):
            yield partial(value.setstate, value.getstate())
        elif isinstance(value, torch.Generator):
            yield partial(value.set_state, value.get_state())
        elif isinstance(value, dict):
            yield partial(_refill, value, dict(value))
            waiting.extend(_owners(list(value.values())))
        elif _is_own(value):
            yield partial(_refill, vars(value), dict(vars(value)))
            waiting.extend(vars(value).values())
        elif isinstance(value, (list, tuple)) or type(value).__name__ == "L":
            waiting.extend(_owners(value))


def _owners(values: Any) -> Any:
    """The members of a collection, unless it is one of data: those can be many, and are not written to."""
    return values if len(values) and _is_own(values[0]) else ()


def _is_own(value: object) -> bool:
    """Whether it is a part of fastai's machinery, rather than data or a tool of the user's."""
    if isinstance(value, _OWN):
        return True
    home = type(value).__module__.partition(".")[0]
    return home == "fastai" and hasattr(value, "__dict__") and not isinstance(value, (torch.Tensor, type))


def _refill(present: dict[Any, Any], before: dict[Any, Any]) -> None:
    for key in present.keys() - before.keys():
        del present[key]
    dict.update(present, before)  # a Counter's own method would add up
