"""Shows how far something has come that takes a while, where there is a terminal or notebook to show it in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_PATIENCE = 2.0
"""How many seconds something may take before a bar is shown."""

_shown: ContextVar[_Bar | None] = ContextVar("netviz_progress", default=None)


@contextmanager
def steps(what: str, progress: bool) -> Iterator[None]:
    """Show a bar while the context is open, once that has been so for two seconds, if `progress` is true.

    What is being done is told by `step`, from wherever that is.
    """
    bar = _Bar(what) if progress else None
    token = _shown.set(bar)
    try:
        yield
    finally:
        _shown.reset(token)
        if bar is not None:
            bar.close()


def step(words: str, done: int | None = None, total: int | None = None) -> None:
    """Say what is being done now, and how much of it is done, to whoever shows it."""
    bar = _shown.get()
    if bar is not None:
        bar.tell(words, done, total)


def console() -> tuple[Console, bool]:
    """Where bars are shown, and whether anybody can see them there."""
    from rich.console import Console  # here, as rich is heavy

    found = Console(stderr=True)
    if found.is_jupyter:
        from importlib.util import find_spec

        return found, find_spec(
            "ipywidgets"
        ) is not None  # without it, rich warns instead of showing anything
    return found, found.is_terminal


class _Bar:
    """A bar that comes late, so that nothing flickers where little is to be done."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told: tuple[str, int | None, int | None] = ("", None, None)
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._is_over = False
        self._timer = threading.Timer(_PATIENCE, self._show)
        self._timer.daemon = True
        self._timer.start()

    def tell(self, words: str, done: int | None, total: int | None) -> None:
        """Change what stands beside the bar."""
        with self._lock:
            self._told = words, done, total
            self._update()

    def close(self) -> None:
        """Take the bar away, if it came."""
        with self._lock:
            self._is_over = True
            self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        where, is_seen = console()
        if not is_seen:
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        with self._lock:
            if not self._is_over:
                self._bar = Progress(*columns, console=where, transient=True)
                self._task = self._bar.add_task(self._what, total=None)
                self._update()
                self._bar.start()

    def _update(self) -> None:
        if self._bar is not None and self._task is not None:
            words, done, total = self._told
            described = f"{self._what}: {words}" if words else self._what
            self._bar.update(self._task, description=described, completed=done or 0, total=total)
