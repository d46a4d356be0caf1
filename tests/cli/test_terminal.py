"""What a shell and a terminal see: completion, and progress on what takes long."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Netviz = Callable[..., Any]
Refused = Callable[..., str]
COMPLETED = {
    "netviz sim": {"similarity"},
    "netviz -": {"--version", "-V", "--quiet", "-q", "--traceback", "--help"},
    "netviz cam mine:model --method grad": {"grad-cam", "grad-cam++"},
    "netviz top-losses mine:model --loss binary": {
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
    },
    "netviz completion ": {"bash", "zsh", "fish"},
}
EMPTY = "''"
BASH = """
eval "$(netviz completion bash)"
complete -p netviz
completed() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _netviz_completion netviz
    echo ${COMPREPLY[*]}
}
"""
"""Asks as bash does where somebody presses the tabulator."""


@pytest.fixture
def program(command_line: list[str], tmp_path: Path) -> Path:
    """A folder in which the command has its name."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "netviz"
    words = " ".join(f"'{word}'" for word in command_line)
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    return script.parent


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(program: Path) -> None:
    asked = "\n".join(f"completed {typed}{EMPTY * typed.endswith(' ')}" for typed in COMPLETED)
    ran = subprocess.run(
        ["bash", "--norc", "-c", BASH + asked],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}"},
    )
    first, *lines = ran.stdout.splitlines()
    assert first == "complete -o default -F _netviz_completion netviz"
    assert [set(line.split()) for line in lines] == list(COMPLETED.values())
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("shell", "begin"), [("zsh", "#compdef netviz"), ("fish", "complete --command netviz")]
)
def test_other_shells_have_a_script(netviz: Netviz, shell: str, begin: str) -> None:
    ran = netviz("completion", shell)
    assert ran.status == 0
    assert ran.out.lstrip().startswith(begin)


def test_a_shell_that_is_not_known(refused: Refused) -> None:
    assert "tcsh" in refused("completion", "tcsh")


SLOW = """
import time
from netviz_core.testing import example_model


def build():
    time.sleep(3)
    return example_model()
"""


@pytest.mark.parametrize("quiet", [False, True])
def test_what_takes_long_is_shown_on_a_terminal_alone(
    command_line: list[str], folder: Path, quiet: bool
) -> None:
    (folder / "slow.py").write_text(SLOW)
    np.save("x.npy", np.zeros((2, 1, 8, 8), np.float32))
    arguments = ["statistics", "slow:build", "-i", "x.npy", "--json", *["-q"] * quiet]
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*command_line, *arguments], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    told, seen = process.communicate()[0], _read(ours)
    assert process.returncode == 0
    assert told.startswith("{")
    assert ("loading slow:build" in seen) == (not quiet)
    assert ("statistics" in seen) == (not quiet)


def _read(terminal: int) -> str:
    """All that a process wrote to a terminal, which fails at its end."""
    found = b""
    try:
        while part := os.read(terminal, 65536):
            found += part
    except OSError:
        pass
    finally:
        os.close(terminal)
    return found.decode("utf-8", "replace")
