"""What in a checkpoint is a model's, and what is kept beside it to go on with the training.

It is told by what it is: an optimizer's state by the form that all of PyTorch's have, a copy by having the
names and shapes of what it is a copy of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..words.errors import UnknownModelError
from .checkpoint import Checkpoint, StoredTensor, ToNumpy


@dataclass
class _Level:
    """A mapping of a checkpoint, its entries parted by what they are."""

    tensors: dict[str, Any] = field(default_factory=dict)
    below: dict[str, _Level] = field(default_factory=dict)
    apart: dict[str, str] = field(default_factory=dict)
    """What is no weight, by name, and what it is."""
    plain: bool = False
    """Whether there are values that are no tensors, such as an epoch, as a state dict has none."""

    @property
    def empty(self) -> bool:
        return not self.tensors and not self.below


def from_mapping(state: Mapping[Any, Any], read: ToNumpy) -> Checkpoint | None:
    """See a state dict, or a checkpoint with one or several, as weights; nothing if there is no tensor in it.

    Parameters
    ----------
    state : mapping
        From name to tensor, or to a mapping of tensors.
    read : callable
        Brings a tensor to NumPy.

    Raises
    ------
    UnknownModelError
        If there are tensors, but none is a model's.
    """
    if _is_optimizer(state):
        raise UnknownModelError(
            "these are the states of an optimizer, without a model's weights; give the model's state_dict()"
        )
    level = _level(state, outermost=True)
    apart = dict(_all_apart(level))
    tensors = {
        name: StoredTensor(tuple(value.shape), str(value.dtype).rpartition(".")[2], partial(read, value))
        for name, value in _flattened(level)
    }
    if apart and not tensors:
        raise UnknownModelError(
            f"there are no weights of a model in it, but {_told(apart)}; give the model's state_dict()"
        )
    return Checkpoint(tensors, apart=apart) if tensors else None


def _told(apart: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({what})" for name, what in apart.items())


def _level(state: Mapping[Any, Any], outermost: bool = False, beside: bool = False) -> _Level:
    """The entries of a mapping; `beside` says that it stands in one of other things than weights."""
    level = _Level()
    beside = not outermost and (
        beside or any(isinstance(value, (str, int, float)) for value in state.values())
    )
    for key, value in state.items():
        name = str(key)
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, Mapping) for v in value):
            value = dict(enumerate(value))
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            level.tensors[name] = value
        elif isinstance(value, Mapping) and _is_optimizer(value):
            level.apart[name] = "an optimizer's state"
        elif isinstance(value, Mapping):
            below = _level(value, beside=beside)
            if not below.empty or below.apart:
                level.below[name] = below
            level.plain |= below.empty and bool(value)
        else:
            level.plain = True
    level.plain |= any("optimizer" in what for what in level.apart.values())
    _set_bookkeeping_apart(level, outermost, beside)
    _set_averages_apart(level)
    return level


def _is_optimizer(state: Mapping[Any, Any]) -> bool:
    """Whether it is what ``Optimizer.state_dict()`` returns, or that with its names joined by dots."""
    groups = state.get("param_groups")
    if isinstance(state.get("state"), Mapping) and isinstance(groups, (list, tuple)):
        return True
    heads = {str(name).partition(".")[0] for name in state}
    return heads == {"state", "param_groups"}


def _set_bookkeeping_apart(level: _Level, outermost: bool, beside: bool) -> None:
    """Numbers of steps, best scores, random states and such, which stand beside state dicts or by themselves."""
    models = any(not below.empty for below in level.below.values())
    scores = (level.plain or beside) and not any(value.shape for value in level.tensors.values())
    random = all(_is_random_state(value) for value in level.tensors.values())
    own = (scores or random) and not outermost
    for name, value in list(level.tensors.items()):
        counted = models and (level.plain or _is_random_state(value) or _is_count(value))
        if counted or own:
            del level.tensors[name]
            level.apart[name] = "a random state" if _is_random_state(value) else "no weight"


def _is_random_state(value: Any) -> bool:
    return len(value.shape) == 1 and str(value.dtype).endswith("uint8")


def _is_count(value: Any) -> bool:
    return not value.shape and "int" in str(value.dtype)


def _set_averages_apart(level: _Level) -> None:
    """A moving average has the names and shapes of the model, and is called one.

    Two models of one architecture have other names than that, and both stay.
    """
    forms = {
        name: {path: tuple(value.shape) for path, value in _flattened(below)}
        for name, below in level.below.items()
    }
    for name, form in forms.items():
        averages = re.search(r"(^|[^a-z])(ema|swa|shadow|averaged?)([^a-z]|$)", name.lower())
        model = next((o for o in level.below if o != name and _covers(form, forms[o])), None)
        if form and averages and model is not None:
            del level.below[name]
            level.apart[name] = f"moving averages of {model}"


def _covers(average: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Whether one has all that the other has; averages may bring a prefix and a count of their own."""
    plain = {path.removeprefix("module."): shape for path, shape in average.items()}
    return bool(model) and all(
        plain.get(path.removeprefix("module.")) == shape for path, shape in model.items()
    )


def _flattened(level: _Level, prefix: str = "") -> Iterator[tuple[str, Any]]:
    yield from ((f"{prefix}{name}", value) for name, value in level.tensors.items())
    for name, below in level.below.items():
        yield from _flattened(below, f"{prefix}{name}.")


def _all_apart(level: _Level, prefix: str = "") -> Iterator[tuple[str, str]]:
    yield from ((f"{prefix}{name}", what) for name, what in level.apart.items())
    for name, below in level.below.items():
        yield from _all_apart(below, f"{prefix}{name}.")
