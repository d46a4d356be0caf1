"""Stands in front of a method of a framework's classes for as long as somebody listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any


class Ears:
    """Keeps a method of classes wrapped while at least one context listens."""

    def __init__(
        self,
        method: str,
        told: Callable[[Callable[..., Any], type], Callable[..., Any]],
        classes: Sequence[type],
    ) -> None:
        self._method = method
        self._told = told
        self._classes = classes
        self._lock = threading.Lock()
        self._users = 0
        self._originals: dict[type, Callable[..., Any]] = {}

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for cls in self._classes:
                    self._originals[cls] = getattr(cls, self._method)
                    setattr(cls, self._method, self._told(self._originals[cls], cls))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for cls, original in self._originals.items():
                    setattr(cls, self._method, original)
