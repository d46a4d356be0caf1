"""Completion of commands, options and their values in a shell, as Typer brings it."""

from __future__ import annotations

import os
from typing import Any

import typer

from ..words.errors import InputError
from . import options

VARIABLE = "_NETVIZ_COMPLETE"
"""What a shell sets to ask for completions instead of running a command."""

SHELLS = ("bash", "zsh", "fish")


def print_completion(context: typer.Context, shell: options.Shell) -> None:
    """Print what makes a shell complete commands, options and files.

    For bash add this line to ~/.bashrc: eval "$(netviz completion bash)"; for zsh the same with zsh to ~/.zshrc. For
    fish: netviz completion fish > ~/.config/fish/completions/netviz.fish
    """
    if shell not in SHELLS:
        raise InputError(f"netviz completes in {', '.join(SHELLS)}, not in {shell!r}")
    answer_shell(context.find_root().command, f"source_{shell}")


def is_asked() -> bool:
    """Whether a shell wants to know how what was typed so far may go on."""
    return VARIABLE in os.environ


def answer_shell(command: Any, asked: str) -> int:
    """Print what a shell asks for, such as ``complete_bash``; returns an exit status."""
    # Here, as shells alone ask for it.
    from typer.completion import get_completion_inspect_parameters, shell_complete

    get_completion_inspect_parameters()  # by which Typer learns of the shells that it knows
    return shell_complete(command, {}, "netviz", VARIABLE, asked)
