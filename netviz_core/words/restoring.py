"""Puts back what a pass changes in plain objects: those of the model, and those that it was given."""

from __future__ import annotations

import functools
import itertools
import random
import sys
import types
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from operator import is_
from typing import Any

import numpy as np

from .structure import attributes_of, slots_of

MOST_OBJECTS = 100_000
"""So many objects are looked after, the nearest first."""

_ATOMS = frozenset({bool, int, float, complex, str, bytes, type(None), type, range, slice})
_DATA_HOMES = frozenset({"builtins", "collections", "types", "weakref", "dataclasses"})
_TOOL_HOMES = frozenset(sys.stdlib_module_names) - _DATA_HOMES
_ABSENT = object()
_NOTHING: dict[Any, Any] = {}
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinMethodType, functools.partial)


class Keeper:
    """Looks after everything that can be reached from some roots, and puts it back.

    Reached are the attributes of objects and of their classes, what collections hold, and what functions
    that an object holds have closed over; not what methods have, nor what stands in modules. Objects of the
    standard library, which have to do with other things than the model (threads, files, locks), are left alone.
    What a generator has yielded cannot be put back.
    """

    tools = _TOOL_HOMES
    """The packages whose objects are no part of a model, but what it was made with."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, ...]] = []
        self._dicts: list[dict[Any, Any]] = []
        self._contents: list[dict[Any, Any]] = []
        self._waiting: deque[Any] = deque()
        self._classes: set[type] = set()
        self._seen: dict[int, Any] = {}  # the values too, so that no other gets the same id

    def keep(self, *roots: Any) -> None:
        """Look after what can be reached from `roots` as it is now."""
        waiting, seen = self._waiting, self._seen
        waiting.extend(roots)
        while waiting and len(seen) < MOST_OBJECTS:
            value = waiting.popleft()
            if id(value) in seen:
                continue
            seen[id(value)] = value
            kind = type(value)
            if kind is dict:
                self.keep_dict(value)
            elif kind is tuple:
                self.reach(value)
            elif not self.keep_native(value):
                self._keep(value)
        waiting.clear()

    def keep_native(self, value: Any) -> bool:
        """Look after a value of a framework's own; whether it is one."""
        return False

    def put_back(self) -> None:
        """Bring everything back to how it was."""
        for held, before in zip(reversed(self._dicts), reversed(self._contents), strict=True):
            if held or before:
                _refill_dict(held, before)
        for step, *arguments in reversed(self._undo):
            step(*arguments)
        for kept in (self._undo, self._dicts, self._contents, self._seen):
            kept.clear()

    def undo(self, step: Callable[..., object], *arguments: Any) -> None:
        """Remember what to call to put something back, once what is in dictionaries is what it was."""
        self._undo.append((step, *arguments))

    def reach(self, parts: Iterable[Any]) -> None:
        """Look after these values too."""
        self._waiting.extend([part for part in parts if type(part) not in _ATOMS])

    def keep_dict(self, held: dict[Any, Any], left_out: frozenset[str] = frozenset()) -> None:
        """Look after a dictionary, or the ``__dict__`` of an object, but not what stands under some names."""
        before = dict(held) if held else _NOTHING
        self._dicts.append(held)
        self._contents.append(before)
        for name, part in before.items():
            kind = type(part)
            if kind in _ATOMS or name in left_out:
                continue
            if kind in _ITERATORS:
                held[name] = _copied(part)
            elif kind is not tuple or not _ATOMS.issuperset(map(type, part)):
                self._waiting.append(part)

    def keep_class(self, cls: type) -> None:
        """Look after what the classes of an object hold, where they belong to the model."""
        if cls in self._classes:
            return
        for base in cls.__mro__:
            if base not in self._classes and not self._is_tool(base):
                before = {name: part for name, part in vars(base).items() if not name.startswith("__")}
                self.undo(_reset_class, base, before)
                self.reach(part for part in vars(base).values() if not isinstance(part, _METHODS))
            self._classes.add(base)

    def _is_tool(self, cls: type) -> bool:
        home = str(cls.__module__)  # which a class of C may hide behind a descriptor
        return home.partition(".")[0] in self.tools or home == "builtins"

    def _keep(self, value: Any) -> None:
        if isinstance(value, dict):
            self.keep_dict(value)
            self._keep_attributes(value)
        elif isinstance(value, (list, deque)):
            before = list(value)
            self.undo(_refill_list, value, before)
            for place, part in enumerate(before):
                if type(part) in _ITERATORS:
                    value[place] = _copied(part)
            self.reach(before)
            self._keep_attributes(value)
        elif isinstance(value, set):
            self.undo(_refill_set, value, set(value))
        elif isinstance(value, (tuple, frozenset)):
            self.reach(value)
        elif isinstance(value, bytearray):
            self.undo(value.__setitem__, slice(None), bytes(value))
        elif isinstance(value, np.ndarray):
            if value.flags.writeable:
                self.undo(np.copyto, value, value.copy())
        elif isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
            self.undo(value.setstate, value.getstate())
        elif isinstance(value, np.random.Generator):
            self.reach([value.bit_generator])
        elif isinstance(value, np.random.BitGenerator):
            self.undo(setattr, value, "state", value.state)
        elif isinstance(value, np.random.RandomState):
            self.undo(value.set_state, value.get_state())
        elif isinstance(value, _FUNCTIONS):
            self._keep_function(value)
        elif isinstance(value, type):
            self.keep_class(value)
        elif not isinstance(value, types.ModuleType) and (
            not self._is_tool(type(value)) or type(value).__module__ in _DATA_HOMES
        ):
            self._keep_attributes(value)

    def _keep_attributes(self, value: Any) -> None:
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict):
            self.keep_dict(own)
        slots = slots_of(type(value))
        if slots:
            before = {name: part for name, part in attributes_of(value) if name in slots}
            self.undo(_reset_slots, value, slots, before)
            self.reach(before.values())
        self.keep_class(type(value))

    def _keep_function(self, value: Any) -> None:
        if isinstance(value, types.MethodType):
            self.reach((value.__self__, value.__func__))
        elif isinstance(value, types.BuiltinMethodType):
            self.reach(() if isinstance(value.__self__, types.ModuleType) else (value.__self__,))
        elif isinstance(value, functools.partial):
            self.reach((value.func, value.args, value.keywords))
        else:
            for cell in value.__closure__ or ():
                with suppress(ValueError):  # an empty one
                    self.undo(setattr, cell, "cell_contents", cell.cell_contents)
                    self.reach((cell.cell_contents,))
            self.reach((value.__defaults__, value.__kwdefaults__, value.__dict__ or None))


