"""Walks the nested outputs that layers return: tuples, dicts, dataclasses, and tensors in them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def leaves(
    output: Any, is_tensor: Callable[[Any], bool], unfold: Callable[[Any], Any] = lambda part: part
) -> Iterator[tuple[str, Any]]:
    """Yield every tensor within a structure and its name there.

    Parameters
    ----------
    output : object
        What a layer returned.
    is_tensor : callable
        Tells the framework's tensors from everything else.
    unfold : callable, optional
        Turns a structure of the framework's own into one of tuples, lists and mappings.

    Yields
    ------
    name : str
        ``""`` for a single tensor, else positions and names joined by dots: ``"1.0"``,
        ``"last_hidden_state"``.
    tensor : object

    Examples
    --------
    >>> [name for name, _ in leaves((1.0, {"h": [2.0, None]}), lambda x: isinstance(x, float))]
    ['0', '1.h.0']
    """
    output = unfold(output)
    if is_tensor(output):
        yield "", output
        return
    for name, part in _parts(output):
        key = str(name)
        if any(mark in key for mark in ".:#"):
            key = repr(key)  # else two parts could have one name
        for below, tensor in leaves(part, is_tensor, unfold):
            yield (f"{key}.{below}" if below else key), tensor


def replaced(structure: Any, is_tensor: Callable[[Any], bool], replace: Callable[[Any], Any]) -> Any:
    """A copy of a structure with other tensors in it, replaced in the order of `leaves`.

    Examples
    --------
    >>> replaced((1.0, {"h": [2.0, None]}), lambda x: isinstance(x, float), lambda x: -x)
    (-1.0, {'h': [-2.0, None]})
    """
    if is_tensor(structure):
        return replace(structure)
    if isinstance(structure, Mapping):
        other: Any = copy.copy(structure)
        for key, part in structure.items():
            other[key] = replaced(part, is_tensor, replace)
        return other
    if dataclasses.is_dataclass(structure) and not isinstance(structure, type):
        other = copy.copy(structure)
        for field in dataclasses.fields(structure):
            part = replaced(getattr(structure, field.name, None), is_tensor, replace)
            object.__setattr__(other, field.name, part)
        return other
    if isinstance(structure, (tuple, list)):
        parts = [replaced(part, is_tensor, replace) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    return structure


def _parts(structure: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(structure, Mapping):
        yield from structure.items()
    elif dataclasses.is_dataclass(structure) and not isinstance(structure, type):
        for field in dataclasses.fields(structure):
            yield field.name, getattr(structure, field.name, None)
    elif isinstance(structure, tuple) and hasattr(structure, "_fields"):
        yield from zip(structure._fields, structure, strict=True)
    elif isinstance(structure, (tuple, list)):
        yield from enumerate(structure)
