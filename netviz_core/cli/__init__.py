"""The command ``netviz``: every error is one line, and Ctrl-C is no error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import typer

from . import completing
from .commands import app
from .messages import one_line

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``netviz`` on the command line; by default this process' own.

    Returns
    -------
    int
        The exit status: 0; 1 on an alarm of ``health``, and where ``compare`` cannot say that two models agree; 2
        after an error, told on stderr in one line; 130 after Ctrl-C; 1 if nobody reads the output to its end.
    """
    given = _global_first(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    if arguments is None and completing.is_asked():
        return completing.answer_shell(command, os.environ[completing.VARIABLE])
    everything = False
    try:
        with command.make_context("netviz", given) as context:
            everything = bool(context.params["traceback"])
            with nullcontext() if everything else _native_logs_hidden():
                command.invoke(context)
                sys.stdout.flush()
    except typer.Exit as finished:
        return finished.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("netviz: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if everything:
            traceback.print_exception(error)
        print(f"netviz: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _global_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with those options in front that belong to netviz as a whole, wherever they were typed."""
    return sorted(arguments, key=lambda argument: argument not in ("-q", "--quiet", "--traceback"))


@contextmanager
def _native_logs_hidden() -> Iterator[None]:
    """Hide what compiled libraries log past Python, straight to file descriptor 2.

    What Python writes to ``sys.stderr`` still shows: warnings, progress, our errors.
    """
    original = sys.stderr
    if not _is_file_descriptor_2(original):
        yield
        return
    kept = os.dup(2)
    with open(kept, "w", buffering=1, encoding=original.encoding, errors="backslashreplace") as stderr:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        sys.stderr = stderr
        try:
            yield
        finally:
            sys.stderr = original
            os.dup2(kept, 2)


def _is_file_descriptor_2(stream: object) -> bool:
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined,no-any-return]
    except (AttributeError, OSError, ValueError):
        return False