_METHODS = (types.FunctionType, staticmethod, classmethod, property)
"""What a class does, not what it holds: what these have closed over is the business of who wrote them."""

_HOLDERS: tuple[Iterable[Any], ...] = (
    [], (), "", b"", {}, range(0), {}.values(), {}.items(), reversed([])
)  # fmt: skip
_ITERATORS = frozenset(
    set(map(type, map(iter, _HOLDERS)))
    | {zip, map, filter, enumerate}
    | {itertools.count, itertools.cycle, itertools.chain, itertools.repeat, itertools.islice}
)
"""Iterators that can be copied: a pass reads the copy, and the original stays where it was."""


def _copied(part: Any) -> Any:
    """An iterator that goes on from the same place, and those within; itself where Python cannot copy it."""
    if isinstance(part, list):
        return list(map(_copied, part))
    if type(part) is tuple:
        return tuple(map(_copied, part))
    if type(part) not in _ITERATORS:
        return part
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            make, args, *state = part.__reduce__()
        other = make(*(value if isinstance(value, list) else _copied(value) for value in args))
        if state and state[0] is not None:
            other.__setstate__(_copied(state[0]))
        return other
    except (TypeError, AttributeError, ValueError):
        return part


def _refill_list(present: Any, before: list[Any]) -> None:
    if len(present) != len(before) or not all(map(is_, present, before)):
        kind = list if isinstance(present, list) else deque
        kind.clear(present)  # past what the class itself would do then
        kind.extend(present, before)


def _refill_set(present: set[Any], before: set[Any]) -> None:
    if present != before:
        set.clear(present)
        set.update(present, before)


def _refill_dict(present: dict[Any, Any], before: dict[Any, Any]) -> None:
    if present.keys() != before.keys() or not all(map(is_, present.values(), before.values())):
        kind = OrderedDict if isinstance(present, OrderedDict) else dict
        kind.clear(present)
        for key, value in before.items():
            kind.__setitem__(present, key, value)


def _reset_slots(value: Any, slots: Iterable[str], before: Mapping[str, Any]) -> None:
    present = dict(attributes_of(value))
    for name in slots:
        if name in before and present.get(name, _ABSENT) is not before[name]:
            object.__setattr__(value, name, before[name])
        elif name not in before and name in present:
            object.__delattr__(value, name)


def _reset_class(cls: type, before: Mapping[str, Any]) -> None:
    present = {name: part for name, part in vars(cls).items() if not name.startswith("__")}
    for name in present.keys() - before.keys():
        type.__delattr__(cls, name)
    for name, part in before.items():
        if present.get(name, _ABSENT) is not part:
            type.__setattr__(cls, name, part)
