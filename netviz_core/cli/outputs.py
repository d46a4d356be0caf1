"""What a command writes: figures, and the reports of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any

import typer

from ..plugins import get_renderer
from ..views.base import DEFAULT_RENDERER, View
from ..words.errors import FileFormatError
from ..words.whole_files import check_writable, replace_file

REPORTS: Mapping[str, Callable[[Any], str]] = {
    ".html": methodcaller("to_html"),
    ".md": methodcaller("to_markdown"),
    ".json": methodcaller("to_json"),
    ".txt": str,
}
"""What a comparison can be written as besides its plot, by suffix."""


def check_output(path: Path, reports: Sequence[str] = ()) -> None:
    """Find out before the work that a figure, or a report with one of these suffixes, cannot be written.

    Raises
    ------
    FileFormatError
        If the suffix is that of neither.
    OSError
        If the file cannot be written.
    """
    suffixes = (*get_renderer(DEFAULT_RENDERER).suffixes, *reports)
    if path.suffix.lower() not in suffixes:
        raise FileFormatError(
            f"cannot tell from {str(path)!r} what to draw; use one of {', '.join(suffixes)}"
        )
    check_writable(path)


def save(view: View, path: Path, is_told: bool = True) -> None:
    """Write a view in the form that the suffix names, and say so: on stderr where stdout is for a program."""
    report = REPORTS.get(path.suffix.lower())
    if report is None:
        view.save(path)
    else:
        text = report(view)
        replace_file(path, lambda unfinished: unfinished.write_text(text + "\n", encoding="utf-8"))
    typer.echo(f"wrote {path}", err=not is_told)
