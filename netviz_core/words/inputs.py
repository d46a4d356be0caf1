"""What cannot be a model's input, whatever framework the model is of, and what to give in its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .errors import InputError
from .given import shown

_DATA_SETS = frozenset({"DataLoader", "DataLoaders", "Dataset", "DatasetV2", "PyDataset"})
_HOMES_OF_DATA_SETS = frozenset({"torch", "tensorflow", "keras", "fastai", "datasets"})


def require_input(inputs: Any) -> None:
    """Refuse what is no input of a model: a path, a shape, a picture that is no array yet, a data set.

    Raises
    ------
    InputError
        With what was given, and what to give in its place.
    """
    if inputs is None or isinstance(inputs, (str, bytes, int, float, complex, os.PathLike)):
        raise InputError(
            f"{shown(inputs)} was given as input; give an array or a tensor, or a tuple or dict of them"
        )
    if isinstance(inputs, (tuple, list)) and inputs and all(type(part) is int for part in inputs):
        raise InputError(
            f"{shown(inputs)} was given as input, which looks like a shape; give an array or a tensor"
        )
    _require_parts(inputs)


def _require_parts(value: Any) -> None:
    if isinstance(value, (tuple, list)):
        for part in value:
            _require_parts(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            _require_parts(part)
    elif (told := _what_else(value)) is not None:
        raise InputError(f"a {type(value).__name__} was given as input{told}")


def _what_else(value: Any) -> str | None:
    """What there is to say of a value that is no input, and what to give in its place."""
    kind = type(value)
    if hasattr(kind, "__next__"):
        return ", which can be read only once; give an array or a tensor"
    if hasattr(kind, "__array_interface__") and not hasattr(value, "dtype"):  # Pillow's
        return (
            "; give an array of a batch of pictures, in the range in which the model takes them, such as "
            "nv.images(np.asarray(picture)[None] / 255)"
        )
    if any(base.__name__ in _DATA_SETS and _home(base) in _HOMES_OF_DATA_SETS for base in kind.__mro__):
        return "; give one batch of inputs from it: an array or a tensor, or a tuple or dict of them"
    return None


def _home(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]
