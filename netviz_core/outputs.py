"""Finds out that a file cannot be written before anything expensive is done for it."""

from __future__ import annotations

from pathlib import Path


def check_writable(path: Path) -> None:
    """Open a file for writing, and leave it as it was, or absent if it was.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        If it cannot be written.
    """
    existed = path.exists()
    with path.open("ab"):
        pass
    if not existed:
        path.unlink()
