"""Walks the nested outputs that layers return: tuples, mappings, objects of any class, and tensors in them."""

from __future__ import annotations

import copy
import dataclasses
import enum
import numbers
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

MOST_ATTRIBUTES = 10_000
"""How many attributes of objects are looked at in one structure."""

_WITHOUT_NUMBERS = (type(None), bool, str, bytes, type, enum.Enum, types.ModuleType)
_SEQUENCES = (tuple, list, deque)


def leaves(
    output: Any, is_tensor: Callable[[Any], bool], unfold: Callable[[Any], Any] = lambda part: part
) -> Iterator[tuple[str, Any]]:
    """Yield every tensor within a structure and its name there.

    Parameters
    ----------
    output : object
        What a layer returned. Of an object of some other class its attributes are looked at, without running
        any code of it; each object and each of its tensors once.
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
    if is_tensor(part := unfold(output)):
        yield "", part
        return
    yield from ((name, end) for name, end, found in _Walk(is_tensor, unfold).ends(part) if found)


def others(
    output: Any, is_tensor: Callable[[Any], bool], unfold: Callable[[Any], Any] = lambda part: part
) -> Iterator[tuple[str, Any]]:
    """Yield what else may hold numbers within a structure: plain ones, and what cannot be looked into.

    That is an iterator, which could be read only once, a set, which has no order, a function, or an object without
    attributes.

    Examples
    --------
    >>> [name for name, _ in others((1.0, 2, "a", iter([1.0])), lambda x: isinstance(x, float))]
    ['1', '3']
    """
    ends = _Walk(is_tensor, unfold).ends(unfold(output))
    yield from (
        (name, end) for name, end, found in ends if not found and not isinstance(end, _WITHOUT_NUMBERS)
    )


def replaced(structure: Any, is_tensor: Callable[[Any], bool], replace: Callable[[Any], Any]) -> Any:
    """A structure with other tensors in it, replaced in the order of `leaves`; what holds none stays itself.

    Examples
    --------
    >>> replaced((1.0, {"h": [2.0, None]}), lambda x: isinstance(x, float), lambda x: -x)
    (-1.0, {'h': [-2.0, None]})
    """
    return _Exchange(is_tensor, replace).of(structure)


def is_number(value: Any) -> bool:
    """Whether a value is a plain number."""
    return isinstance(value, (numbers.Number, np.generic))


class _Walk:
    """One walk through a structure, which opens each object once."""

    def __init__(self, is_tensor: Callable[[Any], bool], unfold: Callable[[Any], Any]) -> None:
        self._is_tensor = is_tensor
        self._unfold = unfold
        self._opened: dict[int, Any] = {}
        self._around: set[int] = set()
        self._left = MOST_ATTRIBUTES

    def ends(self, part: Any) -> Iterator[tuple[str, Any, bool]]:
        """The ends of what is already unfolded: their names, and whether they are tensors."""
        if self._is_tensor(part):
            yield "", part, True
            return
        if id(part) in self._opened or id(part) in self._around:
            return
        inner = self._parts(part)
        if inner is None:
            yield "", part, False
            return
        self._around.add(id(part))
        for name, below in inner:
            for end in self.ends(self._unfold(below)):
                yield _joined(str(name), end[0]), end[1], end[2]
        self._around.discard(id(part))

    def _parts(self, part: Any) -> Iterator[tuple[Any, Any]] | None:
        inside = _inside(part)
        if inside is not None or not is_object(part):
            return inside
        attributes = list(_distinct(attributes_of(part)))
        if len(attributes) > self._left:
            return None
        self._left -= len(attributes)
        self._opened[id(part)] = part  # kept, so that no other has the same id
        return iter(attributes)


class _Exchange:
    """Makes a structure with other tensors, in the order of a `_Walk`."""

    def __init__(self, is_tensor: Callable[[Any], bool], replace: Callable[[Any], Any]) -> None:
        self._is_tensor = is_tensor
        self._replace = replace
        self._made: dict[int, Any] = {}
        self._left = MOST_ATTRIBUTES

    def of(self, part: Any) -> Any:
        if self._is_tensor(part):
            return self._replace(part)
        if id(part) in self._made:
            return self._made[id(part)]
        if isinstance(part, Mapping):
            return self._mapping(part)
        if isinstance(part, _SEQUENCES):
            return self._sequence(part)
        return self._object(part) if is_object(part) else part

    def _mapping(self, part: Mapping[Any, Any]) -> Any:
        self._made[id(part)] = part
        new = {key: self.of(value) for key, value in part.items()}
        if all(new[key] is value for key, value in part.items()):
            del self._made[id(part)]
            return part
        other: Any = copy.copy(part)
        for key, value in new.items():
            other[key] = value
        del self._made[id(part)]
        return other

    def _sequence(self, part: Any) -> Any:
        self._made[id(part)] = part
        new = [self.of(value) for value in part]
        del self._made[id(part)]
        if all(made is value for made, value in zip(new, part, strict=True)):
            return part
        return type(part)(*new) if hasattr(part, "_fields") else type(part)(new)

    def _object(self, part: Any) -> Any:
        attributes = list(attributes_of(part))
        distinct = list(_distinct(attributes))
        if len(distinct) > self._left:
            return part
        self._left -= len(distinct)
        other = self._made[id(part)] = copy.copy(part)
        new = {id(value): self.of(value) for _, value in distinct}
        if all(new[id(value)] is value for _, value in distinct):
            self._made[id(part)] = part
            return part
        for name, value in attributes:
            set_attribute(other, name, new[id(value)])
        return other


def is_object(value: Any) -> bool:
    """Whether a value is an object that is nothing but its attributes, as far as can be told."""
    return (
        not isinstance(value, (*_WITHOUT_NUMBERS, np.ndarray, set, frozenset))
        and (dataclasses.is_dataclass(value) or not callable(value))
        and not hasattr(type(value), "__next__")
        and (hasattr(value, "__dict__") or bool(slots_of(type(value))))
    )


def attributes_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes that an object holds, with ``__slots__`` or without."""
    for name in slots_of(type(value)):
        try:
            yield name, object.__getattribute__(value, name)
        except AttributeError:
            continue  # nothing was ever set there
    yield from getattr(value, "__dict__", {}).items()


def slots_of(cls: type) -> list[str]:
    """The names of a class' slots, those of its bases included."""
    return [
        name
        for base in reversed(cls.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, types.MemberDescriptorType) and "__slots__" in vars(base)
    ]


def set_attribute(value: Any, name: str, new: Any) -> None:
    """Set an attribute past whatever the class would do then."""
    own = getattr(value, "__dict__", {})
    if name in own:
        own[name] = new
    else:
        object.__setattr__(value, name, new)


def _inside(part: Any) -> Iterator[tuple[Any, Any]] | None:
    """What a mapping or a sequence holds; None for anything else."""
    if isinstance(part, Mapping):
        return iter(part.items())
    if isinstance(part, tuple) and hasattr(part, "_fields"):
        return zip(part._fields, part, strict=True)
    return iter(enumerate(part)) if isinstance(part, _SEQUENCES) else None


def _distinct(attributes: Any) -> Iterator[tuple[str, Any]]:
    """Attributes without those that are another name for the value of one before."""
    seen = set()
    for name, value in attributes:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _joined(name: str, below: str) -> str:
    if any(mark in name for mark in ".:#"):
        name = repr(name)  # else two parts could have one name
    return f"{name}.{below}" if below else name
