"""Files are written whole or not at all, and whether they can be is found out before anything expensive."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .given import shown

if TYPE_CHECKING:
    from pathlib import Path


def check_writable(path: str | Path) -> None:
    """Open a file for writing, and leave it as it was, or absent if it was.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = _target(path)
    existed = target.exists()
    try:
        with target.open("ab"):
            pass
        if not existed:
            target.unlink()
    except OSError as error:
        raise _naming(path, error) from error


PICTURES = frozenset({".png", ".jpg", ".jpeg", ".svg", ".pdf", ".tif", ".tiff", ".webp", ".gif"})


def require_no_picture(path: str | Path, what: str, instead: str) -> None:
    """Refuse to write numbers to a file whose suffix is that of a picture, which nothing would open.

    Parameters
    ----------
    path : str or path
    what : str
        What is to be written.
    instead : str
        The call that draws a picture of it.

    Raises
    ------
    InputError
    """
    if os.path.splitext(as_path(path))[1].lower() in PICTURES:
        raise InputError(
            f"{shown(path)} has the suffix of a picture, and {what} would be none; give another suffix, or, for a "
            f"picture, call {instead}"
        )


def replace_file(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then move it there; a file that exists stays whole until then.

    A link stays a link: what it points to is replaced.

    Parameters
    ----------
    path : str or path
    write : callable
        Given the path of the unfinished file.

    Raises
    ------
    OSError
        If the file cannot be written; it names `path`.
    """
    target = _target(path)
    unfinished = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}")
    try:
        try:
            unfinished.touch()  # raises an OSError where nothing can be written, whatever `write` would raise
            mode = unfinished.stat().st_mode
            write(unfinished)
            unfinished.chmod(mode)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise _naming(path, error) from error


def as_path(path: Any) -> str | os.PathLike[str]:
    """A path given as an argument; a number would be taken for a file that is open.

    Raises
    ------
    InputError
        If it is none.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"{shown(path)} is no path; give one as a string or a pathlib.Path")
    return path


def _target(path: str | Path) -> Path:
    from pathlib import Path  # here, as every capture would bring it along

    if not os.fspath(as_path(path)):
        raise FileNotFoundError(2, "No file name was given", "")
    return Path(os.path.realpath(path))


def _naming(path: str | Path, error: OSError) -> OSError:
    return OSError(error.errno, error.strerror, os.fspath(path))
