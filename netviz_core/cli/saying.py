"""How much the command says beside what was asked for: all of it, or with ``--quiet`` nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import typer

from ..words.progress import steps

_quiet: ContextVar[bool] = ContextVar("netviz_quiet", default=False)


def be_quiet(quiet: bool) -> None:
    """From now on say nothing beside what was asked for, or say it."""
    _quiet.set(quiet)


def is_talkative() -> bool:
    """Whether to say more than what was asked for: the ``progress=`` of what has a bar of its own."""
    return not _quiet.get()


def note(text: str, err: bool = False) -> None:
    """Say something beside what was asked for."""
    if is_talkative():
        typer.echo(text, err=err)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show what takes so long, after two seconds, where stderr is a terminal."""
    with steps(what, is_talkative()):
        yield
