"""What a command writes and tells: figures, and answers in the form that a suffix names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from ..plugins import get_renderer
from ..views.base import DEFAULT_RENDERER, View
from ..words.errors import FileFormatError
from ..words.whole_files import check_writable, replace_file
from .forms import Forms
from .saying import note

Writers = Mapping[str, Callable[[Any, Path], object]]
"""What writes an answer to a file of its own kind, by suffix."""


def check_output(path: Path, forms: Iterable[str] = (), is_drawn: bool = True) -> None:
    """Find out before the work that a file cannot be written: a figure, or one with one of these suffixes.

    Raises
    ------
    FileFormatError
        If it ends with none of the suffixes that there are.
    OSError
        If the file cannot be written.
    """
    suffixes = (*(get_renderer(DEFAULT_RENDERER).suffixes if is_drawn else ()), *forms)
    if not path.name.lower().endswith(suffixes):
        raise FileFormatError(
            f"cannot tell from {str(path)!r} what to write; use one of {', '.join(suffixes)}"
        )
    check_writable(path)


def save(view: View, path: Path) -> None:
    """Draw a view into a file, in the form that the suffix names, and say so."""
    view.save(path)
    note(f"wrote {path}")


def tell(
    found: Any,
    forms: Forms,
    outputs: Iterable[Path],
    as_json: bool,
    view: View | None = None,
    writers: Writers | None = None,
) -> None:
    """Print an answer, and write it to files: as one of its forms, as one of its own kind, or as the figure of `view`.

    That a file was written is said on stderr where stdout is for a program.
    """
    typer.echo(forms[".json" if as_json else ".txt"](found))
    for path in outputs:
        suffix = path.suffix.lower()
        if suffix in forms:
            _write(forms[suffix](found), path)
        elif writers and suffix in writers:
            writers[suffix](found, path)
        elif view is not None:
            view.save(path)
        note(f"wrote {path}", err=as_json)


def _write(text: str, path: Path) -> None:
    replace_file(path, lambda unfinished: unfinished.write_text(text + "\n", encoding="utf-8"))
