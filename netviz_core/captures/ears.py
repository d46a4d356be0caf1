"""Stands in front of a method of classes for as long as somebody listens: where a framework has no hooks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

Listener = TypeVar("Listener")


class Ears(Generic[Listener]):
    """Keeps a method of classes wrapped while at least one context listens.

    Who listens is known for each context, so that threads do not hear each other.

    Parameters
    ----------
    method : str
    told : callable
        Makes of the method, and the class that it was looked up in, what stands in front of it. That one tells the
        `listeners`. A method that calls the one of the class above comes by there again.
    """

    def __init__(self, method: str, told: Callable[[Callable[..., Any], type], Callable[..., Any]]) -> None:
        self._method, self._told = method, told
        self._listeners: ContextVar[tuple[Listener, ...]] = ContextVar(f"netviz_{method}", default=())
        self._users: Counter[type] = Counter()
        self._own: dict[type, Any] = {}
        self._lock = threading.Lock()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Those who listen in this context, the last to come last."""
        return self._listeners.get()

    @contextmanager
    def listening(self, listeners: Iterable[Listener], classes: Iterable[type]) -> Iterator[None]:
        """Let listeners hear the objects of these classes in this context."""
        came = tuple(listeners)
        # Of a class alone one cannot ask whether its objects can be called: it can itself.
        heard = [cls for cls in set(classes) if any(self._method in vars(base) for base in cls.__mro__)]
        with self._lock:
            for cls in heard:
                self._wrap(cls)
        self._listeners.set((*self.listeners, *came))
        try:
            yield
        finally:
            # Others may have come or gone meanwhile: recordings need not be nested.
            self._listeners.set(tuple(other for other in self.listeners if other not in came))
            with self._lock:
                for cls in heard:
                    self._unwrap(cls)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Let nobody hear what runs in this context."""
        token = self._listeners.set(())
        try:
            yield
        finally:
            self._listeners.reset(token)

    def _wrap(self, cls: type) -> None:
        if not self._users[cls]:
            self._own[cls] = vars(cls).get(self._method)
            setattr(cls, self._method, self._told(getattr(cls, self._method), cls))
        self._users[cls] += 1

    def _unwrap(self, cls: type) -> None:
        self._users[cls] -= 1
        if not self._users[cls]:
            before = self._own.pop(cls)
            if before is None:
                delattr(cls, self._method)
            else:
                setattr(cls, self._method, before)
