"""What cannot be a model's input, whatever framework the model is of, and what to give in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .errors import InputError
from .given import is_array, is_own, shown

_DATA_SETS = frozenset({"DataLoader", "DataLoaders", "Dataset", "DatasetV2", "PyDataset"})
_HOMES_OF_DATA_SETS = frozenset({"torch", "tensorflow", "keras", "fastai", "datasets"})
_NEVER_INPUTS = (str, bytes, int, float, complex, range, slice, set, frozenset, os.PathLike, ModuleType, type)
_ARRAY = "give an array or a tensor, or a tuple or dict of them"


def require_input(inputs: Any) -> None:
    """Refuse what is no input of a model: a path, a shape, a picture that is no array yet, a data set, a model.

    Raises
    ------
    InputError
        With what was given, and what to give in its place.
    """
    if inputs is None or isinstance(inputs, _NEVER_INPUTS):
        is_path = isinstance(inputs, (str, os.PathLike)) and os.fspath(inputs).lower().endswith(_PICTURES)
        advice = (
            "give an array or a tensor, such as nv.images(np.asarray(PIL.Image.open(path)) / 255)"
            if is_path
            else _ARRAY
        )
        raise InputError(f"{shown(inputs)} was given as input; {advice}")
    leaves = list(_leaves(inputs))
    if not leaves:
        raise InputError(f"an empty {type(inputs).__name__} was given as input; {_ARRAY}")
    if all(type(leaf) in (int, float) for leaf in leaves):
        if isinstance(inputs, (tuple, list)) and all(type(part) is int for part in inputs):
            raise InputError(
                f"{shown(inputs)} was given as input, which looks like a shape; give an array or a tensor"
            )
        raise InputError(
            f"a {type(inputs).__name__} of plain numbers was given as input; make an array of it: np.asarray(x)"
        )
    for leaf in leaves:
        if (told := _what_else(leaf)) is not None:
            raise InputError(f"{_with_article(type(leaf).__name__)} was given as input{told}")
    shape = next((tuple(leaf.shape) for leaf in leaves if is_array(leaf)), ())
    if shape[:1] == (0,):
        raise InputError(f"an input of shape {shape} was given, which holds no sample; give at least one")


def remedy(given: Sequence[int], wanted: Sequence[int | None]) -> str:
    """What to do with an input whose shape is not the one wanted, the batch first; empty if nothing is obvious.

    Examples
    --------
    >>> remedy((3, 8, 8), (None, 3, None, None))
    '; without its batch axis, it seems: give x[None]'
    >>> remedy((2, 8, 8, 3), (None, 3, None, None))
    '; its channels seem to stand last: give x.transpose(0, 3, 1, 2), or nv.images(x)'
    """
    given = tuple(given)
    if fits((1, *given), wanted):
        return "; without its batch axis, it seems: give x[None]"
    if given[:1] == (1,) and fits(given[1:], wanted):
        return "; with one axis too many, it seems: give x[0]"
    if len(given) == len(wanted) and len(given) > 2:
        places = range(len(given))
        last_to_second = (0, places[-1], *places[1:-1])
        if fits([given[place] for place in last_to_second], wanted):
            names = ", or nv.images(x)" if len(given) == 4 else ""
            return f"; its channels seem to stand last: give x.transpose{last_to_second}{names}"
        second_to_last = (0, *places[2:], 1)
        if fits([given[place] for place in second_to_last], wanted):
            names = ", or nv.images(x, ('batch', 'channel', 'y', 'x'))" if len(given) == 4 else ""
            return f"; its channels seem to stand second: give x.transpose{second_to_last}{names}"
    return ""


def fits(given: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a shape is one that is wanted; the length of a batch, and None, stand for any."""
    sizes = zip(given[1:], wanted[1:], strict=False)
    return len(given) == len(wanted) and all(size in (None, own) for own, size in sizes)


_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping) and not is_own(value):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _what_else(value: Any) -> str | None:
    """What there is to say of a value that is no input, and what to give in its place."""
    kind = type(value)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        return (
            ", whose masked values a model would see all the same; give x.filled(…), with what they should be"
        )
    if hasattr(kind, "__next__"):
        return ", which can be read only once; give an array or a tensor"
    if hasattr(kind, "__array_interface__") and not hasattr(value, "dtype"):  # Pillow's
        return (
            "; give an array of a batch of pictures, in the range in which the model takes them, such as "
            "nv.images(np.asarray(picture) / 255)"
        )
    if any(base.__name__ in _DATA_SETS and _home(base) in _HOMES_OF_DATA_SETS for base in kind.__mro__):
        return "; give one batch of inputs from it: an array or a tensor, or a tuple or dict of them"
    if (
        callable(value)
        or is_own(value)
        or isinstance(value, (*_NEVER_INPUTS[-2:], set, frozenset, range, slice))
    ):
        return f", which is no data; {_ARRAY}"
    return None


def _with_article(noun: str) -> str:
    return f"{'an' if noun.lstrip('_')[:1] in 'AEIOUaeiou' else 'a'} {noun}"


def _home(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]
