"""All that a Learner is, as bytes: to be compared before and after."""

from __future__ import annotations

import pickletools
from typing import Any

import cloudpickle
import torch
from fastai.learner import Learner
from fastai.torch_core import get_random_states


def state_of(learner: Learner) -> bytes:
    """The Learner, its model with modes and hooks, its callbacks, and its DataLoaders with their generators."""
    return pickletools.optimize(cloudpickle.dumps(learner))


def random_state() -> str:
    """The random generators of the whole process."""
    torch.set_printoptions(profile="full")
    try:
        return repr(get_random_states())
    finally:
        torch.set_printoptions(profile="default")


def quietly(learner: Learner, method: str, *args: Any, **options: Any) -> Any:
    """Let a Learner do something without its progress bar."""
    with learner.no_bar(), learner.no_logging():
        return getattr(learner, method)(*args, **options)
