"""What is known of objects for as long as they live."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

Known = TypeVar("Known")


class Book(Generic[Known]):
    """What is known of objects that are alive, such as tensors, which can be no keys of a dictionary.

    Examples
    --------
    >>> book, one, other = Book[str](), {1}, {1}
    >>> book.note(one, "the first"), book.get(one), book.get(other)
    ({1}, 'the first', None)
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Known]] = {}

    def note(self, thing: Any, known: Known | None) -> Any:
        """Say what is known of a thing, if anything is; returns the thing."""
        if known is not None:
            key = id(thing)
            self._known[key] = weakref.ref(thing, lambda _: self._known.pop(key, None)), known
        return thing

    def get(self, thing: Any) -> Known | None:
        """What is known of a thing, if anything is."""
        reference, known = self._known.get(id(thing), (None, None))
        return known if reference is not None and reference() is thing else None
