"""What the tests of the command line share, of the core alone and of each framework."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from netviz_core.cli import main

pytest.register_assert_rewrite("tests.command_line")  # so that its assertions say what they saw


class Ran(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def mine() -> str:
    """The source of the module ``mine``: to be overridden."""
    raise NotImplementedError("override the fixture 'mine': return the source of a module with models")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: str) -> Iterator[Path]:
    """The current folder, with the module ``mine``."""
    (tmp_path / "mine.py").write_text(mine)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.fixture
def netviz(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def refused(netviz: Callable[..., Ran]) -> Callable[..., str]:
    """Run a command that must end with status 2 and one line, and return that line."""

    def run(*arguments: object) -> str:
        ran = netviz(*arguments)
        assert ran.status == 2, ran
        assert ran.err.startswith("netviz: "), ran.err
        assert ran.err.count("\n") == 1, ran.err
        assert "Traceback" not in ran.err
        return ran.err.removeprefix("netviz: ").rstrip("\n")

    return run
